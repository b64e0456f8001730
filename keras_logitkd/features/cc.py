"""Correlation congruence: correlations within a batch.

Peng et al., "Correlation Congruence for Knowledge Distillation", ICCV 2019.
"""

import math

from keras import ops

from keras_logitkd.features import arithmetic


def rbf_correlations(features, gamma=0.4, order=2):
    """Gaussian kernel of a batch's directions, as its Taylor polynomial.

    Formula: exp(-2 gamma) * sum over p = 0..P of (2 gamma)^p / p! * (f_i . f_j)^p with f of length
    1, which tends to exp(-gamma ||f_i - f_j||^2).

    Args:
        features: Tensor of shape `(batch, ...)`.
        gamma: A positive float. Defaults to 0.4.
        order: P, an int. Defaults to 2.

    Returns:
        A float32 tensor of shape `(batch, batch)`; for even P and the default gamma in [0, 1].
    """
    directions = arithmetic.unit(arithmetic.flat(arithmetic.as_float32(features)))
    cosines = ops.matmul(directions, ops.transpose(directions))
    series = ops.ones_like(cosines)
    for p in range(order, 0, -1):
        series = 1.0 + 2.0 * gamma / p * cosines * series
    return math.exp(-2.0 * gamma) * series


def congruence_loss(teacher_features, student_features, gamma=0.4, order=2):
    """Mean squared difference of the two `rbf_correlations`. Sizes may differ.

    No gradient flows to the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`.
        student_features: Tensor of shape `(batch, ...)`.
        gamma: A positive float. Defaults to 0.4.
        order: An int. Defaults to 2.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return ops.mean(
        ops.square(
            rbf_correlations(student, gamma, order) - rbf_correlations(teacher, gamma, order)
        )
    )


def pairwise_loss(teacher_embedding, student_embedding):
    """Products of the absolute differences of consecutive examples, as the authors' code has it.

    Formula: mean over i of sum_k d_i,k d_i+1,k with d = |e^s - e^t|. It depends on the order of the
    batch. Both embeddings are trained, so the gradient flows to both; keep the teacher's features
    outside it.

    Args:
        teacher_embedding: Tensor of shape `(batch, size)`.
        student_embedding: Tensor of shape `(batch, size)`.

    Returns:
        A float32 scalar, 0 for a batch of one.
    """
    difference = ops.abs(
        arithmetic.as_float32(student_embedding) - arithmetic.as_float32(teacher_embedding)
    )
    pairs = ops.maximum(ops.shape(difference)[0] - 1, 1)
    return ops.sum(difference[:-1] * difference[1:]) / ops.cast(pairs, "float32")
