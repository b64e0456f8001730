"""Neuron selectivity: which positions the channels respond to, as a set.

Huang & Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer", 2017.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_maps
from keras_logitkd.features.method import FeatureMethod


def selectivity_loss(teacher_features, student_features):
    """Squared maximum mean discrepancy of the channels' maps, kernel k(a, b) = (a . b)^2.

    Formula: mean k(T, T) + mean k(S, S) - 2 mean k(S, T) over all pairs of channels, each channel's
    map a vector of length 1 over the positions. Never negative in exact arithmetic. Channel counts
    may differ; the larger map is average-pooled to the smaller's size. No gradient flows to the
    teacher.

    Args:
        teacher_features, student_features: Maps of shape `(batch, ..., C)`, such as `(batch, H, W,
            C)`, with as many axes.

    Returns:
        A float32 tensor of shape `(batch,)`.

    Raises:
        ValueError: As `arithmetic.same_size` does.
    """
    teacher, student = arithmetic.same_size(
        *arithmetic.detached_pair(teacher_features, student_features)
    )
    t, s = _channel_maps(teacher), _channel_maps(student)
    return _mean_kernel(t, t) + _mean_kernel(s, s) - 2.0 * _mean_kernel(s, t)


def _channel_maps(features):
    shape = ops.shape(features)
    return arithmetic.unit(ops.reshape(features, (shape[0], -1, shape[-1])), axis=1)


def _mean_kernel(a, b):
    return ops.mean(ops.square(ops.einsum("bpc,bpd->bcd", a, b)), axis=(1, 2))


@keras.saving.register_keras_serializable(package="keras_logitkd")
class NeuronSelectivity(FeatureMethod):
    """Neuron selectivity transfer as a term of the loss, summed over taps; see `selectivity_loss`.

    Weight and taps are RepDistiller's; the authors take the last group only and leave out the
    teacher's constant mean k(T, T).

    Args:
        weight, taps, **kwargs: As for `FeatureMethod`. Defaults: 50.0 and `("g1", "g2", "g3")`.

    Raises:
        ValueError: When it is built, if features are vectors, or a pair has not as many axes.
    """

    method = "nst"

    def __init__(self, weight=50.0, taps=("g1", "g2", "g3"), **kwargs):
        super().__init__(weight=weight, taps=taps, **kwargs)

    def build(self, student_shapes, teacher_shapes):
        check_maps(self, student_shapes, teacher_shapes)
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        return sum(selectivity_loss(t, s) for t, s in zip(teacher, student, strict=True))
