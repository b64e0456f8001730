"""The squared error between logits."""

import keras
from keras import ops

from keras_logitkd.losses import divergence
from keras_logitkd.losses.base import (
    CLASS_REDUCTIONS,
    LogitLoss,
    check_choice,
    check_finite,
    check_logits,
)


def logit_mse(teacher_logits, student_logits, class_reduction="mean"):
    """Squared error between student and teacher logits.

    Formula: sum_k (z^s_k - z^t_k)^2 (Eq. 9), divided by the number of classes for `"mean"`.
    No gradient flows to the teacher.

    Args:
        teacher_logits, student_logits: Tensors of shape `(..., classes)`: the last axis holds the
            classes, whatever is before it are examples.
        class_reduction: `"mean"` is what the paper's published numbers used, `"sum"` is Eq. 9
            as printed. Defaults to `"mean"`.

    Returns:
        A float32 tensor of shape `(...,)`.

    Raises:
        ValueError: If `class_reduction` is unknown, the shapes differ, or a teacher's logits are
            infinite, where they are looked at (XLA does not).
    """
    check_choice("class_reduction", class_reduction, CLASS_REDUCTIONS)
    teacher, student = check_logits(teacher_logits, student_logits)
    teacher = check_finite(teacher, "mse", "kl:T with T in [0, inf)")
    reduce = ops.mean if class_reduction == "mean" else ops.sum
    wide = divergence.wide()
    difference = ops.cast(student, wide) - ops.cast(ops.stop_gradient(teacher), wide)
    return ops.cast(reduce(ops.square(difference), axis=-1), "float32")


@keras.saving.register_keras_serializable(package="keras_logitkd")
class LogitMSE(LogitLoss):
    """Squared error between the student's and the teacher's logits. See `logit_mse`.

    Args:
        class_reduction: `"mean"` or `"sum"` over the classes. Defaults to `"mean"`.
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"logit_mse"`.
    """

    def __init__(
        self, class_reduction="mean", reduction="sum_over_batch_size", name="logit_mse", dtype=None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.class_reduction = check_choice("class_reduction", class_reduction, CLASS_REDUCTIONS)

    def call(self, y_true, y_pred):
        return logit_mse(y_true, y_pred, self.class_reduction)

    def get_config(self):
        return {**super().get_config(), "class_reduction": self.class_reduction}
