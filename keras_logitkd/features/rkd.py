"""Relational distillation: distances and angles within a batch.

Park et al., "Relational Knowledge Distillation", CVPR 2019.
"""

from keras import ops

from keras_logitkd.features import arithmetic


def distance_loss(teacher_features, student_features):
    """Huber loss (delta 1) between the pairwise distances of a batch.

    Formula: mean over B^2 of huber(d^s_ij - d^t_ij), d the Euclidean distances divided by the mean
    of those that are not zero. Sizes may differ. No gradient flows to the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`.
        student_features: Tensor of shape `(batch, ...)`.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return ops.mean(_huber(_relative_distances(student) - _relative_distances(teacher)))


def angle_loss(teacher_features, student_features):
    """Huber loss (delta 1) between the cosines of all angles within a batch.

    Formula: mean over B^3 of huber(e^s_ij . e^s_ik - e^t_ij . e^t_ik), e_ij the direction from
    example i to example j. Sizes may differ. No gradient flows to the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`.
        student_features: Tensor of shape `(batch, ...)`.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return ops.mean(_huber(_cosines(student) - _cosines(teacher)))


def _differences(features):
    features = arithmetic.flat(features)
    return ops.expand_dims(features, axis=0) - ops.expand_dims(features, axis=1)


def _relative_distances(features):
    distances = arithmetic.length(_differences(features))
    count = ops.sum(arithmetic.as_float32(distances > 0))
    mean = ops.sum(distances) / ops.maximum(count, 1.0)
    return distances / ops.where(mean > 0, mean, 1.0)


def _cosines(features):
    directions = arithmetic.unit(_differences(features))
    return ops.einsum("ijd,ikd->ijk", directions, directions)


def _huber(x):
    size = ops.abs(x)
    return ops.where(size < 1.0, 0.5 * ops.square(x), size - 0.5)
