"""Networks in files, and of functions of the user."""

import keras
import numpy as np
import pytest

from keras_logitkd import model_specs, zoo

CODE = """
import keras
import numpy as np
from keras import layers

def plain(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape), layers.Flatten(), layers.Dense(num_classes, name="out"),
    ])

def scaling(input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), layers.Rescaling(1 / 255),
        layers.Flatten(), layers.Dense(num_classes, activation="softmax")])

def drawing(input_shape, num_classes):
    model = plain(input_shape, num_classes)
    model.layers[-1].bias.assign(np.random.normal(size=num_classes))
    return model

def unbuilt(input_shape, num_classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(num_classes)])

def stubborn(input_shape, num_classes):
    return plain(input_shape, 7)

def other_size(input_shape, num_classes):
    return plain((5, 5, 1), num_classes)

def broken(input_shape, num_classes):
    raise RuntimeError("no such\\nlayer")

def wrong_arguments(shape):
    return plain(shape, 3)

def two_outputs(input_shape, num_classes):
    model = plain(input_shape, num_classes)
    return keras.Model(model.inputs, [model.outputs[0], model.outputs[0]])

number = 7
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(CODE)
    (tmp_path / "logitkd_test_module.py").write_text(CODE)
    (tmp_path / "syntax.py").write_text("def f(:\n")
    return tmp_path


def images(side=8):
    draws = np.random.default_rng(0).integers(0, 256, (4, side, side, 1))
    return draws.astype("float32")


@pytest.mark.parametrize("source", ["nets.py", "logitkd_test_module"])
def test_a_network_that_scales_no_pixels_gets_them_normalized(caplog, source):
    with caplog.at_level("INFO", logger="keras_logitkd"):
        network = model_specs.build(f"{source}:plain", (8, 8, 1), 3, mean=(50.0,), std=(10.0,))
    kernel, bias = network.get_weights()[-2:]
    expected = ((images() - 50) / 10).reshape(4, 64) @ kernel + bias
    np.testing.assert_allclose(network(images()), expected, rtol=1e-4, atol=1e-4)
    assert "scales no pixels itself: they are normalized" in caplog.text


def test_a_network_that_scales_pixels_gets_them_raw_and_its_softmax_is_taken_off(caplog):
    with caplog.at_level("INFO", logger="keras_logitkd"):
        network = model_specs.build("nets.py:scaling", (8, 8, 1), 3, mean=(50.0,), std=(10.0,))
    kernel, bias = network.get_weights()
    expected = images().reshape(4, 64) / 255 @ kernel + bias
    np.testing.assert_allclose(network(images()), expected, rtol=1e-4, atol=1e-5)
    assert "ends in a softmax, which is taken off" in caplog.text


@pytest.mark.parametrize("name", ["plain", "drawing"])
def test_weights_are_drawn_by_the_seed(name):
    def weights(seed):
        return model_specs.build(f"nets.py:{name}", (8, 8, 1), 3, seed=seed).get_weights()[-2:]

    for one, other in zip(weights(1), weights(1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (weights(1)[0] != weights(2)[0]).any()


def test_weight_decay_acts_in_networks_of_users():
    network = model_specs.build("nets.py:scaling", (8, 8, 1), 3, weight_decay=0.5)
    kernel = network.get_weights()[0]
    assert float(sum(network.losses)) == pytest.approx(0.25 * np.square(kernel).sum(), rel=1e-5)


FUNCTIONS = {
    "nets.py:plian": "has no function 'plian'. Did you mean plain",
    "nets.py:number": "has no function 'number'",
    "nets.py:unbuilt": "must return a built functional or Sequential .*Received: Sequential",
    "nets.py:stubborn": r"to 3 logits. Received: one from \(8, 8, 1\) to \(7,\)",
    "nets.py:other_size": r"a model from \(8, 8, 1\) .*Received: one from \(5, 5, 1\)",
    "nets.py:broken": r"num_classes=3, raises RuntimeError: no such layer",
    "nets.py:wrong_arguments": "raises TypeError: .*input_shape",
    "nets.py:two_outputs": "one of logits out. Received: Functional",
    "syntax.py:f": "syntax.py:f cannot be imported: SyntaxError",
    "no_such_module:f": "there is no module 'no_such_module', neither installed nor in",
    "no_such.module:f": "No module named 'no_such'",
}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_what_is_wrong_with_a_function_is_said(text):
    with pytest.raises(ValueError, match=FUNCTIONS[text]) as caught:
        model_specs.build(text, (8, 8, 1), 3)
    assert "\n" not in str(caught.value)


@pytest.fixture
def file(place):
    network = zoo.build("wrn-10-1", (8, 8, 1), 3)
    network.get_layer("logits").bias.assign([1.0, 2.0, 3.0])
    network.save("teacher.keras")
    return network


def test_a_file_starts_with_its_weights(file):
    network = model_specs.build("teacher.keras", (8, 8, 1), 3)
    np.testing.assert_array_equal(network(images()), file(images()))


def test_a_fresh_file_has_the_architecture_and_new_weights(file):
    first, second, third = (
        model_specs.build("teacher.keras?fresh", (8, 8, 1), 3, seed=seed) for seed in (0, 0, 1)
    )
    shapes = [[weight.shape for weight in each.weights] for each in (first, file)]
    assert shapes[0] == shapes[1]
    np.testing.assert_array_equal(first(images()), second(images()))
    assert not np.allclose(first(images()), third(images()))
    assert not np.allclose(first(images()), file(images()))


def test_other_classes_get_a_new_last_layer(file, caplog):
    with caplog.at_level("INFO", logger="keras_logitkd"):
        network = model_specs.build("teacher.keras", (8, 8, 1), 5)
    assert "teacher.keras knows 3 classes: it gets a new last layer for 5" in caplog.text
    features = [keras.Model(each.inputs, each.get_layer("pool").output) for each in (network, file)]
    np.testing.assert_array_equal(features[0](images()), features[1](images()))
    assert network.output_shape == (None, 5)


def test_other_classes_in_a_nested_network(file):
    inputs = keras.Input((8, 8, 1))
    keras.Model(inputs, file(inputs)).save("nested.keras")
    network = model_specs.build("nested.keras", (8, 8, 1), 2)
    assert network.output_shape == (None, 2)
    kept = network.layers[-1].get_layer("stem_conv").get_weights()[0]
    np.testing.assert_array_equal(kept, file.get_layer("stem_conv").get_weights()[0])


def test_a_head_that_cannot_be_replaced_is_said():
    stack = [keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 8), keras.layers.Flatten()]
    keras.Sequential(stack).save("odd.keras")
    with pytest.raises(ValueError, match="Cannot build .*odd.keras.*must end in a Dense layer"):
        model_specs.build("odd.keras", (8, 8, 1), 4)
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)]).save("vector.keras")
    with pytest.raises(ValueError, match=r"must take images. Received: a model for \(8,\)"):
        model_specs.build("vector.keras", (8, 8, 1), 3)
