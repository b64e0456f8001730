"""The Kullback-Leibler divergence between softened distributions."""

import math

import keras

from keras_logitkd.losses import divergence
from keras_logitkd.losses.base import (
    check_classes,
    check_finite,
    check_logits,
    check_probabilities,
    check_temperature,
    with_gradient,
)
from keras_logitkd.losses.registry import with_argument
from keras_logitkd.losses.standardization import standardized
from keras_logitkd.losses.temperature import SoftenedLoss


def logit_kl(teacher_logits, student_logits, temperature=1.0, scale="max", standardize=False):
    """Kullback-Leibler divergence between softened teacher and student distributions.

    Formula, with p(tau) = softmax(z / tau) and the factor of Eq. 7:

        max(tau, tau^2) * sum_k p^t_k (log p^t_k - log p^s_k)

    The limits are exact: at tau = inf (Eqs. 5 and 8) the value is half the variance over the
    classes of z^s - z^t; at tau = 0 (Eq. 6) it is max_j z^s_j - z^s_{argmax z^t}, how far the
    class that the student predicts leads the teacher's, with the gradient
    1[argmax z^s = k] - 1[argmax z^t = k].

    Value and gradient come from forms that do not cancel: with x = (d - E_{p^t}[d]) / tau and
    d = z^s - z^t, KL = log1p(E_{p^t}[expm1(x) - x]). They are evaluated in float64 where the
    backend has it, so that they are good to float32's precision for logits of any size and
    offset, and the same eagerly, in a graph and under XLA. No gradient flows to the teacher.

    A teacher's logit of -inf is a probability of 0, and exact below tau = inf: 0 log 0 = 0. A
    student's where the teacher has a probability makes the value inf, and its gradient finite.

    With `standardize` both networks' logits are z-scores, z' = (z - mean_k z) / std_k z with the
    population's std (Sun et al., CVPR 2024): scale and shift of both drop out. At tau = inf the
    value is 1 - rho(z^s, z^t), Pearson's correlation. Equal logits, which have none, count as a
    uniform distribution, z' = 0, and as std = 1 in the gradient.

    Args:
        teacher_logits, student_logits: Tensors of shape `(..., classes)`: the last axis holds the
            classes, at least two, whatever is before it are examples.
        temperature: A float in [0, inf]. Defaults to 1.0.
        scale: Factor of the divergence: `"max"` is max(tau, tau^2), `"squared"` is tau^2
            (Hinton et al., 2015) and `"none"` is 1. Defaults to `"max"`. A limit that is
            identically zero or diverges under the scale asked for is refused.
        standardize: Whether to take z-scores of the logits. Needs three classes: two logits are
            always -1 and 1. Defaults to False.

    Returns:
        A float32 tensor of shape `(...,)`, in nats times the scale.

    Raises:
        ValueError: If `temperature` is negative or nan, `scale` is unknown or has no limit at
            this temperature, the shapes differ, or there are too few classes; and where values are
            looked at (XLA does not), if a teacher's logits are infinite at tau = inf or with
            `standardize`, or the largest of an example is.
    """
    temperature = _check(temperature, scale, standardize)
    return _divergence(teacher_logits, student_logits, temperature, scale, standardize)


def _divergence(teacher_logits, student_logits, temperature, scale, standardize):
    """`logit_kl` of what was checked; the temperature may be a tensor in (0, inf)."""
    teacher, student = check_classes(*check_logits(teacher_logits, student_logits))
    if standardize:
        _check_three(teacher)
        teacher = check_finite(teacher, "standardize=True", "kl:T with T in [0, inf) without it")
        of_scores = standardized(divergence.at(temperature, scale, tails=True))
        return with_gradient(of_scores, teacher, student)
    if isinstance(temperature, float) and temperature == math.inf:
        teacher = check_finite(teacher, "kl:inf", "kl:T with T in [0, inf)")
    else:
        teacher = check_probabilities(teacher)
    return with_gradient(divergence.at(temperature, scale), teacher, student)


def _check(temperature, scale, standardize):
    if not isinstance(standardize, bool):
        raise ValueError(
            f"`standardize` must be True or False. Received: standardize={standardize!r}"
        )
    return check_temperature(temperature, scale)


def _check_three(teacher):
    if teacher.shape[-1] == 2:
        raise ValueError(
            "`standardize` needs at least 3 classes: two logits are always -1 and 1 in units of "
            "their deviation, and nothing is learnt. Pass kl:T without it. Received: 2 classes"
        )


@keras.saving.register_keras_serializable(package="keras_logitkd")
class LogitKL(SoftenedLoss):
    """Softened Kullback-Leibler divergence of the student's logits from the teacher's.

    See `logit_kl` for the formula, the limits and the shapes.

    Args:
        temperature: A number in [0, inf], or a schedule such as `"8..2@20"`, see `Schedule`; may
            be assigned, see `SoftenedLoss`. Defaults to 4.0.
        scale: `"max"`, `"squared"` or `"none"`. Defaults to `"max"` (Eq. 7).
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"logit_kl"`.
        standardize: Whether to take z-scores of the logits. Defaults to False.

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
        standardize=False,
    ):
        self.scale = scale
        self.standardize = standardize
        super().__init__(temperature, name, reduction, dtype)

    def check_temperature(self, temperature):
        return _check(temperature, self.scale, self.standardize)

    @property
    def for_sigmoids(self):
        return with_argument("bkl", self.temperature)

    def call(self, y_true, y_pred):
        temperature = self.read_temperature(y_pred)
        return _divergence(y_true, y_pred, temperature, self.scale, self.standardize)

    def get_config(self):
        config = super().get_config() | {"scale": self.scale}
        # Left out where it is not asked for: configs are what they were before there was one.
        return config | ({"standardize": True} if self.standardize else {})


def parse_temperature(text):
    """Reads a temperature such as `"4"`, `"0.5"` or `"inf"` and checks its range."""
    try:
        temperature = float(text)
    except ValueError:
        temperature = text
    return check_temperature(temperature)
