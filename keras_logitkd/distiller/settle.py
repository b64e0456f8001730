"""What counts in a batch and by how much: once, for every term and every metric alike."""

import tensorflow as tf
from keras import ops

from keras_logitkd.distiller.hard_losses import check_labels
from keras_logitkd.features.labels import class_numbers
from keras_logitkd.losses.kinds import SIGMOID
from keras_logitkd.networks import places, two_classes
from keras_logitkd.networks.shapes import compatible


def settle(batch, kind, hard_loss, class_weight=None):
    """Fills in a batch, in place, what its terms and metrics ask for.

    The teacher's logits get as many as the student has, where one of them has one logit for two
    classes. `mask` leaves out what the masks of either network do, and labels of the hard loss's
    `ignore_class`, which become 0. `weight` is that of each place: the sample weight, of an
    example or of a place, times the class weight of its label.

    Args:
        batch: a `Batch` with the logits that there are.
        kind: of the classifier, see `losses.kinds`.
        hard_loss: of the distiller.
        class_weight: {class: weight}, or None.

    Raises:
        ValueError: If labels are not of the form that the hard loss takes, weights fit no places,
            or class weights have no meaning.
    """
    student, teacher = batch.student_logits, batch.teacher_logits
    logits = teacher if student is None else student
    masks = [(places.mask_of(network), "a mask") for network in (student, teacher)]
    if teacher is not None and student is not None:
        batch.teacher_logits = _fitted(teacher, student, kind)
    if getattr(batch.label, "shape", None) is not None and logits is not None:
        batch.label, counted = _label(batch.label, logits, kind, hard_loss)
        masks.append((counted, "labels"))
    batch.mask = places.common(_of_places(*mask, logits) for mask in masks)
    if batch.mask is not None and student is not None:
        batch.student_logits = places.with_mask(student, batch.mask)
    batch.weight = _weight(batch, logits, class_weight, kind)


def _label(label, logits, kind, hard_loss):
    """The labels as the hard loss takes them, and which of them it does not ignore, or None."""
    label = ops.convert_to_tensor(label)
    if label.shape.rank is None:
        return label, None
    if kind == SIGMOID and logits.shape[-1] == 1 and len(label.shape) == len(logits.shape) - 1:
        label = ops.expand_dims(label, axis=-1)
    check_labels(hard_loss, label, logits)
    ignored = getattr(hard_loss, "ignore_class", None)
    if ignored is None:
        return label, None
    counted = label != ops.cast(ignored, label.dtype)
    return ops.where(counted, label, ops.zeros_like(label)), counted


def _fitted(teacher, student, kind):
    if teacher.shape.rank is None:
        return teacher
    if kind == SIGMOID and (teacher.shape[-1], student.shape[-1]) == (1, 2):
        raise ValueError(
            "`teacher` must have a logit for each label of the student, whose two logits stand for "
            f"themselves. Received: teacher logits of shape {tuple(teacher.shape)}, the student's "
            f"{tuple(student.shape)}"
        )
    return two_classes.fitted(teacher, student.shape[-1])


def _weight(batch, logits, class_weight, kind):
    """The weight of each place, float32, or None where all count alike."""
    weight = None
    if batch.sample_weight is not None:
        weight = _of_places(ops.cast(batch.sample_weight, "float32"), "`sample_weight`", logits)
    if class_weight is not None:
        if batch.label is None:
            raise ValueError("`class_weight` needs labels. Received: targets without labels")
        of_classes = _weight_of_labels(batch.label, logits, class_weight, kind)
        weight = of_classes if weight is None else of_classes * weight
    return weight


def _weight_of_labels(label, logits, class_weight, kind):
    """The weight of each label's class, float32 of the places; 1 for classes not named."""
    classes = logits.shape[-1]
    if kind == SIGMOID and classes != 1:
        raise ValueError(
            "`class_weight` is of classes that exclude each other: for several labels pass "
            f"`sample_weight`. Received: class_weight={class_weight}"
        )
    number = 2 if classes == 1 else classes
    if wrong := [each for each in class_weight if number and not 0 <= each < number]:
        raise ValueError(
            f"`class_weight` must name classes from 0 to {number - 1}. Received: {wrong[0]}"
        )
    if kind == SIGMOID:
        label = ops.squeeze(ops.cast(label, "float32") > 0.5, axis=-1)
    else:
        label = class_numbers(label, logits)
    label = ops.cast(label, "int32")
    weight = tf.ones(tf.shape(label))
    for index, value in class_weight.items():
        weight = tf.where(label == index, float(value), weight)
    return weight


def _of_places(values, what, logits):
    """Values of the places, or of their first axes, in the shape of the places."""
    if values is None or logits is None:
        return values if values is None else ops.reshape(values, (-1,))
    shape, rank = tuple(logits.shape[:-1]), len(values.shape)
    if rank == len(shape) + 1 and values.shape[-1] == 1:
        values, rank = ops.squeeze(values, axis=-1), rank - 1
    sizes = [None if size == 1 else size for size in values.shape]
    if rank > len(shape) or not compatible(sizes, shape[:rank]):
        raise ValueError(
            f"{what} must be one for each example, or for each of its places, {shape} here. "
            f"Received: shape {tuple(values.shape)}"
        )
    if rank == len(shape) and None not in sizes[1:]:
        return values
    values = ops.reshape(values, (*tf.unstack(tf.shape(values)), *[1] * (len(shape) - rank)))
    return ops.broadcast_to(values, tf.shape(logits)[:-1])
