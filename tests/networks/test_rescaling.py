"""The normalisation of a network as it is saved, and back."""

import keras
import numpy as np
import pytest

from keras_logitkd import to_stock
from keras_logitkd.networks import rescaling
from keras_logitkd.networks.layers import exportable

layers = keras.layers
RNG = np.random.default_rng(0)
MEAN, STD = [129.3, 124.1, 112.4], [68.2, 65.4, 70.4]
PIXELS = RNG.integers(0, 256, (5, 4, 4, 3)).astype("float32")


def normalization(mean=MEAN, std=STD, name="normalization", **kwargs):
    return layers.Normalization(mean=mean, variance=np.square(std), name=name, **kwargs)


def network(first, shape=(4, 4, 3)):
    rest = [layers.Flatten(), layers.Dense(4, name="logits")]
    return keras.Sequential([keras.Input(shape, name="pixels"), *first, *rest], name="net")


def adapted(**kwargs):
    layer = layers.Normalization(**kwargs)
    layer.adapt(PIXELS)
    return layer


@pytest.mark.parametrize(
    "first",
    [
        lambda: normalization(),
        lambda: normalization(7.0, 2.0),
        lambda: normalization(invert=True),
        lambda: normalization(std=[0.0, 1.0, 2.0]),
        lambda: normalization(7.0, 2.0, axis=None),
        lambda: adapted(),
    ],
)
def test_stock_copies_rescale(first):
    model = network([first()])
    copy = to_stock(model)
    assert [type(layer) for layer in copy.layers] == [
        layers.Rescaling,
        layers.Flatten,
        layers.Dense,
    ]
    assert copy.layers[0].name == model.layers[0].name
    normalised = model.layers[0](PIXELS).numpy()
    scale = np.abs(normalised).max()
    np.testing.assert_allclose(copy.layers[0](PIXELS) / scale, normalised / scale, atol=1e-6)
    for one, other in zip(copy.weights, model.layers[-1].weights, strict=True):
        np.testing.assert_array_equal(one, other)
    logits = model(PIXELS).numpy()
    np.testing.assert_allclose(copy(PIXELS), logits, atol=2e-6 * np.abs(logits).max())


def test_numbers_are_those_of_the_channels():
    scale, offset = (
        to_stock(network([normalization()])).layers[0].get_config()[key]
        for key in ("scale", "offset")
    )
    np.testing.assert_allclose(scale, 1 / np.array(STD), rtol=1e-7)
    np.testing.assert_allclose(offset, -np.array(MEAN) / STD, rtol=1e-7)


def test_nested_models_and_what_stays():
    inner = network([normalization([1.0] * 3, [2.0] * 3, "inner")])
    outer = keras.Sequential([keras.Input((4, 4, 3)), normalization(name="outer"), inner])
    copy = to_stock(outer)
    assert type(copy.layers[0]) is type(copy.layers[1].layers[0]) is layers.Rescaling
    np.testing.assert_allclose(copy(PIXELS), outer(PIXELS), rtol=1e-5, atol=1e-6)
    by_row = network([adapted(axis=(1, 3))])
    assert type(to_stock(by_row).layers[0]) is layers.Normalization
    np.testing.assert_array_equal(to_stock(by_row)(PIXELS), by_row(PIXELS))
    twice = keras.Sequential(
        [keras.Input((4, 4, 3)), normalization(), network([normalization([1.0] * 3, [2.0] * 3)])]
    )
    assert type(to_stock(twice).layers[0]) is layers.Normalization
    np.testing.assert_array_equal(to_stock(twice)(PIXELS), twice(PIXELS))


def test_a_saved_network_computes_the_bits_that_it_was_trained_with(tmp_path):
    for _ in range(20):
        mean, std = RNG.uniform(1, 200, 3), RNG.uniform(0.01, 90, 3)
        model = network([normalization(mean, std)])
        to_stock(model).save(tmp_path / "a.keras")
        loaded = keras.saving.load_model(tmp_path / "a.keras")
        restored = rescaling.as_trained(loaded)
        assert type(restored.layers[0]) is layers.Normalization
        np.testing.assert_array_equal(restored(PIXELS), model(PIXELS))
        assert restored.layers[-1] is loaded.layers[-1]


@pytest.mark.parametrize(
    "first", [[], [layers.Rescaling(1 / 255, name="normalization")], [layers.Rescaling([2.0] * 3)]]
)
def test_other_networks_come_back_as_they_are(first):
    model = network(first)
    assert rescaling.as_trained(model) is model
    assert exportable(model) is model


def test_exported_are_copies_of_what_normalises():
    model = network([normalization()])
    assert type(exportable(model).layers[0]) is layers.Rescaling
    assert type(model.layers[0]) is layers.Normalization
