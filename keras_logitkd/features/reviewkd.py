"""Knowledge review: deep layers of the student help its shallow ones to meet the teacher's.

Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021.
"""

from keras import ops

from keras_logitkd.features import arithmetic

_SIZES = (4, 2, 1)


def hierarchical_loss(teacher_features, student_features):
    """Squared errors of a pair of maps at their size and pooled to 4, 2 and 1 (HCL).

    Formula: (MSE + MSE_4 / 2 + MSE_2 / 4 + MSE_1 / 8) / (sum of these weights). Only sizes below H
    take part, and each that does has half the weight of the one before. No gradient flows to the
    teacher.

    Args:
        teacher_features: Tensor of shape `(batch, H, W, C)`.
        student_features: Tensor of the same shape.

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
