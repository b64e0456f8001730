import numpy as np
import pytest
from scipy import stats

from keras_logitkd.features import overhaul


def numpy_loss(teacher, student, margin):
    """The cases one by one, as another implementation writes them."""
    target = np.maximum(teacher, margin)
    loss = (student - target) ** 2
    loss[(student <= target) & (target <= 0)] = 0
    return loss.reshape(len(loss), -1).sum(axis=1)


def test_value_and_gradient(agrees, draw):
    margin = -np.abs(draw(5, seed=2))
    agrees(
        lambda t, s: overhaul.partial_l2(t, s, margin),
        lambda t, s: numpy_loss(t, s, margin.astype(float)),
        draw(3, 4, 4, 5),
        draw(3, 4, 4, 5, seed=1),
    )


@pytest.mark.parametrize(
    ("gamma", "beta", "margin"),
    [(1, 0, -0.79788), (1, 1, -0.52514), (2, -0.5, -1.79168), (-2, -0.5, -1.79168), (1, 4, -3)],
)
def test_margins_by_their_closed_form(gamma, beta, margin):
    assert overhaul.negative_margin([gamma], [beta]) == pytest.approx(margin, abs=5e-6)


def test_margins_are_means_of_a_truncated_normal():
    rng = np.random.default_rng(0)
    gamma, beta = rng.normal(size=50), rng.normal(size=50)
    spread = np.abs(gamma)
    upper = -beta / spread
    expected = stats.truncnorm.mean(-np.inf, upper, loc=beta, scale=spread)
    expected = np.where(stats.norm.cdf(upper) <= 0.001, -3 * spread, expected)
    np.testing.assert_allclose(overhaul.negative_margin(gamma, beta), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("gamma", "beta", "margin"),
    [(1, 1e6, -3), (1, -1e6, -1e6), (1e-30, 1, -3e-30), (0, 2, 0), (0, -2, -2), (0, 0, 0)],
)
def test_margins_at_the_ends(gamma, beta, margin):
    with np.errstate(all="raise", under="ignore"):
        found = overhaul.negative_margin([gamma], [beta])
    np.testing.assert_allclose(found, [margin], rtol=1e-6)


def test_zero_where_equal(draw):
    teacher = draw(3, 4, 4, 5)
    np.testing.assert_array_equal(overhaul.partial_l2(teacher, teacher, np.full(5, -9.0)), 0)


def test_negative_enough_costs_nothing_and_stays(value_and_gradients):
    teacher = np.array([[-2.0, -0.2]], np.float32)
    student = np.array([[-0.5, -0.2]], np.float32)  # t' is (-0.5, -0.2)
    for below in (0.0, 0.1, 5.0):
        value, _, gradient = value_and_gradients(
            lambda t, s: overhaul.partial_l2(t, s, np.float32([-0.5, -0.5])),
            teacher,
            student - np.float32(below),
        )
        np.testing.assert_array_equal(value, 0)
        np.testing.assert_array_equal(gradient, 0)


def test_a_teacher_that_is_on_always_counts():
    teacher, margin = np.float32([[1.0, 1.0]]), np.float32([-1.0, -1.0])
    value = overhaul.partial_l2(teacher, np.float32([[-3.0, 4.0]]), margin)
    np.testing.assert_array_equal(value, 16 + 9)
