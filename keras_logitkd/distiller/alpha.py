"""The weights of the hard loss and of the distillation loss, which may move."""

import keras
import tensorflow as tf
from keras import ops

from keras_logitkd.features.objective import read_alpha
from keras_logitkd.losses.schedules import Scheduled

_NEEDS = {
    "label": "the hard loss needs labels. Received: targets without labels",
    "teacher_logits": "distillation needs a teacher: pass one to Distiller, or targets "
    '{"label": ..., "teacher_logits": ...}. Received: neither',
}


class Alpha(Scheduled):
    """alpha, and with it the weights of the terms on logits: 1 - alpha and alpha.

    A compiled step reads them from variables, each rounded to float32 from the number that it is
    in Python, where they may move. Until a constant one does, an evaluation has it as a constant
    (a sum with variables may differ in its last bit), and so has a training where it is 0 or 1: a
    term of weight 0 is no part of the step and may have no data.

    The variables are no part of what is saved: Keras must not track the object.

    Args:
        alpha: a number, a `Schedule` or the text of one.

    Attributes:
        value: alpha now, a float.
        is_variable: whether all steps that are compiled from now on read variables.

    Raises:
        ValueError: If it does not stay in [0, 1].
    """

    def __init__(self, alpha):
        super().__init__(read_alpha(alpha))
        self.is_variable = self.schedule.moves
        self._variables = {
            target: keras.Variable(
                weight, trainable=False, dtype="float32", autocast=False, name=f"{target}_weight"
            )
            for target, weight in _weights(self.value).items()
        }

    def assign(self, number):
        """Makes alpha another constant from now on; ValueError where it is none in [0, 1]."""
        schedule = read_alpha(number)
        if schedule.moves:
            raise ValueError(
                "`alpha` may be assigned a number; pass a schedule to Distiller. "
                f"Received: alpha={number!r}"
            )
        super().assign(schedule.first)

    @property
    def trains_on(self):
        """Whether training steps read variables already, and go on when alpha moves."""
        return self.is_variable or 0 < self.value < 1

    def weight(self, target, training):
        """Returns the weight of the term on a target: a float, or a tensor in a compiled step.

        Args:
            target: `"label"` or `"teacher_logits"`.
            training: whether the step trains.
        """
        reads = self.trains_on if training else self.is_variable
        if tf.executing_eagerly() or not reads:
            return _weights(self.value)[target]
        return ops.convert_to_tensor(self._variables[target])

    def check_lack(self, target, weight):
        """Raises ValueError where a batch lacks the target of a term that has, or may get, weight.

        `weight` is that of the term, 0.0 or another float, or a tensor.
        """
        if not isinstance(weight, float) or weight:
            moved = "" if self.is_ever(target) else ", which was assigned,"
            raise ValueError(f"With alpha={self.schedule.text}{moved} {_NEEDS[target]}")

    def is_ever(self, target):
        """Whether the term on a target has a weight at some time."""
        return any(_weights(end)[target] for end in self.schedule.ends)

    def _receive(self, value):
        self.is_variable = True
        for target, weight in _weights(value).items():
            self._variables[target].assign(weight)


def _weights(alpha):
    return {"label": 1.0 - alpha, "teacher_logits": alpha}
