"""DIST: correlation in place of equality of the predicted probabilities.

Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_number
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.losses.base import check_classes, check_logits
from keras_logitkd.networks import places


def correlation_distance(teacher, student, axis, weights=None):
    """1 - Pearson correlation along an axis of two matrices.

    A teacher's constant row or column correlates with nothing: the distance is 0 there, and for a
    constant one of the student's alone it is 1, both without gradient.

    Args:
        teacher, student: Tensors of shape `(batch, classes)`.
        axis: 1 for one value a row, 0 for one value a column.
        weights: Of the entries, broadcast to the matrices. Defaults to None: all count alike.

    Returns:
        A float32 tensor of shape `(batch,)` or `(classes,)`, in [0, 2].
    """
    teacher, student = arithmetic.detached_pair(teacher, student)
    t, s = (
        arithmetic.unit(arithmetic.deviation(each, axis, weights), axis, weights)
        for each in (teacher, student)
    )
    is_defined = arithmetic.as_float32(ops.any(t != 0, axis=axis))
    return is_defined - ops.sum(arithmetic.weighed(t * s, weights), axis=axis)


def dist_loss(teacher_logits, student_logits, temperature=4.0, mask=None, weight=None):
    """Correlation distances between and within classes.

    Formula, with p = softmax(z / tau):

        tau^2 * (mean over rows of (1 - corr(p^s, p^t)) + mean over columns of the same)

    Rows are the places, columns the classes. Rows are averaged as `places.mean` does; the
    correlation of a column is that of the places that count, each by its weight. The paper has no
    tau^2; the authors' code has. No gradient flows to the teacher.

    Args:
        teacher_logits, student_logits: Tensors of shape `(batch, ..., classes)`.
        temperature: A positive float. Defaults to 4.0.
        mask, weight: Of the places, `(batch, ...)`, see `networks.places`. Default to None.

    Returns:
        A float32 scalar, at most 4 tau^2 where no weight is above 1.

    Raises:
        ValueError: If the shapes differ, or there is only one class.
    """
    teacher, student = check_classes(*check_logits(teacher_logits, student_logits))
    if len(teacher.shape) > 2:
        teacher, student = (ops.reshape(z, (-1, ops.shape(z)[-1])) for z in (teacher, student))
        mask, weight = (None if x is None else ops.reshape(x, (-1,)) for x in (mask, weight))
    weights = places.weights(mask, weight)
    if weights is not None:
        weights = ops.expand_dims(weights, axis=-1)
    p_t, p_s = (
        ops.softmax(arithmetic.counted(z, weights) / temperature, axis=-1)
        for z in arithmetic.detached_pair(teacher, student)
    )
    between = places.mean(correlation_distance(p_t, p_s, axis=1), mask, weight)
    within = ops.mean(correlation_distance(p_t, p_s, axis=0, weights=weights))
    return temperature**2 * (between + within)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class DIST(FeatureMethod):
    """DIST as a term of the loss; see `dist_loss`. Works from stored logits, too.

    Defaults are those of the authors' CIFAR-100 recipe: weight 2 and temperature 4 beside the hard
    loss with weight 1. Deviation: a correlation that is not defined counts 0, see
    `correlation_distance`; the authors add an epsilon of 1e-8, by which it counts 1.

    Args:
        weight: See `FeatureMethod`. Defaults to 2.0.
        temperature: A float, at least 0.001. Defaults to 4.0.
        **kwargs: As for `FeatureMethod`.
    """

    method = "dist"
    needs_teacher = False
    needs_softmax = True
    takes_weights = True

    def __init__(self, weight=2.0, temperature=4.0, **kwargs):
        super().__init__(weight=weight, **kwargs)
        self.temperature = check_number("temperature", temperature, least=1e-3)

    def loss(self, teacher, student, batch):
        logits = batch.teacher_logits, batch.student_logits
        return dist_loss(*logits, self.temperature, batch.mask, batch.weight)
