import numpy as np
import pytest

from keras_logitkd.features import cc


def numpy_correlations(features, gamma=0.4, order=2):
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = rows @ rows.T
    terms = [(2 * gamma) ** p / np.prod(range(1, p + 1)) * cosines**p for p in range(order + 1)]
    return np.exp(-2 * gamma) * np.sum(terms, axis=0)


def numpy_loss(teacher, student):
    return np.mean((numpy_correlations(student) - numpy_correlations(teacher)) ** 2)


def numpy_pairwise(teacher, student):
    d = np.abs(student - teacher)
    return np.mean([np.dot(d[i], d[i + 1]) for i in range(len(d) - 1)])


def test_value_and_gradient(agrees, draw):
    agrees(cc.congruence_loss, numpy_loss, draw(5, 4), draw(5, 3, seed=1))


def test_zero_where_equal_whatever_the_order_and_scale(draw):
    teacher, student = draw(6, 4), draw(6, 3, seed=1)
    assert float(cc.congruence_loss(teacher, 7 * teacher)) == pytest.approx(0, abs=1e-12)
    order = [3, 1, 5, 0, 2, 4]
    expected = float(cc.congruence_loss(teacher, student))
    moved = cc.congruence_loss(teacher[order], student[order])
    assert float(moved) == pytest.approx(expected, rel=1e-5)
    assert float(cc.congruence_loss(teacher, student[order])) != pytest.approx(expected, rel=1e-2)


def test_correlations_lie_between_zero_and_one(draw):
    matrix = cc.rbf_correlations(np.concatenate([draw(6, 3), -draw(6, 3)])).numpy()
    assert matrix.min() >= 0
    assert matrix.max() <= 1


def test_the_series_tends_to_the_gaussian(draw):
    features = draw(6, 3)
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    exact = np.exp(-0.4 * np.sum((rows[:, None] - rows[None]) ** 2, axis=-1))
    errors = [np.abs(cc.rbf_correlations(features, order=p) - exact).max() for p in (1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6


def test_pairwise_value_and_both_gradients(value_and_gradients, draw):
    teacher, student = draw(5, 4), draw(5, 4, seed=1)
    value, to_teacher, to_student = value_and_gradients(cc.pairwise_loss, teacher, student)
    wide = teacher.astype(float), student.astype(float)
    assert value == pytest.approx(numpy_pairwise(*wide), rel=1e-5)
    for index in np.ndindex(student.shape):
        step = np.zeros(student.shape)
        step[index] = 1e-6
        slope = numpy_pairwise(wide[0], wide[1] + step) - numpy_pairwise(wide[0], wide[1] - step)
        assert to_student[index] == pytest.approx(slope / 2e-6, abs=1e-5)
    np.testing.assert_array_equal(to_teacher, -to_student)


def test_pairwise_depends_on_the_order(draw):
    teacher, student = draw(5, 4), draw(5, 4, seed=1)
    order = [3, 1, 0, 2, 4]
    assert float(cc.pairwise_loss(teacher, teacher)) == 0
    assert float(cc.pairwise_loss(teacher[order], student[order])) != pytest.approx(
        float(cc.pairwise_loss(teacher, student)), rel=1e-3
    )
    assert float(cc.pairwise_loss(teacher[:1], student[:1])) == 0
