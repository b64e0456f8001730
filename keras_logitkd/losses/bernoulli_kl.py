"""The Kullback-Leibler divergence of logits that stand for themselves: one, or several labels."""

import math

import keras
from keras import ops

from keras_logitkd.losses import divergence
from keras_logitkd.losses.base import (
    CLASS_REDUCTIONS,
    check_choice,
    check_finite,
    check_logits,
    check_temperature,
    with_gradient,
)
from keras_logitkd.losses.temperature import SoftenedLoss


def logit_bernoulli_kl(
    teacher_logits, student_logits, temperature=1.0, scale="max", label_reduction="mean"
):
    """Divergence between softened Bernoulli distributions: of one logit, or of several labels.

    For classifiers that end in a sigmoid. Formula of a label, with p(tau) = sigmoid(z / tau):

        max(tau, tau^2) * [p^t log(p^t / p^s) + (1 - p^t) log((1 - p^t) / (1 - p^s))]

    which is `logit_kl` of the two logits (z, 0), with its precision, and is averaged over the
    labels. The limits are exact, with d = z^s - z^t: at tau = inf the value is d^2 / 8 and the
    gradient d / 4; at tau = 0 the value is |z^s| where the signs differ and else 0, and the
    gradient 1[z^s > 0] - 1[z^t > 0]. No gradient flows to the teacher.

    A teacher's logits of inf and -inf are probabilities of 1 and 0, and exact below tau = inf.

    Args:
        teacher_logits, student_logits: Tensors of shape `(..., labels)`: the last axis holds the
            labels, or one logit, whatever is before it are examples.
        temperature: A float in [0, inf]. Defaults to 1.0.
        scale: `"max"`, `"squared"` or `"none"`, as for `logit_kl`. Defaults to `"max"`.
        label_reduction: `"mean"` or `"sum"` over the labels. Defaults to `"mean"`.

    Returns:
        A float32 tensor of shape `(...,)`, in nats times the scale.

    Raises:
        ValueError: If `temperature` is negative or nan, `scale` is unknown or has no limit at
            this temperature, `label_reduction` is unknown, the shapes differ, or a teacher's
            logits are infinite at tau = inf, where they are looked at (XLA does not).
    """
    temperature = check_temperature(temperature, scale)
    check_choice("label_reduction", label_reduction, CLASS_REDUCTIONS)
    return _divergence(teacher_logits, student_logits, temperature, scale, label_reduction)


def _divergence(teacher_logits, student_logits, temperature, scale, label_reduction):
    """`logit_bernoulli_kl` of what was checked; the temperature may be a tensor in (0, inf)."""
    teacher, student = check_logits(teacher_logits, student_logits)
    if isinstance(temperature, float) and temperature == math.inf:
        teacher = check_finite(teacher, "bkl:inf", "bkl:T with T in [0, inf)")
    of_pairs = divergence.at(temperature, scale, tails=True)

    def value_and_gradient(teacher, student):
        value, slope = of_pairs(_as_pair(teacher), _as_pair(student))
        share = 1.0
        if label_reduction == "mean":
            share = 1.0 / ops.cast(ops.shape(value)[-1], value.dtype)
        return share * ops.sum(value, axis=-1), share * slope[..., 1]

    return with_gradient(value_and_gradient, teacher, student)


def _as_pair(logits):
    """(0, z) without its larger one, which the softmax ignores: inf has a place there, too."""
    return ops.stack([-ops.maximum(logits, 0.0), ops.minimum(logits, 0.0)], axis=-1)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class LogitBernoulliKL(SoftenedLoss):
    """Softened divergence of logits that end in a sigmoid: one, or several labels.

    See `logit_bernoulli_kl` for the formula, the limits and the shapes.

    Args:
        temperature: A number in [0, inf], or a schedule such as `"8..2@20"`, see `Schedule`; may
            be assigned, see `SoftenedLoss`. Defaults to 4.0.
        scale: `"max"`, `"squared"` or `"none"`. Defaults to `"max"`.
        label_reduction: `"mean"` or `"sum"` over the labels. Defaults to `"mean"`.
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"logit_bernoulli_kl"`.

    Example:

    >>> loss = LogitBernoulliKL(temperature=3.0)
    >>> value = loss(teacher_logits, student_logits)  # of shape (batch, 1), or (batch, labels)
    """

    def __init__(
        self,
        temperature=4.0,
        scale="max",
        label_reduction="mean",
        reduction="sum_over_batch_size",
        name="logit_bernoulli_kl",
        dtype=None,
    ):
        self.scale = scale
        self.label_reduction = check_choice("label_reduction", label_reduction, CLASS_REDUCTIONS)
        super().__init__(temperature, name, reduction, dtype)

    def check_temperature(self, temperature):
        return check_temperature(temperature, self.scale)

    def call(self, y_true, y_pred):
        temperature = self.read_temperature(y_pred)
        return _divergence(y_true, y_pred, temperature, self.scale, self.label_reduction)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "label_reduction": self.label_reduction,
        }
