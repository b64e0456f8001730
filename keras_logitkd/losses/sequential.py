"""One loss after another."""

import numbers

import keras
from keras import ops

from keras_logitkd.losses import registry
from keras_logitkd.losses.base import LogitLoss


@keras.saving.register_keras_serializable(package="keras_logitkd")
class SequentialLoss(LogitLoss):
    """One objective after another within a run, by epoch.

    `Distiller.fit` tells the loss each epoch. Elsewhere call `set_epoch` yourself, for instance
    from `keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: loss.set_epoch(epoch))`.

    Args:
        stages: `(loss, first epoch)` pairs, the first at epoch 0, in rising order. A loss may be
            anything that `get` accepts, but not a `SequentialLoss`.
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"sequential_loss"`.

    Raises:
        ValueError: If the first epochs do not begin at 0 and rise.

    Example:

    >>> loss = SequentialLoss([(LogitKL(3.0), 0), (LogitMSE(), 100)])
    """

    def __init__(self, stages, reduction="sum_over_batch_size", name="sequential_loss", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.stages = _check_stages(stages)
        self._epoch = keras.Variable(0, dtype="int32", trainable=False, name="epoch")

    @property
    def for_sigmoids(self):
        instead = [getattr(loss, "for_sigmoids", None) for loss, _ in self.stages]
        if not any(instead):
            return None
        return ",".join(
            f"{spec or loss.name.removeprefix('logit_')}@{start}"
            for spec, (loss, start) in zip(instead, self.stages, strict=True)
        )

    def set_epoch(self, epoch):
        """Chooses the stage that is active in `epoch` (an int, counted from 0)."""
        self._epoch.assign(epoch)

    def call(self, y_true, y_pred):
        starts = ops.convert_to_tensor([start for _, start in self.stages], dtype="int32")
        active = ops.sum(ops.cast(starts <= self._epoch.value, "int32")) - 1
        return ops.switch(active, [loss.call for loss, _ in self.stages], y_true, y_pred)

    def get_config(self):
        stages = [[keras.saving.serialize_keras_object(loss), at] for loss, at in self.stages]
        return {**super().get_config(), "stages": stages}


def _check_stages(stages):
    pairs = isinstance(stages, list | tuple) and all(
        isinstance(stage, list | tuple) and len(stage) == 2 for stage in stages
    )
    if not pairs:
        raise ValueError(f"`stages` must be (loss, first epoch) pairs. Received: stages={stages!r}")
    starts = [start for _, start in stages]
    whole = all(isinstance(at, numbers.Real) and float(at).is_integer() for at in starts)
    if not whole or starts[:1] != [0] or sorted(set(starts)) != starts:
        raise ValueError(
            "`stages` must be (loss, first epoch) pairs that begin at epoch 0 and rise. "
            f"Received first epochs: {starts}"
        )
    stages = [(registry.get(loss), start) for loss, start in stages]
    if any(isinstance(loss, SequentialLoss) for loss, _ in stages):
        raise ValueError("`stages` must not contain a SequentialLoss. Received one inside another")
    return [(loss, int(start)) for loss, start in stages]
