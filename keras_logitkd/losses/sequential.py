"""One loss after another."""

import numbers

import keras
from keras import ops

from keras_logitkd.losses import registry
from keras_logitkd.losses.base import LogitLoss
from keras_logitkd.losses.temperature import SoftenedLoss


@keras.saving.register_keras_serializable(package="keras_logitkd")
class SequentialLoss(LogitLoss):
    """One objective after another within a run, by epoch.

    `Distiller.fit` tells the loss each epoch. Elsewhere call `set_epoch` yourself, for instance
    from `keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: loss.set_epoch(epoch))`.

    A temperature that goes by epochs counts those of its stage, and is there in the last of them
    where it does not say when. One that goes by steps belongs into the first stage.

    Args:
        stages: `(loss, first epoch)` pairs, the first at epoch 0, in rising order. A loss may be
            anything that `get` accepts, but not a `SequentialLoss`.
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"sequential_loss"`.

    Raises:
        ValueError: If the first epochs do not begin at 0 and rise, or a later stage goes by steps.

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

    def set_epoch(self, epoch, epochs=None):
        """Chooses the stage that is active in `epoch` (an int, counted from 0), of so many."""
        self._epoch.assign(epoch)
        ends = [start for _, start in self.stages[1:]] + [epochs]
        for (loss, start), end in zip(self.stages, ends, strict=True):
            is_active = start <= epoch and (end is None or epoch < end)
            if is_active and isinstance(loss, SoftenedLoss):
                loss.set_epoch(epoch - start, end and end - start)

    @property
    def by_steps(self):
        """Whether the first stage goes by updates of the optimizer."""
        return getattr(self.stages[0][0], "by_steps", False)

    def set_steps(self, steps):
        """Moves the temperature of the first stage after so many updates of the optimizer."""
        if self.by_steps:
            self.stages[0][0].set_steps(steps)

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
    if any(getattr(loss, "by_steps", False) for loss, _ in stages[1:]):
        raise ValueError(
            "`stages` after the first cannot go by steps, which count from the beginning of the "
            f"training: let them go by epochs. Received first epochs: {starts}"
        )
    return [(loss, int(start)) for loss, start in stages]
