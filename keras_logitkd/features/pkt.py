"""Probabilistic knowledge transfer: similarities of a batch as probabilities.

Passalis & Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic, relations
from keras_logitkd.features.method import FeatureMethod

_EPSILON = 1e-7


def similarity_probabilities(features, weights=None):
    """Cosine similarities within a batch, moved to [0, 1] and divided by the sum of their row.

    Args:
        features: Tensor of shape `(batch, ...)`.
        weights: Of the examples, shape `(batch,)`. Defaults to None: all count alike.

    Returns:
        A float32 tensor of shape `(batch, batch)` whose rows sum to 1, each entry by its weight.
    """
    similarities = ops.relu(0.5 * (arithmetic.cosines(features) + 1.0))
    total = ops.sum(arithmetic.weighed(similarities, weights), axis=-1, keepdims=True)
    return similarities / total if weights is None else ops.divide_no_nan(similarities, total)


def pkt_loss(teacher_features, student_features, weights=None, count=None):
    """Divergence of the student's similarity probabilities from the teacher's.

    Formula: mean over B^2 of p^t log((p^t + e) / (p^s + e)), e = 1e-7, p as in
    `similarity_probabilities`. Sizes may differ. No gradient flows to the teacher.

    Args:
        teacher_features, student_features: Tensors of shape `(batch, ...)`.
        weights, count: Of the examples, as for `relations.mean`. Default to None.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    p_t, p_s = (similarity_probabilities(each, weights) for each in (teacher, student))
    # The rows of p_s - p_t sum to 0, so this is the formula, and near equality nothing cancels.
    x = (p_s - p_t) / (p_t + _EPSILON)
    return relations.mean(p_t * (x - ops.log1p(x)) + _EPSILON * x, weights, count)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class ProbabilisticTransfer(FeatureMethod):
    """Probabilistic knowledge transfer as a term of the loss; see `pkt_loss`.

    The weight is RepDistiller's for batches of 64, beside the hard loss with weight 1; the loss
    falls about as 1 / batch, so double it at 128. The authors train without labels.

    Args:
        weight, taps, **kwargs: As for `FeatureMethod`. Defaults: 30000.0 and `("pool",)`.
    """

    method = "pkt"
    takes_weights = True

    def __init__(self, weight=30000.0, taps=("pool",), **kwargs):
        super().__init__(weight=weight, taps=taps, **kwargs)

    def loss(self, teacher, student, batch):
        counted = relations.counted(batch)
        pairs = zip(teacher, student, strict=True)
        return sum(pkt_loss(t, s, *counted) for t, s in pairs)
