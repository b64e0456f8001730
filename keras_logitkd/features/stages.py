"""Stages: what is trained with which loss, and for how long."""

import dataclasses

TRAINS = ("all", "taps", "aux")


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of a training; the student and the auxiliary layers go from one to the next.

    Where a method has stages, a training in plain Keras is

    >>> for stage in method.stages(epochs=200):
    ...     distiller = Distiller.for_stage(stage, teacher, student)
    ...     rate = stage.learning_rate or 0.1
    ...     distiller.compile(keras.optimizers.SGD(rate, momentum=0.9, nesterov=True))
    ...     distiller.fit(x_train, y_train, epochs=stage.epochs)

    Args:
        name: of the stage.
        logit_loss: what `losses.get` reads, or None.
        alpha: (1 - alpha) * hard loss + alpha * logit loss + feature terms. With alpha 1 and no
            logit loss the feature terms are alone.
        features: tuple of `FeatureMethod`.
        trains: `"all"`; `"taps"`: the student up to the methods' taps, whose other layers do not
            even run, and the auxiliary layers; `"aux"`: the auxiliary layers alone. Defaults to
            `"all"`.
        epochs: of the stage. Defaults to None: those of the training.
        learning_rate: constant through the stage. Defaults to None: as the training has it.
    """

    name: str
    logit_loss: object
    alpha: float
    features: tuple = ()
    trains: str = "all"
    epochs: int | None = None
    learning_rate: float | None = None

    @property
    def needs_teacher(self):
        """Whether the live teacher must run in each step."""
        return any(method.needs_teacher for method in self.features)

    @property
    def needs_labels(self):
        """Whether the targets must have labels."""
        return self.alpha != 1 or any(method.needs_labels for method in self.features)

    @property
    def needs_indices(self):
        """Whether the targets must have the index of each example."""
        return any(method.needs_indices for method in self.features)
