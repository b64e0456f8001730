"""Knowledge review: deep layers of the student help its shallow ones to meet the teacher's.

Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_connectable, check_number, check_same_maps
from keras_logitkd.features.method import FeatureMethod

_SIZES = (4, 2, 1)
_MAPS = (
    "maps (batch, height, width, channels) of equal size in student and teacher, or vectors in "
    "both; vid takes maps with other axes"
)


def hierarchical_loss(teacher_features, student_features):
    """Squared errors of a pair of maps at their size and pooled to 4, 2 and 1 (HCL).

    Formula: (MSE + MSE_4 / 2 + MSE_2 / 4 + MSE_1 / 8) / (sum of these weights). Only sizes below H
    take part, and each that does has half the weight of the one before. No gradient flows to the
    teacher.

    Args:
        teacher_features, student_features: Tensors of one shape, `(batch, H, W, C)`.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    difference = student - teacher
    weight = total = 1.0
    value = arithmetic.per_example(ops.square(difference))
    for size in (size for size in _SIZES if size < difference.shape[1]):
        weight /= 2.0
        total += weight
        pooled = arithmetic.average_pool(difference, size, size)
        value = value + weight * arithmetic.per_example(ops.square(pooled))
    return value / total


@keras.saving.register_keras_serializable(package="keras_logitkd")
class KnowledgeReview(FeatureMethod):
    """Knowledge review as a term of the loss: `hierarchical_loss` summed over the levels.

    From deep to shallow, each level's 1x1 convolution and normalization bring the student to
    `width` channels; below the deepest, the result is fused with that of the level above, resized
    to its size, by two learnt attention maps; a 3x3 convolution and normalization then bring it to
    the teacher's width. Weight 5 as for wide residual networks, reached over the first 20 epochs as
    (epoch + 1) / 20, counted from 0, as mdistiller does; the authors count one epoch less.
    Deviations: the teacher's widths are its own, where the authors write them down as 32, 64 and
    128; its moving statistics, where the authors leave it in training mode.

    Args:
        weight: See `FeatureMethod`. Defaults to `"0.25..5@19"`.
        taps: From shallow to deep, see `FeatureMethod`. Defaults to the student's groups and the
            teacher's before the ReLU, and `"pool"` of both.
        width: Most channels of the fusion; it has the last tap's if these are fewer. Defaults to
            512.
        **kwargs: As for `FeatureMethod`.

    Raises:
        ValueError: When it is built, if the maps of a pair differ in height or width, or have other
            axes; and in a step, if these are not known.
    """

    method = "reviewkd"

    def __init__(
        self,
        weight="0.25..5@19",
        taps=("g1:g1_pre", "g2:g2_pre", "g3:g3_pre", "pool"),
        width=512,
        **kwargs,
    ):
        super().__init__(weight=weight, taps=taps, **kwargs)
        self.width = check_number("width", width, least=1, whole=True)

    def build(self, student_shapes, teacher_shapes):
        check_same_maps(self, student_shapes, teacher_shapes, _MAPS, ranks=(2, 4))
        width = min(self.width, student_shapes[-1][-1])
        self.fusions = []
        pairs = zip(student_shapes, teacher_shapes, strict=True)
        for place, (student, teacher) in enumerate(pairs, start=1):
            fusion = _Fusion(self, place, width, teacher[-1], is_deepest=place == len(self.taps))
            fusion.build((None, *_as_map(student)[1:]))
            self.fusions.append(fusion)
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        deeper, total = None, 0.0
        for t, s, fusion in reversed([*zip(teacher, student, self.fusions, strict=True)]):
            known = None not in (*t.shape[1:], *s.shape[1:])
            received = (tuple(s.shape), tuple(t.shape))
            check_connectable(self, "maps of a size that is known in each step", known, received)
            t, s = (ops.reshape(features, _as_map(features.shape)) for features in (t, s))
            output, deeper = fusion(s, deeper, training=batch.training)
            total = total + hierarchical_loss(t, output)
        return total


class _Fusion(keras.layers.Layer):
    """One level: its features, fused with what comes from the level above."""

    def __init__(self, method, place, width, channels, is_deepest):
        super().__init__(name=f"{method.name}_level{place}", dtype="float32")
        self.width = width
        self.reduce = method.conv(width, name=f"level{place}_reduce")
        self.reduce_norm = method.norm(name=f"level{place}_reduce_norm")
        self.attend = None
        if not is_deepest:
            self.attend = method.conv(2, use_bias=True, name=f"level{place}_attention")
        self.expand = method.conv(channels, 3, name=f"level{place}_expand")
        self.expand_norm = method.norm(name=f"level{place}_expand_norm")

    def build(self, shape):
        self.reduce.build(shape)
        narrow = (*shape[:-1], self.width)
        self.reduce_norm.build(narrow)
        if self.attend is not None:
            self.attend.build((*shape[:-1], 2 * self.width))
        self.expand.build(narrow)
        self.expand_norm.build((*shape[:-1], self.expand.filters))

    def call(self, features, deeper, training=False):
        fused = self.reduce_norm(self.reduce(features), training=training)
        if self.attend is not None:
            deeper = ops.image.resize(
                deeper, fused.shape[1:3], interpolation="nearest", data_format="channels_last"
            )
            attention = ops.sigmoid(self.attend(ops.concatenate([fused, deeper], axis=-1)))
            fused = fused * attention[..., :1] + deeper * attention[..., 1:]
        return self.expand_norm(self.expand(fused), training=training), fused


def _as_map(shape):
    """The shape of a map, also where features have no positions."""
    return (-1, 1, 1, shape[-1]) if len(shape) == 2 else (-1, *shape[1:])
