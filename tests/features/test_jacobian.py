import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.features import jacobian


def numpy_distance(teacher, student):
    def unit(x):
        return x.ravel() / np.sqrt(np.sum(x**2))

    pairs = zip(teacher, student, strict=True)
    return np.array([np.sum((unit(s) - unit(t)) ** 2) for t, s in pairs])


def test_value_and_gradient(agrees, draw):
    agrees(jacobian.jacobian_distance, numpy_distance, draw(3, 4, 4, 3), draw(3, 4, 4, 3, seed=1))


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 0), (1e-6, 0), (1e6, 0), (-1, 4), (-30, 4)])
def test_only_the_direction_counts(draw, factor, expected):
    gradient = draw(5, 6, 6, 1)
    distance = jacobian.jacobian_distance(gradient, np.float32(factor) * gradient)
    np.testing.assert_allclose(distance, expected, atol=1e-6)


def test_orthogonal_gradients_are_at_distance_two():
    distance = jacobian.jacobian_distance([[3.0, 0.0]], [[0.0, 0.2]])
    np.testing.assert_allclose(distance, 2, rtol=1e-6)


def test_a_zero_gradient_has_no_direction(value_and_gradients, draw):
    value, _, gradient = value_and_gradients(
        jacobian.jacobian_distance, draw(2, 5), np.zeros((2, 5), np.float32)
    )
    np.testing.assert_allclose(value, 1, rtol=1e-6)
    np.testing.assert_array_equal(gradient, 0)


def test_peak_attention_is_read_where_the_teacher_looks(draw):
    teacher, student = draw(3, 4, 4, 5), draw(3, 4, 4, 2, seed=1)
    at_teacher, at_student = jacobian.peak_attention(teacher, student)
    for i in range(3):
        energy = np.mean(teacher[i] ** 2, axis=-1)
        row, column = np.unravel_index(np.argmax(energy), energy.shape)
        np.testing.assert_allclose(at_teacher[i], energy.max(), rtol=1e-6)
        np.testing.assert_allclose(at_student[i], np.mean(student[i, row, column] ** 2), rtol=1e-6)


def test_loss_of_a_small_network_by_finite_differences(draw):
    """Second order: how the distance changes with the student's weights."""
    x, labels = draw(4, 5), np.array([0, 2, 1, 2])
    first, second = draw(5, 6, seed=1), draw(6, 3, seed=2)
    goal = draw(4, 5, seed=3)

    def numpy_loss(first):
        hidden = np.tanh(x.astype(float) @ first)
        slopes = (1 - hidden**2) * second[:, labels].T.astype(float)
        return np.mean(numpy_distance(goal.astype(float), slopes @ first.T))

    weights = tf.Variable(first)
    with tf.GradientTape() as outer:
        inputs = tf.constant(x)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            logits = tf.tanh(inputs @ weights) @ second
            chosen = tf.reduce_sum(logits * tf.one_hot(labels, 3))
        student = inner.gradient(chosen, inputs)
        value = tf.reduce_mean(jacobian.jacobian_distance(goal, student))
    gradient = outer.gradient(value, weights).numpy()

    np.testing.assert_allclose(value, numpy_loss(first.astype(float)), rtol=1e-5)
    for index in np.ndindex(first.shape):
        step = np.zeros(first.shape)
        step[index] = 1e-6
        slope = (numpy_loss(first + step) - numpy_loss(first - step)) / 2e-6
        np.testing.assert_allclose(gradient[index], slope, atol=2e-5 * np.abs(gradient).max())
