"""Variational information distillation: a Gaussian of the teacher's features, given the student's.

Ahn et al., "Variational Information Distillation for Knowledge Transfer", CVPR 2019.
"""

import math

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_same_maps
from keras_logitkd.features.method import FeatureMethod

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


@keras.saving.register_keras_serializable(package="keras_logitkd")
class VariationalInformation(FeatureMethod):
    """Variational information distillation as a term of the loss, summed over taps.

    The mean comes from the student's features by three 1x1 convolutions without bias, of the
    teacher's width and with ReLU between them; the variance is a trainable number a channel, 5 at
    the start (see `gaussian_loss`). Deviation from mdistiller: there the variances are in no
    optimizer and stay at 5.

    Args:
        weight, taps, **kwargs: As for `FeatureMethod`. Defaults: 1.0 and `("g1", "g2", "g3")`.

    Raises:
        ValueError: When it is built, if the maps of a pair differ in size.
    """

    method = "vid"

    def __init__(self, weight=1.0, taps=("g1", "g2", "g3"), **kwargs):
        super().__init__(weight=weight, taps=taps, **kwargs)

    def build(self, student_shapes, teacher_shapes):
        check_same_maps(self, student_shapes, teacher_shapes)
        self.means, self.raw_variances = [], []
        initial = keras.initializers.Constant(INITIAL_RAW_VARIANCE)
        pairs = zip(student_shapes, teacher_shapes, strict=True)
        for place, (student, teacher) in enumerate(pairs, start=1):
            self.means.append(self._mean_network(place, student, teacher[-1]))
            raw = self.add_weight((teacher[-1],), initial, name=f"raw_variance{place}")
            self.raw_variances.append(raw)
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        terms = zip(teacher, student, self.means, self.raw_variances, strict=True)
        return sum(gaussian_loss(t, mean(s), raw) for t, s, mean, raw in terms)

    def _mean_network(self, place, shape, channels):
        rank = len(shape)
        names = [f"mean{place}_conv{number}" for number in (1, 2, 3)]
        layers = [self.conv(channels, name=name, rank=rank) for name in names]
        network = keras.Sequential(
            [layers[0], keras.layers.ReLU(), layers[1], keras.layers.ReLU(), layers[2]],
            name=f"{self.name}_mean{place}",
        )
        network.build((*[None] * (rank - 1), shape[-1]))
        return network
