"""Telling what depends on the epoch which one begins."""

import functools

import keras


def follow_epochs(arguments, loss, methods):
    """Adds a callback to the arguments of `fit`, by name and in place, that calls `set_epoch`.

    A loss without one is left alone; feature methods are told the number of epochs, too.
    """
    setters = [
        functools.partial(method.set_epoch, epochs=arguments.get("epochs", 1)) for method in methods
    ]
    if hasattr(loss, "set_epoch"):
        setters.append(loss.set_epoch)
    if not setters:
        return
    callbacks = arguments.get("callbacks") or []

    def tell(epoch, logs):
        for set_epoch in setters:
            set_epoch(epoch)

    teller = keras.callbacks.LambdaCallback(on_epoch_begin=tell)
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks.append(teller)
    else:
        callbacks = [*keras.tree.flatten(callbacks), teller]
    arguments["callbacks"] = callbacks
