import numpy as np
import pytest

from keras_logitkd.features import arithmetic


def test_unit_over_the_range_of_float32():
    vector = np.float32([3, -4])
    for size in (1e-11, 1e-3, 1.0, 1e15, 1e37):
        found = arithmetic.unit(np.float32(size) * vector)
        np.testing.assert_allclose(found, [0.6, -0.8], rtol=1e-6)
    np.testing.assert_array_equal(arithmetic.unit(np.zeros(3, np.float32)), 0)


def test_unit_and_length_have_finite_gradients_at_zero(value_and_gradients):
    zero = np.zeros((2, 3), np.float32)
    for function in (arithmetic.unit, arithmetic.length):
        _, _, gradient = value_and_gradients(lambda _, x, f=function: f(x) + 1.0, zero, zero)
        np.testing.assert_array_equal(gradient, 0)


def test_deviation_of_a_constant_is_zero():
    np.testing.assert_array_equal(arithmetic.deviation(np.full((2, 7), 0.1, np.float32)), 0)
    np.testing.assert_allclose(arithmetic.deviation(np.float32([[1, 2, 6]])), [[-2, -1, 3]])


def test_what_weighs_nothing_is_neither_in_a_deviation_nor_in_a_length():
    weights = np.float32([1, 2, 0])
    constant = np.float32([[0.1, 0.1, 5]])
    np.testing.assert_array_equal(arithmetic.deviation(constant, weights=weights), 0)
    found = arithmetic.deviation(np.float32([[1, 4, -9]]), weights=weights)
    np.testing.assert_allclose(found, [[-2, 1, 0]], rtol=1e-6)
    found = arithmetic.unit(np.float32([1, 2, 1e30]), weights=weights)
    np.testing.assert_allclose(found, [1 / 3, 2 / 3, 0], rtol=1e-6)


@pytest.mark.parametrize(("size", "cells"), [(8, 4), (7, 4), (5, 3), (28, 4), (3, 3), (4, 1)])
def test_average_pool_covers_its_windows(draw, size, cells):
    features = draw(2, size, size, 3)
    pooled = arithmetic.average_pool(features, cells, cells)
    for i, j in np.ndindex(cells, cells):
        rows = slice(i * size // cells, int(np.ceil((i + 1) * size / cells)))
        columns = slice(j * size // cells, int(np.ceil((j + 1) * size / cells)))
        expected = features[:, rows, columns].mean(axis=(1, 2))
        np.testing.assert_allclose(pooled[:, i, j], expected, rtol=1e-4, atol=1e-6)
