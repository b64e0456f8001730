"""Similarity preserving: which examples of a batch resemble each other.

Tung & Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.method import FeatureMethod


def similarity_loss(teacher_features, student_features):
    """Mean squared difference of the row-normalised similarity matrices of a batch.

    Formula: ||G^s - G^t||_F^2 / B^2 with G = F F^T, F of shape (B, everything else), and each row
    of G divided by its length. Sizes may differ. No gradient flows to the teacher.

    Args:
        teacher_features, student_features: Tensors of shape `(batch, ...)`.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return ops.mean(ops.square(_similarities(student) - _similarities(teacher)))


def _similarities(features):
    features = arithmetic.flat(features)
    return arithmetic.unit(ops.matmul(features, ops.transpose(features)))


@keras.saving.register_keras_serializable(package="keras_logitkd")
class SimilarityPreserving(FeatureMethod):
    """Similarity preserving as a term of the loss; see `similarity_loss`.

    The weight is the authors' for batches of 64; the loss falls about as 1 / batch, so double it at
    128. Several taps are summed.

    Args:
        weight, taps, **kwargs: As for `FeatureMethod`. Defaults: 3000.0 and `("g3",)`.
    """

    method = "sp"

    def __init__(self, weight=3000.0, taps=("g3",), **kwargs):
        super().__init__(weight=weight, taps=taps, **kwargs)

    def loss(self, teacher, student, batch):
        return sum(similarity_loss(t, s) for t, s in zip(teacher, student, strict=True))
