"""Arithmetic that the methods share: float32, and finite where a norm or a spread vanishes."""

import string

import numpy as np
from keras import ops

# Below, a vector counts as zero; a spread this small relative to its values is rounding.
TINY = 1e-12
ROUNDING = 1e-6


def detached_pair(teacher, student):
    """Both as float32, the teacher's outside the gradient."""
    return ops.stop_gradient(as_float32(teacher)), as_float32(student)


def as_float32(x):
    """The tensor in float32, in which all losses are computed."""
    return ops.cast(ops.convert_to_tensor(x), "float32")


def flat(x):
    """Features as one vector an example, shape (batch, size)."""
    return ops.reshape(x, (ops.shape(x)[0], -1))


def per_example(x, reduce=ops.mean):
    """Reduces all axes but the first. Returns shape (batch,)."""
    return reduce(flat(x), axis=-1)


def counted(x, weights=None):
    """x where the weights, which broadcast to it, are above 0, and 0 elsewhere."""
    return x if weights is None else ops.where(weights > 0, x, 0.0)


def weighed(x, weights=None):
    """x times the weights, if there are any."""
    return x if weights is None else x * weights


def unit(x, axis=-1, weights=None):
    """Vectors along an axis divided by their length; zero stays zero, with a finite gradient.

    What is at most 1e-12 everywhere counts as zero. The length is taken relative to the largest
    entry, so that no square leaves the range of float32. With weights, which broadcast to x, it is
    the root of the sum of weight * x^2, as if each entry were there so many times.
    """
    x = counted(x, weights)
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=axis, keepdims=True))
    is_zero = largest <= TINY
    scaled = x / ops.where(is_zero, 1.0, largest)
    square = ops.sum(weighed(ops.square(scaled), weights), axis=axis, keepdims=True)
    return ops.where(is_zero, 0.0, scaled) / ops.sqrt(ops.where(is_zero, 1.0, square))


def directions(x):
    """What `unit` makes of one vector an example, shape (batch, size)."""
    return unit(flat(as_float32(x)))


def cosines(x):
    """Cosines of the angles between the examples, shape (batch, batch)."""
    rows = directions(x)
    return ops.matmul(rows, ops.transpose(rows))


def length(x, axis=-1):
    """Euclidean length along an axis, with gradient zero where the vector is zero."""
    square = ops.sum(ops.square(x), axis=axis)
    is_zero = square <= 0.0
    return ops.where(is_zero, 0.0, ops.sqrt(ops.where(is_zero, 1.0, square)))


def deviation(x, axis=-1, weights=None):
    """Differences from the mean along an axis; what is only rounding becomes zero.

    With weights, which broadcast to x, they are those from the weighted mean, and 0 where the
    weight is.
    """
    x = counted(x, weights)
    if weights is None:
        mean = ops.mean(x, axis=axis, keepdims=True)
    else:
        total = ops.sum(weights, axis=axis, keepdims=True)
        mean = ops.divide_no_nan(ops.sum(weights * x, axis=axis, keepdims=True), total)
    centred = counted(x - mean, weights)
    spread = ops.max(ops.abs(centred), axis=axis, keepdims=True)
    is_constant = spread <= ROUNDING * ops.max(ops.abs(x), axis=axis, keepdims=True)
    return ops.where(is_constant, 0.0, centred)


def average_pool(features, *sizes):
    """Averages maps of shape (batch, ..., C) to (batch, *sizes, C), whatever the sizes.

    Cell i of n covers the rows from floor(i H / n) to ceil((i + 1) H / n), as in PyTorch's
    adaptive pooling; sizes that divide give ordinary pooling.
    """
    axes = string.ascii_lowercase[: len(features.shape)]
    for axis, cells in enumerate(sizes, start=1):
        if features.shape[axis] != cells:
            terms = f"{axes},z{axes[axis]}->{axes.replace(axes[axis], 'z')}"
            features = ops.einsum(terms, features, _windows(features.shape[axis], cells))
    return features


def same_size(teacher, student):
    """Average-pools the larger of two maps of shape (batch, ..., C) to the smaller's sizes.

    Raises:
        ValueError: If they have no positions or not as many axes, or their sizes are not known
            where they may differ.
    """
    shapes = tuple(teacher.shape), tuple(student.shape)
    fits = len(shapes[0]) == len(shapes[1]) > 2
    pairs = [*zip(shapes[0][1:-1], shapes[1][1:-1], strict=True)] if fits else []
    if not fits or any(None in pair and pair != (None, None) for pair in pairs):
        raise ValueError(
            "Maps (batch, ..., channels) of teacher and student must have as many axes, and sizes "
            f"that are known where they may differ. Received: {shapes[0]}, {shapes[1]}"
        )
    sizes = [one if one == other else min(one, other) for one, other in pairs]
    return average_pool(teacher, *sizes), average_pool(student, *sizes)


def _windows(size, cells):
    """Weights of the averages, shape (cells, size)."""
    weights = np.zeros((cells, size), "float32")
    for cell in range(cells):
        start, stop = cell * size // cells, -(-(cell + 1) * size // cells)
        weights[cell, start:stop] = 1.0 / (stop - start)
    return weights
