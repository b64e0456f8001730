"""Transformed teacher matching: only the teacher is softened.

Zheng and Yang, "Knowledge Distillation Based on Transformed Teacher Matching", ICLR 2024.
"""

import keras
from keras import ops

from keras_logitkd.losses import divergence
from keras_logitkd.losses.base import (
    check_classes,
    check_logits,
    check_probabilities,
    check_temperature,
    with_gradient,
)
from keras_logitkd.losses.registry import with_argument
from keras_logitkd.losses.temperature import SoftenedLoss


def logit_ttm(teacher_logits, student_logits, temperature=1.0, weighted=False):
    """Divergence of the student's distribution, as it is, from the teacher's softened one.

    Formula, with p(tau) = softmax(z / tau) (TTM), and with what `weighted` multiplies it by (WTTM):

        KL(p^t(tau) || p^s(1)),        sum_k p^t_k(1)^(1 / tau)

    without a factor of tau^2: the gradient is p^s(1) - p^t(tau), times that weight, and reaches
    the student alone. At tau = 1 both are plain KL. At tau = inf p^t is uniform, and the weight the
    number of classes; at tau = 0 p^t is at the largest logit (shared by equal ones), and the
    weight vanishes, which is refused. Precision and infinite logits are those of `logit_kl`: a
    teacher's -inf is a probability of 0 at every temperature.

    Args:
        teacher_logits, student_logits: Tensors of shape `(..., classes)`: the last axis holds the
            classes, at least two, whatever is before it are examples.
        temperature: of the teacher, a float in [0, inf]. Defaults to 1.0.
        weighted: Whether examples of which the teacher is less certain weigh more (above tau = 1).
            Defaults to False.

    Returns:
        A float32 tensor of shape `(...,)`, in nats.

    Raises:
        ValueError: If `temperature` is negative, nan, or 0 with `weighted`, the shapes differ,
            there is one class, or a teacher's largest logit of an example is infinite, where
            it is looked at (XLA does not).
    """
    temperature = _check(temperature, weighted)
    return _divergence(teacher_logits, student_logits, temperature, weighted)


def _divergence(teacher_logits, student_logits, temperature, weighted):
    """`logit_ttm` of what was checked; the temperature may be a tensor in (0, inf)."""
    teacher, student = check_classes(*check_logits(teacher_logits, student_logits))
    teacher = check_probabilities(teacher)

    def value_and_gradient(teacher, student):
        tau = divergence.within_range(temperature)
        shifted = teacher - ops.max(teacher, axis=-1, keepdims=True)
        softened = divergence.softened(shifted, tau)
        value, slope = divergence.softened_kl(softened, student, 1.0, "none", tails=True)
        if weighted:
            powers = ops.exp(divergence.softened(ops.log_softmax(teacher, axis=-1), tau))
            weight = ops.sum(powers, axis=-1, keepdims=True)
            value, slope = ops.squeeze(weight, axis=-1) * value, weight * slope
        return value, slope

    return with_gradient(value_and_gradient, teacher, student)


def _check(temperature, weighted):
    temperature = check_temperature(temperature)
    if not isinstance(weighted, bool):
        raise ValueError(f"`weighted` must be True or False. Received: weighted={weighted!r}")
    if weighted and temperature == 0:
        raise ValueError(
            "`temperature` must be above 0 with weighted=True: the weight vanishes there. "
            "Received: temperature=0"
        )
    return temperature


@keras.saving.register_keras_serializable(package="keras_logitkd")
class LogitTTM(SoftenedLoss):
    """Divergence of the student's distribution from the teacher's softened one.

    See `logit_ttm` for the formula, the limits and the shapes.

    Args:
        temperature: of the teacher, a number in [0, inf], or a schedule such as `"8..2@20"`, see
            `Schedule`; may be assigned, see `SoftenedLoss`. Defaults to 4.0.
        weighted: Whether examples are weighted (WTTM). Defaults to False (TTM).
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"logit_ttm"`.

    Example:

    >>> loss = LogitTTM(temperature=4.0, weighted=True)
    >>> value = loss(teacher_logits, student_logits)
    """

    def __init__(
        self,
        temperature=4.0,
        weighted=False,
        reduction="sum_over_batch_size",
        name="logit_ttm",
        dtype=None,
    ):
        self.weighted = weighted
        super().__init__(temperature, name, reduction, dtype)

    def check_temperature(self, temperature):
        return _check(temperature, self.weighted)

    @property
    def for_sigmoids(self):
        return with_argument("bkl", self.temperature)

    def call(self, y_true, y_pred):
        return _divergence(y_true, y_pred, self.read_temperature(y_pred), self.weighted)

    def get_config(self):
        return {**super().get_config(), "weighted": self.weighted}
