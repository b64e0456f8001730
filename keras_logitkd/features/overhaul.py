"""Overhaul (OFD): features before the activation, as far as they matter after it.

Heo et al., "A Comprehensive Overhaul of Feature Distillation", ICCV 2019.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.connectors import Connectors
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.features.taps import Graph

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
        teacher_features, student_features: Tensors of one shape, `(batch, ..., channels)`.
        margin: m, shape `(channels,)`, not positive; see `negative_margin`.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    target = ops.maximum(teacher, arithmetic.as_float32(margin))
    counts = ops.logical_or(student > target, teacher > 0)
    return arithmetic.per_example(ops.square(ops.where(counts, student - target, 0.0)), ops.sum)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class Overhaul(FeatureMethod):
    """Overhaul: weight * sum over the taps of level weight * `partial_l2`, beside the hard loss.

    Level weights are 1/4, 1/2, 1. Connectors are 1x1 convolutions without bias and batch
    normalization, also where the channel counts are equal. The margins are of the teacher's batch
    normalization before the tap; where the tap is a sum, of the one that ends its main branch.

    The authors' teacher is in training mode, which they found better (their Table 8), and which
    moves its statistics as a side effect; here `teacher_bn="batch"` leaves these alone. Batch
    normalization and biases have no weight decay here, unlike in the authors' code.

    Args:
        weight: Defaults to 0.001.
        taps: Defaults to the three groups before their ReLU.
        teacher_bn: Defaults to `"batch"`.
        **kwargs: As for `FeatureMethod`.
    """

    method = "overhaul"

    def __init__(
        self, weight=0.001, taps=("g1_pre", "g2_pre", "g3_pre"), teacher_bn="batch", **kwargs
    ):
        super().__init__(weight=weight, taps=taps, teacher_bn=teacher_bn, **kwargs)
        self._margins = ()

    def prepare(self, teacher):
        norms = [Graph(teacher).norm_before(tap) for tap in self.teacher_taps]
        self._margins = tuple(
            negative_margin(
                norm.gamma if norm.scale else np.ones(norm.moving_mean.shape),
                norm.beta if norm.center else np.zeros(norm.moving_mean.shape),
            )
            for norm in norms
        )

    def build(self, student_shapes, teacher_shapes):
        self.connectors = Connectors(self, student_shapes, teacher_shapes)
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        connected = self.connectors(student, training=batch.training)
        terms = zip(self.connectors.levels, teacher, connected, self._margins, strict=True)
        return sum(level * partial_l2(t, s, margin) for level, t, s, margin in terms)
