"""Resizing logits, against TensorFlow's images and by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.networks.logit_layers import PickClasses, ResizeLogits

Z = np.random.default_rng(0).standard_normal((2, 8, 6, 3)).astype("float32")


@pytest.mark.parametrize("size", [(4, 3), (3, 5), (16, 12), (8, 6), (1, 1), (11, 2)])
def test_sizes_against_tensorflow(size):
    expected = tf.image.resize(Z, size, antialias=True)
    np.testing.assert_allclose(ResizeLogits(size)(Z), expected, rtol=1e-5, atol=1e-6)


def test_half_a_length_by_hand():
    z = np.arange(8, dtype="float32").reshape(1, 4, 2) ** 2  # 0 4 16 36 and 1 9 25 49
    first = (0.75 * 0 + 0.75 * 4 + 0.25 * 16) / 1.75  # nothing lies before the first place
    second = (0.25 * 4 + 0.75 * 16 + 0.75 * 36) / 1.75
    np.testing.assert_allclose(ResizeLogits(2)(z)[0, :, 0], [first, second], rtol=1e-6)


def test_lengths_are_images_of_one_column():
    expected = tf.image.resize(Z[:, :, :1], (5, 1), antialias=True)[:, :, 0]
    np.testing.assert_allclose(ResizeLogits(5)(Z[:, :, 0]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_unknown_sizes_and_xla(jit_compile):
    signature = [tf.TensorSpec(Z.shape if jit_compile else [None, None, None, 3])]
    resize = tf.function(
        ResizeLogits((4, 5)).call, input_signature=signature, jit_compile=jit_compile
    )
    expected = tf.image.resize(Z, (4, 5), antialias=True)
    np.testing.assert_allclose(resize(Z), expected, rtol=1e-5, atol=1e-6)


def test_a_class_that_is_excluded_somewhere_is_excluded_in_the_mean_alone():
    z = Z.copy()
    z[0, 0, 0, 1], z[1, 7, 5, 0] = -np.inf, np.inf
    found = ResizeLogits((4, 3))(z).numpy()
    expected = ResizeLogits((4, 3))(Z).numpy()
    expected[0, 0, 0, 1], expected[1, 3, 2, 0] = -np.inf, np.inf
    np.testing.assert_array_equal(found, expected)
    # A place of another parity sees its neighbours, which have a share in its triangle.
    z = np.zeros((1, 8, 1), "float32")
    z[0, 2] = -np.inf
    np.testing.assert_array_equal(
        np.isneginf(ResizeLogits(4)(z))[0, :, 0], [True, True, False, False]
    )


def test_configs_and_masks():
    for layer in (PickClasses([2, 0]), ResizeLogits((4, 3)), ResizeLogits(4)):
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
    assert ResizeLogits([4, 3]).size == (4, 3)
    tokens = keras.layers.Embedding(7, 3, mask_zero=True)(np.array([[1, 2, 0]]))
    np.testing.assert_array_equal(PickClasses([1])(tokens)._keras_mask, [[True, True, False]])
