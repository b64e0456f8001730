import dataclasses

import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.runs.inputs import models


def weights_of(network):
    return np.concatenate([weight.numpy().ravel() for weight in network.weights])


def test_network_takes_raw_pixels_and_normalises_them(tiny, tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, mean=(0.25,), std=(0.5,))
    network = models.build_network("wrn-10-1", tiny, recipe, seed=0)
    bare = zoo.build("wrn-10-1", (8, 8, 1), 3)
    bare.set_weights(network.get_weights())
    pixels = tiny.test.images.array[:4]
    expected = bare(pixels.astype("float32") / 255 / 0.5 - 0.5, training=False)
    np.testing.assert_allclose(network(pixels, training=False), expected, atol=1e-5)


def test_normalization_is_measured_where_the_recipe_has_none(tiny, tiny_recipe):
    mean, std = models.normalization_of(tiny_recipe, tiny)
    pixels = tiny.train.images.array.astype("float64")
    assert mean == pytest.approx((pixels.mean(),))
    assert std == pytest.approx((pixels.std(),))


def test_initial_weights_are_a_function_of_the_seed(tiny, tiny_recipe):
    first, again, other = (
        weights_of(models.build_network("wrn-10-1", tiny, tiny_recipe, seed)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert np.mean(first != other) > 0.9


def test_initial_kernels_have_he_variance(tiny, tiny_recipe):
    network = models.build_network("wrn-10-4", tiny, tiny_recipe, seed=0)
    kernel = network.get_layer("group3_block1_conv2").kernel.numpy()
    fan_out = np.prod(kernel.shape[:2]) * kernel.shape[3]
    assert kernel.std() == pytest.approx(np.sqrt(2 / fan_out), rel=0.01)


def test_wrong_number_of_channels_in_mean(tiny, tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, mean=(0.1, 0.1, 0.1), std=(0.1, 0.1, 0.1))
    with pytest.raises(ValueError, match="each of the 1 channels. Received: 3 and 3"):
        models.build_network("wrn-10-1", tiny, recipe, seed=0)


def test_load_model_refuses_what_is_none(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        models.load_model(tmp_path / "a.keras")
    (tmp_path / "a.keras").write_text("junk")
    with pytest.raises(ValueError, match=r"a\.keras: it is not a \.keras"):
        models.load_model(tmp_path / "a.keras")


def test_load_model_refuses_a_truncated_file(tmp_path):
    network = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)])
    network.save(tmp_path / "a.keras")
    whole = (tmp_path / "a.keras").read_bytes()
    (tmp_path / "a.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"Cannot load the model file .*a\.keras"):
        models.load_model(tmp_path / "a.keras")


@pytest.mark.parametrize(
    ("activation", "advice"),
    [
        ("sparsemax", "a sparsemax has no logits"),
        ("hard_sigmoid", "a hard_sigmoid has no logits"),
    ],
)
def test_load_model_refuses_what_returns_no_logits(tmp_path, activation, advice):
    stack = [keras.layers.Dense(2, activation=activation), keras.layers.Dropout(0.5)]
    keras.Sequential([keras.layers.Input((2,)), *stack]).save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match=f"a.keras ends in a {activation}: {advice}"):
        models.load_model(tmp_path / "a.keras")


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "log_softmax"])
def test_load_model_takes_the_activation_off_and_says_so(tmp_path, caplog, activation):
    network = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    logits = network(np.eye(2))
    keras.Sequential([network, keras.layers.Activation(activation)]).save(tmp_path / "a.keras")
    with caplog.at_level("INFO", logger="keras_logitkd"):
        loaded = models.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded(np.eye(2)), logits)
    assert f"a.keras ends in a {activation}, which is taken off" in caplog.text


@pytest.mark.parametrize(
    ("shape", "images", "classes", "message"),
    [
        ((8, 8, 1), (8, 8, 3), 3, r"must take images of shape \(8, 8, 3\)"),
        ((8, 8, 2), (8, 8, 1), 3, r"Received: a model for \(8, 8, 2\)"),
        ((8, 8, 1), (8, 8, 1), 4, "must return 3 logits .* Received: a model with 4 outputs"),
    ],
)
def test_what_does_not_fit_is_said(tiny, shape, images, classes, message):
    network = zoo.build("wrn-10-1", shape, classes)
    with pytest.raises(ValueError, match=message):
        models.fitted(network, tiny, images, "Teacher x")


@pytest.mark.parametrize("shape", [(32, 32, 1), (8, 8, 3), (4, 4, 3)])
def test_other_sizes_and_grey_images_fit(tiny, shape):
    network = zoo.build("wrn-10-1", shape, 3)
    assert models.fitted(network, tiny, (8, 8, 1), "Teacher x") is network


def test_any_size_fits_where_the_model_takes_it(tiny):
    network = zoo.build("wrn-10-1", (None, None, 1), 3)
    assert models.fitted(network, tiny, (8, 8, 1), "Teacher x") is network


def test_one_logit_fits_two_classes(tiny, caplog):
    pixels = tiny.test.images.array[:4]
    network = zoo.build("wrn-10-1", (8, 8, 1), 1)
    two_classes = dataclasses.replace(tiny, class_names=("no", "yes"))
    logits = models.fitted(network, two_classes, (8, 8, 1), "Teacher x")(pixels)
    assert "one logit z for the student's two" in caplog.text
    np.testing.assert_allclose(logits[:, 1:] - logits[:, :1], network(pixels), rtol=1e-6)
    with pytest.raises(ValueError, match="must return 3 logits"):
        models.fitted(network, tiny, (8, 8, 1), "Teacher x")


def test_given_mean_goes_with_the_measured_deviation(tiny, tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, mean=(0.25,))
    mean, std = models.normalization_of(recipe, tiny)
    assert mean == pytest.approx((63.75,))
    assert std == pytest.approx((tiny.train.images.array.astype("float64").std(),))
