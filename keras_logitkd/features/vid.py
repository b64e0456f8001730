"""Variational information distillation: a Gaussian of the teacher's features, given the student's.

Ahn et al., "Variational Information Distillation for Knowledge Transfer", CVPR 2019.
"""

import math

from keras import ops

from keras_logitkd.features import arithmetic

_LEAST_VARIANCE = 1e-5
INITIAL_VARIANCE = 5.0
# The trainable number whose `variance` is the initial one.
INITIAL_RAW_VARIANCE = math.log(math.expm1(INITIAL_VARIANCE - _LEAST_VARIANCE))


def variance(raw):
    """softplus(raw) + 1e-5, in float32: the variance of each channel from what is trained."""
    return ops.softplus(arithmetic.as_float32(raw)) + _LEAST_VARIANCE


def gaussian_loss(teacher_features, mean, raw_variance):
    """Negative log-likelihood of the teacher's features, without its constant.

    Formula: mean over positions and channels of ((mu - F^t)^2 / v + log v) / 2, v per channel as
    `variance` makes it. Legally negative. No gradient flows to the teacher's features.

    Args:
        teacher_features: Tensor of shape `(batch, ..., channels)`.
        mean: mu, of the same shape, from the student's features.
        raw_variance: Tensor of shape `(channels,)`.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, mean = arithmetic.detached_pair(teacher_features, mean)
    v = variance(raw_variance)
    return arithmetic.per_example(0.5 * (ops.square(mean - teacher) / v + ops.log(v)))
