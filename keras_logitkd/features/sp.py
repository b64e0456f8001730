"""Similarity preserving: which examples of a batch resemble each other.

Tung & Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic, relations
from keras_logitkd.features.method import FeatureMethod


def similarity_loss(teacher_features, student_features, weights=None, count=None):
    """Mean squared difference of the row-normalised similarity matrices of a batch.

    Formula: ||G^s - G^t||_F^2 / B^2 with G = F F^T, F of shape (B, everything else), and each row
    of G divided by its length. Sizes may differ. No gradient flows to the teacher.

    Args:
        teacher_features, student_features: Tensors of shape `(batch, ...)`.
        weights, count: Of the examples, as for `relations.mean`. Default to None.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    difference = _similarities(student, weights) - _similarities(teacher, weights)
    return relations.mean(ops.square(difference), weights, count)


def _similarities(features, weights):
    features = arithmetic.flat(features)
    return arithmetic.unit(ops.matmul(features, ops.transpose(features)), weights=weights)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class SimilarityPreserving(FeatureMethod):
    """Similarity preserving as a term of the loss; see `similarity_loss`.

    The weight is the authors' for batches of 64; the loss falls about as 1 / batch, so double it at
    128. Several taps are summed.

    Args:
        weight, taps, **kwargs: As for `FeatureMethod`. Defaults: 3000.0 and `("g3",)`.
    """

    method = "sp"
    takes_weights = True

    def __init__(self, weight=3000.0, taps=("g3",), **kwargs):
        super().__init__(weight=weight, taps=taps, **kwargs)

    def loss(self, teacher, student, batch):
        counted = relations.counted(batch)
        pairs = zip(teacher, student, strict=True)
        return sum(similarity_loss(t, s, *counted) for t, s in pairs)
