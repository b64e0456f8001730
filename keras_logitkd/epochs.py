"""Telling what depends on the epoch which one begins."""

import keras


def follow_epochs(arguments, parts):
    """Adds a callback to the arguments of `fit`, in place, that calls `part.set_epoch(epoch)`.

    Args:
        arguments: The arguments of `fit` by name.
        parts: List of losses and feature methods; those without `set_epoch` are left alone.
    """
    parts = [part for part in parts if hasattr(part, "set_epoch")]
    if not parts:
        return
    callbacks = arguments.get("callbacks") or []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks.append(_EpochSetter(parts))
    else:
        callbacks = [*keras.tree.flatten(callbacks), _EpochSetter(parts)]
    arguments["callbacks"] = callbacks


class _EpochSetter(keras.callbacks.Callback):
    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def on_epoch_begin(self, epoch, logs=None):
        for part in self.parts:
            part.set_epoch(epoch)
