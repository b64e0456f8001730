"""Arithmetic that the methods share: float32, and finite where a norm or a spread vanishes."""

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


def unit(x, axis=-1):
    """Vectors along an axis divided by their length; zero stays zero, with a finite gradient.

    What is at most 1e-12 everywhere counts as zero. The length is taken relative to the largest
    entry, so that no square leaves the range of float32.
    """
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=axis, keepdims=True))
    is_zero = largest <= TINY
    scaled = x / ops.where(is_zero, 1.0, largest)
    square = ops.sum(ops.square(scaled), axis=axis, keepdims=True)
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


def deviation(x, axis=-1):
    """Differences from the mean along an axis; what is only rounding becomes zero."""
    centred = x - ops.mean(x, axis=axis, keepdims=True)
    spread = ops.max(ops.abs(centred), axis=axis, keepdims=True)
    is_constant = spread <= ROUNDING * ops.max(ops.abs(x), axis=axis, keepdims=True)
    return ops.where(is_constant, 0.0, centred)


def average_pool(features, height, width):
    """Averages maps of shape (batch, H, W, C) to (batch, height, width, C), whatever the sizes.

    Cell i of n covers the rows from floor(i H / n) to ceil((i + 1) H / n), as in PyTorch's
    adaptive pooling; sizes that divide give ordinary pooling.
    """
    if features.shape[1] != height:
        features = ops.einsum("bhwc,oh->bowc", features, _windows(features.shape[1], height))
    if features.shape[2] != width:
        features = ops.einsum("bhwc,ow->bhoc", features, _windows(features.shape[2], width))
    return features


def same_size(teacher, student):
    """Average-pools the larger of two maps of shape (batch, H, W, C) to the smaller's H and W."""
    height = min(teacher.shape[1], student.shape[1])
    width = min(teacher.shape[2], student.shape[2])
    return average_pool(teacher, height, width), average_pool(student, height, width)


def _windows(size, cells):
    """Weights of the averages, shape (cells, size)."""
    weights = np.zeros((cells, size), "float32")
    for cell in range(cells):
        start, stop = cell * size // cells, -(-(cell + 1) * size // cells)
        weights[cell, start:stop] = 1.0 / (stop - start)
    return weights
