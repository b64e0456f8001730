import numpy as np
import pytest

from keras_logitkd.features import reviewkd


def numpy_loss(teacher, student):
    """Sizes that divide, by averages of blocks."""
    difference = student - teacher
    size = difference.shape[1]
    value = np.mean(difference**2, axis=(1, 2, 3))
    used = [cells for cells in (4, 2, 1) if cells < size]
    for n, cells in enumerate(used, start=1):
        block = size // cells
        blocks = difference.reshape(len(difference), cells, block, cells, block, -1)
        value = value + 0.5**n * np.mean(blocks.mean(axis=(2, 4)) ** 2, axis=(1, 2, 3))
    return value / (2 - 0.5 ** len(used))


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_value_and_gradient(agrees, draw, size):
    agrees(
        reviewkd.hierarchical_loss,
        numpy_loss,
        draw(2, size, size, 3),
        draw(2, size, size, 3, seed=1),
    )


def test_zero_where_equal_and_one_for_a_shift(draw):
    features = draw(2, 8, 8, 3)
    np.testing.assert_array_equal(reviewkd.hierarchical_loss(features, features), 0)
    # The weights sum to 1.875 and are divided by their sum.
    np.testing.assert_allclose(reviewkd.hierarchical_loss(features, features + 1), 1, rtol=1e-5)


def test_only_the_mean_reaches_the_smallest_size(draw):
    checkerboard = np.indices((8, 8)).sum(axis=0)[None, :, :, None] % 2 * 2.0 - 1
    zero = np.zeros((1, 8, 8, 1), np.float32)
    value = reviewkd.hierarchical_loss(zero, checkerboard.astype(np.float32))
    np.testing.assert_allclose(value, 1 / 1.875, rtol=1e-6)
