import numpy as np
import pytest
from scipy import stats

from keras_logitkd.features import sp


def numpy_loss(teacher, student):
    def similarities(features):
        rows = features.reshape(len(features), -1)
        gram = rows @ rows.T
        return gram / np.linalg.norm(gram, axis=1, keepdims=True)

    difference = similarities(student) - similarities(teacher)
    return np.linalg.norm(difference) ** 2 / len(teacher) ** 2


def test_value_and_gradient(agrees, draw):
    agrees(sp.similarity_loss, numpy_loss, draw(5, 3, 3, 4), draw(5, 2, 2, 3, seed=1))


def test_value_on_a_batch_of_two():
    # G^t = identity; G^s has the rows (1, 1) / sqrt(2).
    value = sp.similarity_loss(np.float32([[2, 0], [0, 3]]), np.float32([[1], [1]]))
    assert float(value) == pytest.approx(2 * ((1 - 0.5**0.5) ** 2 + 0.5) / 4, rel=1e-6)


def test_scale_rotation_and_order_do_not_count(draw):
    teacher, student = draw(6, 8), draw(6, 5, seed=1)
    expected = float(sp.similarity_loss(teacher, student))
    turned = student @ stats.ortho_group.rvs(5, random_state=0).astype(np.float32)
    order = [3, 1, 5, 0, 2, 4]
    assert float(sp.similarity_loss(teacher, 30 * student)) == pytest.approx(expected, rel=1e-4)
    assert float(sp.similarity_loss(teacher, turned)) == pytest.approx(expected, rel=1e-4)
    moved = sp.similarity_loss(teacher[order], student[order])
    assert float(moved) == pytest.approx(expected, rel=1e-5)
    assert float(sp.similarity_loss(turned, student)) == pytest.approx(0, abs=1e-10)


def test_repeating_the_batch_halves_the_value(draw):
    teacher, student = draw(6, 8), draw(6, 5, seed=1)
    twice = sp.similarity_loss(np.tile(teacher, (2, 1)), np.tile(student, (2, 1)))
    assert float(twice) == pytest.approx(float(sp.similarity_loss(teacher, student)) / 2, rel=1e-5)
