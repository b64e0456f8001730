"""The Kullback-Leibler divergence between softened distributions."""

import math
import numbers

import keras

from keras_logitkd.losses import divergence
from keras_logitkd.losses.base import LogitLoss, check_choice, check_logits, with_gradient

_SCALES = ("max", "squared", "none")


def logit_kl(teacher_logits, student_logits, temperature=1.0, scale="max"):
    """Kullback-Leibler divergence between softened teacher and student distributions.

    Formula, with p(tau) = softmax(z / tau) and the factor of Eq. 7:

        max(tau, tau^2) * sum_k p^t_k (log p^t_k - log p^s_k)

    The limits are exact: at tau = inf (Eqs. 5 and 8) the value is half the variance over the
    classes of z^s - z^t; at tau = 0 (Eq. 6) the gradient is 1[argmax z^s = k] - 1[argmax z^t = k]
    and the value reported is 1 where the two argmax differ and 0 elsewhere.

    Value and gradient come from forms that do not cancel: with x = (d - E_{p^t}[d]) / tau and
    d = z^s - z^t, KL = log1p(E_{p^t}[expm1(x) - x]). They are evaluated in float64 where the
    backend has it, so that they are good to float32's precision for logits of any size and
    offset, and the same eagerly, in a graph and under XLA. No gradient flows to the teacher.

    Args:
        teacher_logits, student_logits: Tensors of shape `(batch, classes)`.
        temperature: A float in [0, inf]. Defaults to 1.0.
        scale: Factor of the divergence: `"max"` is max(tau, tau^2), `"squared"` is tau^2
            (Hinton et al., 2015) and `"none"` is 1. Defaults to `"max"`. A limit that is
            identically zero or diverges under the scale asked for is refused.

    Returns:
        A float32 tensor of shape `(batch,)`, in nats times the scale.

    Raises:
        ValueError: If `temperature` is negative or nan, `scale` is unknown or has no limit at
            this temperature, or the class counts differ.
    """
    temperature = _check_temperature(temperature, scale)
    teacher, student = check_logits(teacher_logits, student_logits)
    if temperature == math.inf:
        return with_gradient(divergence.variance_limit, teacher, student)
    if temperature == 0:
        return with_gradient(divergence.argmax_limit, teacher, student)
    return with_gradient(
        lambda teacher, student: divergence.softened_kl(teacher, student, temperature, scale),
        teacher,
        student,
    )


@keras.saving.register_keras_serializable(package="keras_logitkd")
class LogitKL(LogitLoss):
    """Softened Kullback-Leibler divergence of the student's logits from the teacher's.

    See `logit_kl` for the formula, the limits and the shapes.

    Args:
        temperature: A float in [0, inf]. Defaults to 4.0.
        scale: `"max"`, `"squared"` or `"none"`. Defaults to `"max"` (Eq. 7).
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"logit_kl"`.

    Example:

    >>> loss = LogitKL(temperature=3.0)
    >>> value = loss(teacher_logits, student_logits)
    """

    def __init__(
        self,
        temperature=4.0,
        scale="max",
        reduction="sum_over_batch_size",
        name="logit_kl",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = _check_temperature(temperature, scale)
        self.scale = scale

    def call(self, y_true, y_pred):
        return logit_kl(y_true, y_pred, self.temperature, self.scale)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature, "scale": self.scale}


def parse_temperature(text):
    """Reads a temperature such as `"4"`, `"0.5"` or `"inf"` and checks its range."""
    try:
        temperature = float(text)
    except ValueError:
        temperature = text
    return _check_temperature(temperature, "max")


def _check_temperature(temperature, scale):
    check_choice("scale", scale, _SCALES)
    is_number = isinstance(temperature, numbers.Real) and not isinstance(temperature, bool)
    if not is_number or not temperature >= 0:
        raise ValueError(
            f"`temperature` must be a number in [0, inf]. Received: temperature={temperature!r}"
        )
    vanishes = (temperature == 0 and scale != "max") or (
        temperature == math.inf and scale == "none"
    )
    if vanishes:
        raise ValueError(
            f'`scale` must be "max" at temperature {temperature} (or "squared" at inf): with '
            f"another factor there is no useful limit. Received: scale={scale!r}"
        )
    return float(temperature)
