"""Probabilistic knowledge transfer: similarities of a batch as probabilities.

Passalis & Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018.
"""

from keras import ops

from keras_logitkd.features import arithmetic

_EPSILON = 1e-7


def similarity_probabilities(features):
    """Cosine similarities within a batch, moved to [0, 1] and divided by the sum of their row.

    Args:
        features: Tensor of shape `(batch, ...)`.

    Returns:
        A float32 tensor of shape `(batch, batch)` whose rows sum to 1.
    """
    directions = arithmetic.unit(arithmetic.flat(arithmetic.as_float32(features)))
    cosines = ops.matmul(directions, ops.transpose(directions))
    similarities = ops.relu(0.5 * (cosines + 1.0))
    return similarities / ops.sum(similarities, axis=-1, keepdims=True)


def pkt_loss(teacher_features, student_features):
    """Divergence of the student's similarity probabilities from the teacher's.

    Formula: mean over B^2 of p^t log((p^t + e) / (p^s + e)), e = 1e-7, p as in
    `similarity_probabilities`. Sizes may differ. No gradient flows to the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`.
        student_features: Tensor of shape `(batch, ...)`.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    p_t, p_s = similarity_probabilities(teacher), similarity_probabilities(student)
    return ops.mean(p_t * (ops.log(p_t + _EPSILON) - ops.log(p_s + _EPSILON)))
