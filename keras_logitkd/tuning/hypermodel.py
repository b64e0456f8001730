"""A KerasTuner hypermodel for any student, teacher and data."""

import keras
import keras_tuner

from keras_logitkd.distiller import Distiller
from keras_logitkd.features import Objective
from keras_logitkd.tuning.space import SearchSpace


class DistillationHyperModel(keras_tuner.HyperModel):
    """Builds a compiled `Distiller` whose loss, temperature and alpha a KerasTuner tuner chooses.

    Give it to any tuner with `objective="val_accuracy"`, and give `search` what `Distiller.fit`
    takes. With `teacher=None` the targets are `{"label": ..., "teacher_logits": ...}`, logits of
    shape `(batch, classes)`, in the training and in the validation data.

    Args:
        student: function from a `keras_tuner.HyperParameters` to a new, built `keras.Model` that
            returns logits; it may declare hyperparameters of its own.
        teacher: As for `Distiller`. Defaults to None: the data carries the logits.
        space: a `SearchSpace`. Defaults to kl with tau in [0.1, 30] and mse, at alpha 1.
        compile_options: function from the `HyperParameters` to the arguments of
            `Distiller.compile`, a dict with new objects. Defaults to Adam and the accuracy.
        name, tunable: As for `keras_tuner.HyperModel`.

    Raises:
        TypeError: If `student` or `compile_options` is not a function.

    Example:

    >>> hypermodel = DistillationHyperModel(lambda hp: build_student(), teacher)
    >>> tuner = keras_tuner.RandomSearch(hypermodel, objective="val_accuracy", max_trials=20)
    >>> tuner.search(x_train, y_train, epochs=10, validation_split=0.1)
    >>> student = tuner.get_best_models()[0].student
    """

    def __init__(
        self, student, teacher=None, space=None, compile_options=None, name=None, tunable=True
    ):
        super().__init__(name=name, tunable=tunable)
        functions = {"student": student, "compile_options": compile_options or _compile_options}
        for argument, value in functions.items():
            if not callable(value) or isinstance(value, keras.Model):
                raise TypeError(
                    f"`{argument}` must be a function of the hyperparameters: each trial needs "
                    f"new objects. Received: {argument}={value!r}"
                )
        self.student = student
        self.teacher = teacher
        self.space = SearchSpace() if space is None else space
        self.compile_options = functions["compile_options"]

    def build(self, hp):
        """Returns the compiled `Distiller` of some `keras_tuner.HyperParameters`."""
        candidate = self.space.declare(hp)
        *before, stage = Objective.parse(candidate.objective, candidate.alpha).training()
        if before:
            raise ValueError(
                "A hypermodel trains in one stage; `logitkd tune` searches methods with several. "
                f"Received: {candidate.objective}"
            )
        distiller = Distiller.for_stage(stage, self.teacher, self.student(hp))
        distiller.compile(**self.compile_options(hp))
        return distiller


def _compile_options(hp):
    return {"optimizer": "adam", "metrics": ["accuracy"]}
