import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.features import vid

RAW = np.float32([-1.0, 0.5, 2.0])


def numpy_loss(teacher, mean, raw):
    v = np.log1p(np.exp(raw)) + 1e-5
    return np.mean(((mean - teacher) ** 2 / v + np.log(v)) / 2, axis=(1, 2, 3))


def test_value_and_gradient(agrees, draw):
    agrees(
        lambda t, s: vid.gaussian_loss(t, s, RAW),
        lambda t, s: numpy_loss(t, s, RAW.astype(float)),
        draw(2, 4, 4, 3),
        draw(2, 4, 4, 3, seed=1),
    )


def test_gradient_of_the_variance(draw):
    teacher, mean, raw = draw(2, 4, 4, 3), draw(2, 4, 4, 3, seed=1), tf.constant(RAW)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        value = tf.reduce_mean(vid.gaussian_loss(teacher, mean, raw))
    gradient = tape.gradient(value, raw)
    for channel in range(3):
        step = np.eye(3)[channel] * 1e-6
        wide = teacher.astype(float), mean.astype(float)
        slope = np.mean(numpy_loss(*wide, RAW + step) - numpy_loss(*wide, RAW - step)) / 2e-6
        assert float(gradient[channel]) == pytest.approx(slope, abs=1e-6)


def test_initial_variance_and_value(draw):
    raw = np.full(3, vid.INITIAL_RAW_VARIANCE, np.float32)
    np.testing.assert_allclose(vid.variance(raw), 5, rtol=1e-6)
    teacher = draw(2, 4, 4, 3)
    np.testing.assert_allclose(vid.gaussian_loss(teacher, teacher, raw), 0.8047, atol=5e-5)


def test_the_variance_rests_where_it_is_the_error(draw):
    teacher, mean = draw(2, 4, 4, 1), draw(2, 4, 4, 1, seed=1)
    error = np.mean((mean.astype(float) - teacher) ** 2)
    raw = tf.constant([np.log(np.expm1(error - 1e-5))], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        value = tf.reduce_mean(vid.gaussian_loss(teacher, mean, raw))
    assert float(tape.gradient(value, raw)[0]) == pytest.approx(0, abs=1e-6)


def test_values_may_be_negative(draw):
    teacher = draw(2, 4, 4, 3)
    assert np.all(vid.gaussian_loss(teacher, teacher, np.full(3, -5, np.float32)).numpy() < 0)
