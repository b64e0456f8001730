"""Similarity preserving: which examples of a batch resemble each other.

Tung & Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019.
"""

from keras import ops

from keras_logitkd.features import arithmetic


def similarity_loss(teacher_features, student_features):
    """Mean squared difference of the row-normalised similarity matrices of a batch.

    Formula: ||G^s - G^t||_F^2 / B^2 with G = F F^T, F of shape (B, everything else), and each row
    of G divided by its length. Sizes may differ. No gradient flows to the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`.
        student_features: Tensor of shape `(batch, ...)`.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return ops.mean(ops.square(_similarities(student) - _similarities(teacher)))


def _similarities(features):
    features = arithmetic.flat(features)
    return arithmetic.unit(ops.matmul(features, ops.transpose(features)))
