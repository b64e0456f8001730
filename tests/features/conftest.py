"""Losses against a plain float64 version; small networks with named groups, and data for them."""

import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.networks.layers import draw_initial_values


def _value_and_gradients(loss, teacher, student):
    import tensorflow as tf

    teacher, student = tf.constant(teacher), tf.constant(student)
    with tf.GradientTape() as tape:
        tape.watch([teacher, student])
        value = loss(teacher, student)
        total = tf.reduce_mean(value)
    to_teacher, to_student = tape.gradient(total, [teacher, student])
    to_student = np.zeros(student.shape) if to_student is None else to_student.numpy()
    return value.numpy(), to_teacher, to_student


def _central_differences(reference, teacher, student, step=1e-6):
    gradient = np.zeros(student.shape)
    for index in np.ndindex(student.shape):
        moved = np.zeros(student.shape)
        moved[index] = step
        rise = np.mean(reference(teacher, student + moved))
        fall = np.mean(reference(teacher, student - moved))
        gradient[index] = (rise - fall) / (2 * step)
    return gradient


@pytest.fixture
def value_and_gradients():
    """A function of (loss, teacher, student): value, gradients to teacher (or None) and student."""
    return _value_and_gradients


@pytest.fixture
def agrees():
    """A function that asserts that a loss is its reference, in value and in gradient."""

    def check(loss, reference, teacher, student):
        value, to_teacher, to_student = _value_and_gradients(loss, teacher, student)
        teacher, student = teacher.astype(np.float64), student.astype(np.float64)
        expected = np.asarray(reference(teacher, student))
        assert value.shape == expected.shape
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)
        gradient = _central_differences(reference, teacher, student)
        size = np.abs(gradient).max()
        assert size > 0
        np.testing.assert_allclose(to_student, gradient, rtol=0, atol=2e-5 * size)
        assert to_teacher is None or not np.any(to_teacher)

    return check


@pytest.fixture
def draw():
    """A function of shape and seed: float32 numbers of a normal distribution."""

    def normal(*shape, seed=0):
        return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

    return normal


@pytest.fixture
def images():
    """16 images 8x8x3 and their labels of 5 classes."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, 8, 8, 3)).astype("float32"), np.arange(16) % 5


@pytest.fixture
def build():
    """Function from a zoo name and a seed to a network for `images`."""

    def build(name, seed=0, classes=5, weight_decay=0.0):
        model = zoo.build(name, (8, 8, 3), classes, weight_decay=weight_decay)
        draw_initial_values(model.layers, seed)
        rng = np.random.default_rng(seed)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                shape = layer.gamma.shape
                layer.gamma.assign(rng.uniform(0.5, 1.5, shape))
                layer.beta.assign(rng.normal(0, 0.3, shape))
                layer.moving_mean.assign(rng.normal(0, 0.3, shape))
                layer.moving_variance.assign(rng.uniform(0.5, 1.5, shape))
        return model

    return build
