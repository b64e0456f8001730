"""What the losses on logits share: their base class, checks, and a gradient of their own.

Equation numbers are those of Kim et al., "Comparing Kullback-Leibler Divergence and Mean Squared
Error Loss in Knowledge Distillation", IJCAI 2021. Written in `keras.ops`: any backend.
"""

import keras
from keras import ops

from keras_logitkd.losses import divergence


class LogitLoss(keras.losses.Loss, keras.distillation.DistillationLoss):
    """Base of the objectives: a Keras loss of (teacher logits, student logits).

    Subclasses define `call(y_true, y_pred)`. An instance is a `keras.losses.Loss`, fits our
    `Distiller`, and is a `keras.distillation.DistillationLoss` as well.
    """

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """Computes the reduced loss, as `keras.distillation.Distiller` asks for it."""
        return self(teacher_outputs, student_outputs)


def with_gradient(value_and_gradient, teacher, student):
    """Returns the loss of logits from a function that gives its values and their gradient.

    Args:
        value_and_gradient: From teacher and student logits of shape `(batch, classes)`, in the
            dtype of `divergence.wide`, to values `(batch,)` and their slope `(batch, classes)`.
        teacher, student: As `check_logits` returns them.

    Returns:
        A float32 tensor of shape `(batch,)`, through which that gradient flows to the student.
    """

    @ops.custom_gradient
    def loss(teacher, student):
        value, slope = value_and_gradient(
            ops.cast(teacher, divergence.wide()), ops.cast(student, divergence.wide())
        )
        slope = ops.cast(slope, "float32")

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return ops.zeros_like(teacher), ops.expand_dims(upstream, axis=-1) * slope

        return ops.cast(value, "float32"), gradient

    return loss(ops.stop_gradient(teacher), student)


def check_logits(teacher_logits, student_logits):
    """Returns both as float32 tensors `(batch, classes)`; ValueError where they do not fit."""
    teacher = ops.cast(ops.convert_to_tensor(teacher_logits), "float32")
    student = ops.cast(ops.convert_to_tensor(student_logits), "float32")
    same_rank = len(teacher.shape) == len(student.shape) >= 2
    if not same_rank or teacher.shape[-1] != student.shape[-1]:
        raise ValueError(
            "Teacher and student logits must both have shape (batch, classes) with the same "
            f"classes. Received: teacher {tuple(teacher.shape)}, student {tuple(student.shape)}"
        )
    return teacher, student


def check_choice(argument, value, allowed):
    """Returns `value` if it is allowed, or raises ValueError."""
    if value not in allowed:
        raise ValueError(f"`{argument}` must be one of {allowed}. Received: {argument}={value!r}")
    return value
