"""Networks of keras.applications: their pixels, weights and heads."""

import importlib
import random

import keras
import numpy as np
import pytest

from keras_logitkd import model_specs
from keras_logitkd.model_specs import application_rows

SMALL = "keras:MobileNetV2?alpha=0.35"
MODULES = {
    "MobileNetV2": "mobilenet_v2",
    "MobileNet": "mobilenet",
    "ResNet50": "resnet",
    "ResNet50V2": "resnet_v2",
    "VGG16": "vgg16",
    "DenseNet121": "densenet",
    "InceptionV3": "inception_v3",
    "Xception": "xception",
    "NASNetMobile": "nasnet",
}


def pixels(count=2, side=32, channels=3):
    draws = np.random.default_rng(0).integers(0, 256, (count, side, side, channels))
    return draws.astype("float32")


@pytest.mark.parametrize("name", MODULES)
def test_pixels_are_prepared_as_keras_prepares_them(name):
    module = importlib.import_module(f"keras.applications.{MODULES[name]}")
    images = keras.Input((32, 32, 3))
    prepared = keras.Model(images, model_specs.parse(f"keras:{name}")._prepared(images))
    expected = module.preprocess_input(pixels().copy())
    np.testing.assert_allclose(prepared(pixels()), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_pixels_are_prepared_as_the_network_itself_would(name):
    """Networks that can prepare pixels themselves do it in their first layers."""
    function = getattr(keras.applications, name)
    whole = function(weights=None, input_shape=(32, 32, 3), include_top=False)
    scalers = (keras.layers.Rescaling, keras.layers.Normalization)
    *_, last = (layer for layer in whole.layers[:4] if isinstance(layer, scalers))
    expected = keras.Model(whole.inputs, last.output)(pixels())
    images = keras.Input((32, 32, 3))
    prepared = keras.Model(images, model_specs.parse(f"keras:{name}")._prepared(images))
    np.testing.assert_allclose(prepared(pixels()), expected, rtol=1e-4, atol=1e-4)


def test_weights_are_drawn_by_the_seed_alone():
    def drawn(seed):
        return model_specs.build(SMALL, (32, 32, 3), 5, seed=seed).get_weights()

    random.seed(0)
    before = random.getstate()
    first, second, third = drawn(1), drawn(1), drawn(2)
    assert random.getstate() == before
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(first, third, strict=True))


def test_it_ends_in_logits_and_a_saved_one_is_plain_keras(tmp_path):
    network = model_specs.build(SMALL, (32, 32, 3), 5, weight_decay=0.1)
    logits = np.asarray(network(pixels()))
    assert logits.shape == (2, 5)
    assert not np.allclose(logits.sum(axis=-1), 1)
    network.save(tmp_path / "a.keras")
    saved = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(saved(pixels()), logits)


def test_moving_averages_follow_within_few_steps():
    network = model_specs.build(SMALL, (32, 32, 3), 5)
    layer = network.get_layer("bn_Conv1")
    for _ in range(30):
        network(pixels(), training=True)
    means = keras.Model(network.inputs, layer.input)(pixels()).numpy().mean(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean, (1 - 0.9**30) * means, rtol=1e-3)


def test_weight_decay_is_half_the_squares_of_the_kernels():
    network = model_specs.build(SMALL, (32, 32, 3), 5, weight_decay=0.1)
    kernels = [each for each in network.trainable_weights if each.path.endswith("kernel")]
    assert len(kernels) > 50
    squares = sum(float(np.square(each.numpy().astype("float64")).sum()) for each in kernels)
    assert float(sum(network.losses)) == pytest.approx(0.05 * squares, rel=1e-5)


def test_grey_images_are_repeated():
    network = model_specs.build(SMALL, (32, 32, 1), 5)
    colour = model_specs.build(SMALL, (32, 32, 3), 5)
    grey = pixels(channels=1)
    expected = colour(np.repeat(grey, 3, axis=-1))
    np.testing.assert_allclose(network(grey), expected, rtol=1e-5, atol=1e-6)


def test_a_file_of_weights_starts_all_but_the_head(tmp_path):
    core = keras.applications.MobileNetV2(
        alpha=0.35, weights=None, include_top=False, pooling="avg", input_shape=(32, 32, 3)
    )
    core.save_weights(tmp_path / "core.weights.h5")
    spec = f"{SMALL}@{tmp_path / 'core.weights.h5'}"
    network = model_specs.build(spec, (32, 32, 3), 5)
    features = keras.Model(network.inputs, network.layers[-2].output)
    np.testing.assert_allclose(features(pixels()), core(pixels() / 127.5 - 1), atol=1e-5)
    assert network.layers[-1].name == "logits"


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        (SMALL, (8, 8, 3), "needs images of at least 32 x 32 pixels.*Received: 8 x 8 x 3"),
        ("keras:Xception", (64, 64, 3), "at least 71 x 71"),
        (SMALL, (32, 32, 4), "1 or 3 channels"),
        (f"{SMALL}@w.h5", (32, 32, 3), "w.h5 do not load into keras:MobileNetV2 .*leave them out"),
        ("keras:MobileNet?depth_multiplier=0", (32, 32, 3), "Cannot build keras:MobileNet"),
    ],
)
def test_what_cannot_be_built_is_said(tmp_path, monkeypatch, spec, shape, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.h5").write_text("no weights")
    with pytest.raises(ValueError, match=message) as caught:
        model_specs.build(spec, shape, 5)
    assert "\n" not in str(caught.value)


def test_weights_that_cannot_be_had_are_said(monkeypatch):
    def offline(*args, **kwargs):
        raise Exception("URL fetch failure on https://storage: no address")

    from keras.src.utils import file_utils

    monkeypatch.setattr(file_utils, "get_file", offline)
    with pytest.raises(ValueError, match="cannot be had .*no address.*notop.h5"):
        model_specs.build("keras:MobileNetV2@imagenet", (96, 96, 3), 5)


def test_every_row_has_an_allowed_least_size():
    for row in application_rows.ROWS:
        assert row.pixels is None or row.pixels in application_rows.PIXELS
        assert all(size >= row.least for size in row.names.values())
