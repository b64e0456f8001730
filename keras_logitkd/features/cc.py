"""Correlation congruence: correlations within a batch.

Peng et al., "Correlation Congruence for Knowledge Distillation", ICCV 2019.
"""

import math

import keras
from keras import ops

from keras_logitkd.features import arithmetic, relations
from keras_logitkd.features.checks import check_connectable, check_number
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.losses.base import check_choice


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
    cosines = arithmetic.cosines(features)
    series = ops.ones_like(cosines)
    for p in range(order, 0, -1):
        series = 1.0 + 2.0 * gamma / p * cosines * series
    return math.exp(-2.0 * gamma) * series


def congruence_loss(
    teacher_features, student_features, gamma=0.4, order=2, weights=None, count=None
):
    """Mean squared difference of the two `rbf_correlations`. Sizes may differ.

    No gradient flows to the teacher.

    Args:
        teacher_features, student_features: Tensors of shape `(batch, ...)`.
        gamma, order: As for `rbf_correlations`.
        weights, count: Of the examples, as for `relations.mean`. Default to None.

    Returns:
        A float32 scalar.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    ours = rbf_correlations(student, gamma, order)
    difference = ours - rbf_correlations(teacher, gamma, order)
    return relations.mean(ops.square(difference), weights, count)


def pairwise_loss(teacher_embedding, student_embedding, weights=None, count=None):
    """Products of the absolute differences of consecutive examples, as the authors' code has it.

    Formula: mean over i of sum_k d_i,k d_i+1,k with d = |e^s - e^t|. It depends on the order of the
    batch. Both embeddings are trained, so the gradient flows to both; keep the teacher's features
    outside it.

    Args:
        teacher_embedding, student_embedding: Tensors of shape `(batch, size)`.
        weights, count: Of the examples, as for `relations.mean`. Default to None.

    Returns:
        A float32 scalar, 0 for a batch of one.
    """
    difference = ops.abs(
        arithmetic.as_float32(student_embedding) - arithmetic.as_float32(teacher_embedding)
    )
    pairs = ops.maximum((ops.shape(difference)[0] if count is None else count) - 1, 1)
    of_pairs = None if weights is None else ops.expand_dims(weights[:-1] * weights[1:], axis=-1)
    total = ops.sum(arithmetic.weighed(difference[:-1] * difference[1:], of_pairs))
    return total / ops.cast(pairs, "float32")


FORMS = ("rbf", "pairwise")
_WEIGHTS = {"rbf": 100.0, "pairwise": 0.02}


@keras.saving.register_keras_serializable(package="keras_logitkd")
class CorrelationCongruence(FeatureMethod):
    """Correlation congruence as a term of the loss.

    `"rbf"` is the paper's, `congruence_loss` on the features themselves, with weight 100;
    `"pairwise"` is what the authors' code and RepDistiller have, `pairwise_loss` on linear
    embeddings of both networks, which are trained with the student, with weight 0.02. It has a
    trivial optimum: embeddings that are constant. Deviation from the paper: the correlations of
    vectors of length 1, and a mean of squares.

    Args:
        weight: See `FeatureMethod`. Defaults to None: that of the form.
        taps: See `FeatureMethod`. Defaults to `("pool",)`.
        form: `"rbf"` or `"pairwise"`. Defaults to `"rbf"`.
        gamma: Of the kernel, at least 0. Defaults to 0.4.
        order: Of its Taylor polynomial, at least 1. Defaults to 2.
        size: Of the embeddings. Defaults to 128.
        **kwargs: As for `FeatureMethod`.
    """

    method = "cc"
    takes_weights = True

    def __init__(
        self, weight=None, taps=("pool",), form="rbf", gamma=0.4, order=2, size=128, **kwargs
    ):
        check_choice("form", form, FORMS)
        super().__init__(weight=_WEIGHTS[form] if weight is None else weight, taps=taps, **kwargs)
        self.form = form
        self.gamma = check_number("gamma", gamma)
        self.order = check_number("order", order, least=1, whole=True)
        self.size = check_number("size", size, least=1, whole=True)

    def build(self, student_shapes, teacher_shapes):
        embedded = self.form == "pairwise"
        self.of_student = self._embeddings("student", student_shapes) if embedded else []
        self.of_teacher = self._embeddings("teacher", teacher_shapes) if embedded else []
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        counted = relations.counted(batch)
        if self.form == "rbf":
            pairs = zip(teacher, student, strict=True)
            return sum(congruence_loss(t, s, self.gamma, self.order, *counted) for t, s in pairs)
        embedded = zip(teacher, student, self.of_teacher, self.of_student, strict=True)
        return sum(
            pairwise_loss(of_teacher(arithmetic.flat(t)), of_student(arithmetic.flat(s)), *counted)
            for t, s, of_teacher, of_student in embedded
        )

    def _embeddings(self, network, shapes):
        layers = []
        for place, shape in enumerate(shapes, start=1):
            wanted = "features of a known size with form=pairwise; form=rbf takes any"
            check_connectable(self, wanted, None not in shape[1:], tuple(shape))
            form = {"kernel_regularizer": self.regularizer(), "dtype": "float32"}
            layer = keras.layers.Dense(self.size, name=f"{self.name}_{network}{place}", **form)
            layer.build((None, math.prod(shape[1:])))
            layers.append(layer)
        return layers
