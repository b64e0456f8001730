"""Networks on images of another size."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import zoo
from keras_logitkd.networks import sizes


@pytest.mark.parametrize(("own", "given"), [(8, 20), (20, 8), (8, 13)])
def test_images_are_resized_with_antialiasing(own, given):
    network = zoo.build("wrn-10-1", (own, own, 3), 4)
    pixels = np.random.default_rng(0).integers(0, 256, (2, given, given, 3), dtype=np.uint8)
    resized = tf.image.resize(pixels, (own, own), antialias=True)
    found = sizes.on_images(network, (given, given, 3))(pixels, training=False)
    np.testing.assert_allclose(found, network(resized, training=False), rtol=1e-5, atol=1e-5)


def test_grey_images_are_repeated_for_a_colour_network():
    network = zoo.build("wrn-10-1", (8, 8, 3), 4)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    repeated = np.repeat(pixels, 3, axis=-1).astype("float32")
    found = sizes.on_images(network, (8, 8, 1))
    np.testing.assert_array_equal(found(pixels), network(repeated))
    assert sizes.own(found) is network


@pytest.mark.parametrize("shape", [(8, 8, 3), (None, None, 3)])
def test_what_fits_stays_as_it_is(shape):
    network = zoo.build("wrn-10-1", shape, 4)
    assert sizes.on_images(network, (8, 8, 3)) is network
    assert sizes.own(network) is network


@pytest.mark.parametrize("images", [(8, 8, 3), (8, 8, 2), (8,)])
def test_what_cannot_be_made_to_fit_stays_as_it_is(images):
    network = zoo.build("wrn-10-1", (8, 8, 1), 4)
    assert sizes.on_images(network, images) is network


def test_what_is_saved_takes_its_own_size(tmp_path):
    network = zoo.build("wrn-10-1", (8, 8, 3), 4)
    sizes.own(sizes.on_images(network, (20, 20, 3))).save(tmp_path / "a.keras")
    assert keras.saving.load_model(tmp_path / "a.keras").input_shape == (None, 8, 8, 3)
