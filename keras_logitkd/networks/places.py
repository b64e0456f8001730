"""Places: what a classifier says something of. An example, or each pixel or token of one.

The last axis of logits holds the classes, what is before it are the places, `(batch, ...)`: just
the examples for pictures as a whole, (batch, height, width) for a segmentation, (batch, length)
for a sequence. A place counts by its weight, unless a mask leaves it out; both are None where all
count alike.
"""

import functools

import tensorflow as tf
from keras import ops


def weights(mask, weight):
    """Returns the weight of each place with those left out at 0, float32, or None for equal ones.

    Args:
        mask: bool tensor of the places, True where one counts, or None.
        weight: tensor of the places, or None.
    """
    if mask is None:
        return None if weight is None else ops.cast(weight, "float32")
    counted = ops.cast(mask, "float32")
    return counted if weight is None else counted * ops.cast(weight, "float32")


def mean(values, mask=None, weight=None):
    """Returns the mean of values over the places that count, a scalar, as Keras's losses reduce.

    Formula: sum of weight * value over the places that count, divided by their number. A value of
    several places, such as one an example, is that of each of them.

    Args:
        values: Tensor of the places, or of their first axes: (batch,) where places are (batch, H,
            W).
        mask, weight: As for `weights`.
    """
    counted = weights(mask, weight)
    if counted is None:
        return ops.mean(values)
    inner = tuple(range(len(values.shape), len(counted.shape)))
    if mask is None:
        return ops.mean(values * (ops.mean(counted, axis=inner) if inner else counted))
    total = ops.sum(values * (ops.sum(counted, axis=inner) if inner else counted))
    return ops.divide_no_nan(total, ops.sum(ops.cast(mask, "float32")))


def mask_of(tensor):
    """Returns the mask that Keras layers have given a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)


def with_mask(tensor, mask):
    """Returns a tensor of the same values with a mask, which Keras's losses and metrics know."""
    tensor = tf.identity(tensor)
    tensor._keras_mask = mask
    return tensor


def as_float32(tensor):
    """Returns a tensor in float32 with the mask that it has."""
    mask, cast = mask_of(tensor), ops.cast(tensor, "float32")
    return cast if mask is None else with_mask(cast, mask)


def common(masks):
    """Returns the mask of what all of some masks leave; None where none of them is one."""
    masks = [mask for mask in masks if mask is not None]
    return functools.reduce(ops.logical_and, masks) if masks else None
