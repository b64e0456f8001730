"""Random logits, and what a loss says of them."""

import numpy as np
import tensorflow as tf

from keras_logitkd import losses


def pair(*shape, seed=0, spread=3.0):
    return (spread * np.random.default_rng(seed).standard_normal((2, *shape))).astype("f4")


def value_and_gradient(loss, teacher, student):
    student = tf.constant(student)
    with tf.GradientTape() as tape:
        tape.watch(student)
        value = losses.get(loss).call(teacher, student)
    return value.numpy(), tape.gradient(value, student).numpy()
