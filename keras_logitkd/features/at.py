"""Attention transfer: where the network looks, per group.

Zagoruyko & Komodakis, "Paying More Attention to Attention", ICLR 2017.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_maps
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.losses.base import check_choice

MODES = ("code", "paper")


def attention_map(features):
    """Mean over the channels of the squared features, as one vector of length 1 an example.

    Args:
        features: Tensor of shape `(batch, ..., C)`.

    Returns:
        A float32 tensor of shape `(batch, positions)`; zero where the features are.
    """
    energy = ops.mean(ops.square(arithmetic.as_float32(features)), axis=-1)
    return arithmetic.unit(arithmetic.flat(energy))


def attention_loss(teacher_features, student_features, mode="code"):
    """Distance of the attention maps q^t and q^s of one pair of layers.

    Formula: `"code"` is the mean over the P positions of (q^s - q^t)^2, at most 2 / P, as the
    authors' code has it; `"paper"` is ||q^s - q^t||_2 / 2, their Eq. 2. Channel counts may differ;
    the larger map is average-pooled to the smaller's size. No gradient flows to the teacher.

    Args:
        teacher_features, student_features: Maps of shape `(batch, ..., C)`, such as `(batch, H, W,
            C)`, with as many axes.
        mode: `"code"` or `"paper"`. Defaults to `"code"`.

    Returns:
        A float32 tensor of shape `(batch,)`.

    Raises:
        ValueError: If `mode` is unknown, or as `arithmetic.same_size` does.
    """
    check_choice("mode", mode, MODES)
    teacher, student = arithmetic.same_size(
        *arithmetic.detached_pair(teacher_features, student_features)
    )
    difference = attention_map(student) - attention_map(teacher)
    if mode == "paper":
        return 0.5 * arithmetic.length(difference)
    return ops.mean(ops.square(difference), axis=-1)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class AttentionTransfer(FeatureMethod):
    """Attention transfer: weight * sum over the taps of `attention_loss`, beside the hard loss.

    No auxiliary layers; channel counts and sizes may differ. Maps may have any number of axes, as
    many in both networks. The paper's beta is `weight`.

    Args:
        weight: Defaults to 1000.0, the authors' beta for the mean over the map's positions.
        taps: Defaults to the ends of the three groups, before normalization and ReLU.
        mode: `"code"` or `"paper"`, see `attention_loss`. Defaults to `"code"`.
        **kwargs: As for `FeatureMethod`.

    Raises:
        ValueError: When it is built, if features are vectors, or a pair has not as many axes.
    """

    method = "at"

    def __init__(self, weight=1000.0, taps=("g1", "g2", "g3"), mode="code", **kwargs):
        super().__init__(weight=weight, taps=taps, **kwargs)
        self.mode = check_choice("mode", mode, MODES)

    def build(self, student_shapes, teacher_shapes):
        check_maps(self, student_shapes, teacher_shapes)
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        pairs = zip(teacher, student, strict=True)
        return sum(attention_loss(theirs, ours, self.mode) for theirs, ours in pairs)
