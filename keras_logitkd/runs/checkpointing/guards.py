"""What ends a training that cannot come to anything any more."""

import math

import keras
import numpy as np

_ADVICE = (
    "Lower the learning rate (--learning-rate), or check the data; a --resume of the same settings "
    "would come to the same"
)


class StopAtNonFinite(keras.callbacks.Callback):
    """Ends a run at the step after which its mean loss, or an epoch's metric, is not finite.

    No checkpoint is written then: the last one is from before.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # A mean over the epoch's steps: one that is not finite leaves it so.
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"{_culprit(logs, self.model)} in step {batch + 1} of epoch {self._epoch + 1}. "
                f"{_ADVICE}"
            )

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"The {name} became {value} in epoch {epoch + 1}. {_ADVICE}"
                )


def _culprit(logs, model):
    """What is not finite: the term of a feature method with its auxiliary layers, or the loss."""
    for method in getattr(model, "features", ()):
        if not math.isfinite(logs.get(method.name, 0.0)):
            layers = [layer for layer in method.auxiliary_layers() if not _is_finite(layer)]
            names = ", ".join(layer.name for layer in layers) or "none"
            return (
                f"The term of {method.name} became {logs[method.name]} (auxiliary layers that are "
                f"not finite: {names})"
            )
    return f"The loss became {logs['loss']}"


def _is_finite(layer):
    return all(keras.ops.all(keras.ops.isfinite(variable)) for variable in layer.variables)


def check_finite(arrays):
    """Raises FloatingPointError where a state, a dict of arrays, is not finite: none is saved."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise FloatingPointError(f"The state {name} stopped being finite. {_ADVICE}")
