import numpy as np
import pytest

from keras_logitkd.features import ab


def numpy_loss(teacher, student, margin=1.0):
    """The four cases of the paper, one neuron at a time."""

    def one(t, s):
        if t <= 0 and s > -margin:
            return (s + margin) ** 2
        if t > 0 and s <= margin:
            return (s - margin) ** 2
        return 0.0

    pairs = zip(teacher, student, strict=True)
    return np.array([sum(map(one, t.ravel(), s.ravel())) for t, s in pairs])


@pytest.mark.parametrize("margin", [0.5, 1.0, 2.0])
def test_value_and_gradient(agrees, draw, margin):
    agrees(
        lambda t, s: ab.boundary_loss(t, s, margin),
        lambda t, s: numpy_loss(t, s, margin),
        draw(2, 3, 3, 4),
        draw(2, 3, 3, 4, seed=1),
    )


def test_satisfied_neurons_cost_nothing_and_stay(value_and_gradients, draw):
    teacher = draw(3, 2, 2, 4)
    student = np.sign(teacher) * (1 + np.abs(draw(3, 2, 2, 4, seed=1)))
    value, _, gradient = value_and_gradients(ab.boundary_loss, teacher, student)
    np.testing.assert_array_equal(value, 0)
    np.testing.assert_array_equal(gradient, 0)


def test_equality_is_not_enough():
    half = np.full((1, 1), 0.5, np.float32)
    np.testing.assert_array_equal(ab.boundary_loss(half, half), 0.25)


def test_only_the_teachers_sign_counts(draw):
    teacher, student = draw(3, 2, 2, 4), draw(3, 2, 2, 4, seed=1)
    expected = ab.boundary_loss(teacher, student)
    np.testing.assert_array_equal(ab.boundary_loss(5 * teacher, student), expected)
    np.testing.assert_array_equal(ab.boundary_loss(np.sign(teacher), student), expected)


def test_a_teacher_at_zero_is_off():
    np.testing.assert_array_equal(ab.boundary_loss(np.zeros((1, 1)), [[-1.0]]), 0)


def test_agreement():
    agreement = ab.boundary_agreement([[1.0, -1.0, 0.0, 2.0]], [[0.1, 0.1, -3.0, -1.0]])
    np.testing.assert_array_equal(agreement, 0.5)
