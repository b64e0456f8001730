"""Relational distillation: distances and angles within a batch.

Park et al., "Relational Knowledge Distillation", CVPR 2019.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic, relations
from keras_logitkd.features.checks import check_number
from keras_logitkd.features.method import FeatureMethod


def distance_loss(teacher_features, student_features, weights=None, count=None):
    """Huber loss (delta 1) between the pairwise distances of a batch.

    Formula: mean over B^2 of huber(d^s_ij - d^t_ij), d the Euclidean distances divided by the mean
    of those that are not zero. Sizes may differ. No gradient flows to the teacher.

    Args:
        teacher_features, student_features: Tensors of shape `(batch, ...)`.
        weights, count: Of the examples, as for `relations.mean`. Default to None.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    ours, theirs = (_relative_distances(each, weights) for each in (student, teacher))
    return relations.mean(_huber(ours - theirs), weights, count)


def angle_loss(teacher_features, student_features, weights=None, count=None):
    """Huber loss (delta 1) between the cosines of all angles within a batch.

    Formula: mean over B^3 of huber(e^s_ij . e^s_ik - e^t_ij . e^t_ik), e_ij the direction from
    example i to example j. Arguments and result are as for `distance_loss`.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    difference = _cosines(student) - _cosines(teacher)
    return relations.mean(_huber(difference), weights, count)


def _differences(features):
    features = arithmetic.flat(features)
    return ops.expand_dims(features, axis=0) - ops.expand_dims(features, axis=1)


def _relative_distances(features, weights):
    distances = arithmetic.length(_differences(features))
    pairs = None if weights is None else relations.products(weights, 2)
    count = ops.sum(arithmetic.weighed(arithmetic.as_float32(distances > 0), pairs))
    mean = ops.divide_no_nan(ops.sum(arithmetic.weighed(distances, pairs)), count)
    return distances / ops.where(mean > 0, mean, 1.0)


def _cosines(features):
    directions = arithmetic.unit(_differences(features))
    return ops.einsum("ijd,ikd->ijk", directions, directions)


def _huber(x):
    size = ops.abs(x)
    return ops.where(size < 1.0, 0.5 * ops.square(x), size - 0.5)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class RelationalDistillation(FeatureMethod):
    """Relational distillation as a term of the loss; see `distance_loss` and `angle_loss`.

    Formula: distance * distance loss + angle * angle loss, summed over taps, with the authors'
    weights. Memory grows with batch^2 * size and batch^3. Deviation: distances come from
    differences rather than from scalar products, in which they cancel.

    Args:
        weight: See `FeatureMethod`. Defaults to 1.0.
        taps: See `FeatureMethod`. Defaults to `("pool",)`.
        distance: Weight of the distances, at least 0. Defaults to 25.0.
        angle: Weight of the angles, at least 0. Defaults to 50.0.
        **kwargs: As for `FeatureMethod`.
    """

    method = "rkd"
    takes_weights = True

    def __init__(self, weight=1.0, taps=("pool",), distance=25.0, angle=50.0, **kwargs):
        super().__init__(weight=weight, taps=taps, **kwargs)
        self.distance = check_number("distance", distance)
        self.angle = check_number("angle", angle)

    def loss(self, teacher, student, batch):
        counted = relations.counted(batch)
        return sum(
            self.distance * distance_loss(t, s, *counted) + self.angle * angle_loss(t, s, *counted)
            for t, s in zip(teacher, student, strict=True)
        )
