import numpy as np
import pytest

from keras_logitkd.features import nst


def numpy_loss(teacher, student):
    def maps(features):
        rows = features.reshape(-1, features.shape[-1]).T
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def mean_kernel(a, b):
        return np.mean([[np.dot(x, y) ** 2 for y in b] for x in a])

    values = []
    for t, s in zip(map(maps, teacher), map(maps, student), strict=True):
        values.append(mean_kernel(t, t) + mean_kernel(s, s) - 2 * mean_kernel(s, t))
    return np.array(values)


def test_value_and_gradient(agrees, draw):
    agrees(nst.selectivity_loss, numpy_loss, draw(2, 3, 3, 5), draw(2, 3, 3, 2, seed=1))


def test_zero_where_equal_and_never_negative(draw):
    features = draw(3, 4, 4, 5)
    np.testing.assert_allclose(nst.selectivity_loss(features, features), 0, atol=1e-7)
    for seed in range(10):
        assert np.all(nst.selectivity_loss(features, draw(3, 4, 4, 2, seed=seed + 1)).numpy() > 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_channel_order_and_scale_do_not_count(draw, sign):
    teacher, student = draw(3, 4, 4, 5), draw(3, 4, 4, 3, seed=1)
    changed = (student * np.float32([0.01, sign, 30]))[..., [2, 0, 1]]
    np.testing.assert_allclose(
        nst.selectivity_loss(teacher, changed), nst.selectivity_loss(teacher, student), rtol=1e-4
    )
