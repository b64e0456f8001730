"""Layers after a teacher: which of its logits a student learns, and at which places.

They make no logits of what is none: how a network ends is seen through them, see `endings`.
"""

import math

import keras
import numpy as np
from keras import ops


class LogitLayer(keras.layers.Layer):
    """Base of the layers that come after logits and are called on them alone."""

    follows_logits = True

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # logits keep their digits under any policy

    def check(self, shape):
        """Raises ValueError, in one line, where it cannot be called on logits of a shape."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_logitkd")
class PickClasses(LogitLayer):
    """Picks and permutes the classes: from `(..., all classes)` to `(..., classes)`.

    Args:
        classes: Indices of the classes, a list of different integers >= 0.
        **kwargs: As for `keras.layers.Layer`.

    Raises:
        ValueError: If `classes` are no such list, or it is called on logits of fewer classes.
    """

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.classes = _checked_classes(classes)

    def check(self, shape):
        if shape[-1] is not None and max(self.classes) >= shape[-1]:
            raise ValueError(
                f"`classes` must be below the number of the teacher's classes, {shape[-1]}. "
                f"Received: classes={self.classes}"
            )

    def call(self, inputs):
        self.check(inputs.shape)
        return ops.take(inputs, self.classes, axis=-1)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable(package="keras_logitkd")
class ResizeLogits(LogitLayer):
    """Resizes logits of `(batch, height, width, classes)` or `(batch, length, classes)`.

    The weights are those of linear interpolation with antialiasing, along each axis. A class is
    excluded, by -inf, where it is in one of the places that a new place is the mean of.

    Args:
        size: (height, width) or length of the new logits, integers >= 1.
        **kwargs: As for `keras.layers.Layer`.

    Raises:
        ValueError: If `size` is something else, or it is called on logits of other axes.
    """

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = _checked_size(size)

    def check(self, shape):
        if len(shape) != len(self._lengths) + 2:
            raise ValueError(
                "`size` must be (height, width) for logits of (batch, height, width, classes), or "
                "a length for those of (batch, length, classes). "
                f"Received: size={self.size} and logits of shape {tuple(shape)}"
            )

    @property
    def _lengths(self):
        return self.size if isinstance(self.size, tuple) else (self.size,)

    def call(self, inputs):
        self.check(inputs.shape)
        finite = ops.where(ops.isinf(inputs), ops.zeros_like(inputs), inputs)
        resized = _resized(finite, self._lengths)
        for infinite in (math.inf, -math.inf):
            share = _resized(ops.cast(ops.equal(inputs, infinite), inputs.dtype), self._lengths)
            resized = ops.where(share > 0, ops.cast(infinite, inputs.dtype), resized)
        return resized

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def _resized(x, lengths):
    """A tensor whose axes from the second on have new lengths, by linear interpolation."""
    for axis, length in enumerate(lengths, start=1):
        weights = ops.cast(_weights(ops.shape(x)[axis], length), x.dtype)
        x = ops.moveaxis(ops.tensordot(x, weights, axes=[[axis], [1]]), -1, axis)
    return x


def _weights(size, new):
    """Weights of `size` places in each of `new` ones, (new, size): rows sum to 1.

    A triangle around the centre of the new place, as wide as that is in old ones, and at least as
    an old place. Its parts beyond the first and the last place are left out.
    """
    xp = np if isinstance(size, int) else ops  # ops where the size is known in the step only
    size = size if xp is np else ops.cast(size, "float32")
    kind = "float64" if xp is np else "float32"
    scale = size / new
    centres = (xp.arange(new, dtype=kind) + 0.5) * scale
    places = xp.arange(size, dtype=kind) + 0.5
    distances = xp.abs(centres[:, None] - places[None]) / xp.maximum(scale, 1.0)
    weights = xp.maximum(1.0 - distances, 0.0)
    return weights / xp.sum(weights, axis=-1, keepdims=True)


def _is_index(value, least=0):
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least


def _checked_classes(classes):
    """Returns a list of int, or raises ValueError."""
    given = classes.tolist() if isinstance(classes, np.ndarray) else classes
    is_list = isinstance(given, list | tuple | range) and len(given) > 0
    if not is_list or not all(map(_is_index, given)) or len({*given}) < len(given):
        raise ValueError(
            "`classes` must be a list of different integers >= 0, the teacher's classes in the "
            f"student's order. Received: classes={classes!r}"
        )
    return [int(index) for index in given]


def _checked_size(size):
    """Returns a length, or a pair of them as a tuple, or raises ValueError."""
    if _is_index(size, 1):
        return int(size)
    is_pair = isinstance(size, list | tuple) and len(size) == 2
    if not is_pair or not all(_is_index(each, 1) for each in size):
        raise ValueError(
            "`size` must be (height, width), or a length for sequences, of integers >= 1. "
            f"Received: size={size!r}"
        )
    return tuple(map(int, size))
