"""Overhaul (OFD): features before the activation, as far as they matter after it.

Heo et al., "A Comprehensive Overhaul of Feature Distillation", ICCV 2019.
"""

import math

import numpy as np
from keras import ops

from keras_logitkd.features import arithmetic

# Where fewer responses than this are negative, their mean is not trusted.
_RARE = 0.001
_normal_below = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2.0)), otypes=[float])


def negative_margin(gamma, beta):
    """Mean of the negative responses of a batch normalisation, per channel.

    Formula: with x ~ N(beta, gamma^2), E[x | x < 0] = beta - |gamma| phi(z) / Phi(-z),
    z = beta / |gamma|; where Phi(-z) <= 0.001 it is -3 |gamma|. For gamma = 0, where x is beta,
    it is min(beta, 0).

    Args:
        gamma: The scale, array of shape `(channels,)`.
        beta: The offset, array of shape `(channels,)`.

    Returns:
        A float32 array of shape `(channels,)`, never positive.
    """
    spread, beta = np.abs(np.asarray(gamma, float)), np.asarray(beta, float)
    z = beta / np.where(spread > 0, spread, 1.0)
    below = _normal_below(-z)
    is_rare = below <= _RARE
    density = np.exp(-0.5 * np.square(np.clip(z, -40.0, 40.0))) / math.sqrt(2.0 * math.pi)
    mean = beta - spread * density / np.where(is_rare, 1.0, below)
    margin = np.where(is_rare, -3.0 * spread, mean)
    return np.where(spread > 0, margin, np.minimum(beta, 0.0)).astype("float32")


def partial_l2(teacher_features, student_features, margin):
    """Squared error to the teacher's features, except where both are negative enough.

    Formula, over features before the activation, with the target t' = max(t, m):

        sum over positions and channels of (s - t')^2 where s > t' or t > 0, and 0 elsewhere

    No gradient flows to the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ..., channels)`.
        student_features: Tensor of the same shape.
        margin: m, shape `(channels,)`, not positive; see `negative_margin`.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    target = ops.maximum(teacher, arithmetic.as_float32(margin))
    counts = ops.logical_or(student > target, teacher > 0)
    return arithmetic.per_example(ops.square(ops.where(counts, student - target, 0.0)), ops.sum)
