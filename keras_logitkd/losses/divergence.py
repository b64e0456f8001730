"""The arithmetic of the Kullback-Leibler divergence between softened distributions.

Each function takes teacher and student logits of shape (..., classes) in the dtype of `wide` and
returns the values, shape (...,), and their gradient with respect to the student's logits, shape
(..., classes). A temperature in (0, inf) may be a scalar tensor of a graph, within the range of its
dtype. Equation numbers are those of Kim et al., IJCAI 2021.
"""

import math

import keras
from keras import ops

# Temperatures beyond these are numerically at their limit already, and nearer to 0 or inf the
# quotients and squares below would leave the range of the dtype.
_FINITE_TEMPERATURES = {"float64": (1e-250, 1e100), "float32": (1e-30, 1e15)}
# What stands for -inf: no logit of float32 is there, and the quotients below stay finite.
_EXCLUDED = {"float64": -1e50, "float32": -3.4e38}
# Above, sums of exponentials would overflow, and nothing cancels.
_LARGE_EXPONENT = 60.0


def at(temperature, scale, tails=False):
    """Returns the function for a temperature in [0, inf]. `scale`, `tails`: of `softened_kl`."""
    if isinstance(temperature, float) and temperature in (0, math.inf):
        return argmax_limit if temperature == 0 else variance_limit
    return lambda teacher, student: softened_kl(teacher, student, temperature, scale, tails)


def within_range(temperature):
    """Returns a temperature that is as good as at its limit where it is beyond the dtype's range.

    0 stands for the smallest, inf for the largest; a tensor is within the range.
    """
    if not isinstance(temperature, float):
        return temperature
    lowest, highest = _FINITE_TEMPERATURES[wide()]
    return min(max(temperature, lowest), highest)


def softened(values, tau):
    """Returns values / tau, with the bits of a constant tau where it is a tensor of a graph.

    Compilers turn a division by a constant into a product with its inverse.
    """
    return values / tau if isinstance(tau, float) else values * (1.0 / tau)


def softened_kl(teacher, student, temperature, scale, tails=False):
    """KL at a temperature in (0, inf), times its factor (Eq. 7).

    With x = (d - E[d]) / tau, d = z^s - z^t and the expectation under p^t(tau), KL is
    log E[exp(x)] = log1p(E[expm1(x) - x]), in which nothing cancels.

    A class whose logit is -inf at the teacher counts as 0 log 0 = 0. Where some x is large, as
    there, each network's own log_softmax serves: its error of 1e-16 is nothing beside 1. With
    `tails` classes without a probability at the teacher do not count as such, nor those with
    little at both, and values and gradients far below 1 keep all their digits, too.
    """
    tau = within_range(temperature)
    teacher, student = _shifted(teacher), _shifted(student)
    log_p = ops.log_softmax(softened(teacher, tau), axis=-1)
    log_q = ops.log_softmax(softened(student, tau), axis=-1)
    p, q = ops.exp(log_p), ops.exp(log_q)
    difference = student - teacher
    x = softened(difference - ops.sum(p * difference, axis=-1, keepdims=True), tau)
    terms = p * _expm1_minus_x(ops.minimum(x, _LARGE_EXPONENT))
    if tails:
        moderate, is_large = _with_tails(x, terms, log_p, p, q)
    else:
        is_large = ops.max(x, axis=-1, keepdims=True) > _LARGE_EXPONENT
        moderate = ops.log1p(ops.sum(terms, axis=-1, keepdims=True))
    large = ops.sum(ops.where(p > 0, p * (log_p - log_q), 0.0), axis=-1, keepdims=True)
    kl = ops.where(is_large, large, moderate)

    log_ratio = ops.where(is_large, log_q - log_p, x - kl)  # log p^s - log p^t
    near = p * ops.expm1(ops.clip(log_ratio, -1.0, 1.0))
    p_difference = ops.where(ops.abs(log_ratio) < 1.0, near, q - p)

    factor = _factor(tau, scale)
    return factor * ops.squeeze(kl, axis=-1), (factor / tau) * p_difference


def _factor(tau, scale):
    """What multiplies a divergence at a temperature."""
    if scale == "none":
        return 1.0
    squared = tau * tau
    if scale == "squared":
        return squared
    return max(tau, squared) if isinstance(tau, float) else ops.maximum(tau, squared)


def _shifted(logits):
    """Logits with the largest at 0, which keeps every digit; -inf becomes a finite number.

    It is below all that logits of float32 can be, and a probability of 0 at every temperature.
    """
    # An example without any finite logit has no distribution, and shows as nan.
    largest = ops.max(logits, axis=-1, keepdims=True)
    return ops.maximum(logits, _EXCLUDED[wide()]) - largest


def _with_tails(x, terms, log_p, p, q):
    """(KL, where it must be taken from log_softmax) from the terms of E[expm1(x) - x].

    Classes without a probability at the teacher are left out: what the student gives to them, m,
    adds -log(1 - m). A large x whose product with p is small is a small term, too.
    """
    absent = ops.equal(p, 0.0)
    q_absent = ops.sum(ops.where(absent, q, 0.0), axis=-1, keepdims=True)
    exponent = ops.where(absent, -math.inf, log_p + x)  # log p^s + KL
    product = ops.exp(ops.minimum(exponent, _LARGE_EXPONENT))
    is_large = ops.max(exponent, axis=-1, keepdims=True) > _LARGE_EXPONENT
    terms = ops.where(x > _LARGE_EXPONENT, product - ops.where(absent, 0.0, p * (1.0 + x)), terms)
    kl = ops.log1p(ops.sum(terms, axis=-1, keepdims=True)) - ops.log1p(-ops.minimum(q_absent, 0.5))
    return kl, ops.logical_or(is_large, q_absent > 0.5)


def variance_limit(teacher, student):
    """Eqs. 5 and 8, tau = inf: half the variance of the logit differences."""
    difference = student - teacher
    centred = difference - ops.mean(difference, axis=-1, keepdims=True)
    classes = ops.cast(ops.shape(difference)[-1], difference.dtype)
    return 0.5 * ops.mean(ops.square(centred), axis=-1), centred / classes


def argmax_limit(teacher, student):
    """Eq. 6, tau = 0: the student's lead of the class that it predicts over the teacher's."""
    predicted, wanted = _largest(student), _largest(teacher)
    margin = ops.max(student, axis=-1) - ops.sum(ops.where(wanted, student, 0.0), axis=-1)
    is_broken = ops.any(ops.isnan(teacher), axis=-1)
    gradient = ops.cast(predicted, student.dtype) - ops.cast(wanted, student.dtype)
    return ops.where(is_broken, math.nan, margin), gradient


def _largest(logits):
    """Where the largest logit of each example is, the first one of equals; shape as `logits`."""
    classes = ops.arange(ops.shape(logits)[-1], dtype="int64")
    label = ops.cast(ops.argmax(logits, axis=-1), "int64")
    return ops.equal(classes, ops.expand_dims(label, axis=-1))


def _expm1_minus_x(x):
    """exp(x) - 1 - x without cancellation: a series near 0."""
    series = ops.ones_like(x)
    for n in range(10, 2, -1):
        series = 1.0 + x / n * series
    return ops.where(ops.abs(x) < 0.1, 0.5 * ops.square(x) * series, ops.expm1(x) - x)


def wide():
    """The dtype of the evaluation: JAX has no float64 unless told so globally."""
    return "float32" if keras.backend.backend() == "jax" else "float64"
