"""Taps: which tensor a name means, and that one forward pass gives them all."""

import keras
import numpy as np
import pytest

from keras_logitkd.features.taps import Graph, tapped
from keras_logitkd.features.teacher_models import teacher_with_taps


def outputs_of(model, names, x):
    layers = {name: model.get_layer(name).output for name in names}
    return keras.Model(model.inputs[0], layers)(x, training=False)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        (
            "wrn-10-1",
            {
                "g1": "group1_out",
                "g1_pre": "group2_block1_bn1",
                "g1_act": "group2_block1_relu1",
                "g2_pre": "group3_block1_bn1",
                "g3": "group3_out",
                "g3_pre": "final_bn",
                "g3_act": "final_relu",
                "pool": "pool",
            },
        ),
        (
            "resnet-8-1",
            {
                "g1": "group1_out",
                "g1_pre": "group1_out",
                "g1_act": "group1_block1_relu2",
                "g3_act": "group3_block1_relu2",
                "pool": "pool",
            },
        ),
    ],
)
def test_names_mean_these_layers(build, images, name, layers):
    model, x = build(name), images[0]
    expected = outputs_of(model, layers.values(), x)
    found = tapped(model, [*layers, *layers.values()])(x, training=False)
    for tap, layer in layers.items():
        np.testing.assert_array_equal(found[tap], expected[layer])
        np.testing.assert_array_equal(found[layer], expected[layer])
    np.testing.assert_array_equal(found["logits"], model(x, training=False))


def test_statistics_move_once_in_the_one_pass(build, images):
    plain, with_taps = build("wrn-10-1"), build("wrn-10-1")
    plain(images[0], training=True)
    tapped(with_taps, ["g1_pre", "g2_pre", "g3_pre", "pool"])(images[0], training=True)
    for one, other in zip(plain.variables, with_taps.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_above_the_taps_do_not_run(build, images):
    model = build("wrn-10-1")
    before = {variable.path: variable.numpy() for variable in model.variables}
    tapped(model, ["g2"], logits=False)(images[0], training=True)
    moved = {
        variable.path
        for variable in model.variables
        if not np.array_equal(variable, before[variable.path])
    }
    assert moved
    assert all("group1" in path or "group2" in path for path in moved)
    below = {layer.name for layer in Graph(model).layers_of(["g2"])}
    assert "group2_out" in below
    assert not any("group3" in name for name in below)


@pytest.mark.parametrize("name", ["wrn-10-1", "resnet-8-1"])
def test_teacher_on_batch_statistics_is_the_training_mode_without_its_traces(build, images, name):
    model, x = build(name), images[0]
    before = [variable.numpy() for variable in model.variables]
    taps = ["g1_pre", "g3_pre"]
    found = teacher_with_taps(model, taps, "batch")(x, training=False)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    expected = tapped(model, taps)(x, training=True)
    for tap in [*taps, "logits"]:
        np.testing.assert_allclose(found[tap], expected[tap], rtol=1e-5, atol=1e-5)


def test_stock_normalization_of_vectors_on_batch_statistics():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, name="hidden"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(3),
        ]
    )
    x = np.random.default_rng(0).standard_normal((7, 4)).astype("float32")
    found = teacher_with_taps(model, ["norm"], "batch")(x, training=False)
    np.testing.assert_allclose(found["logits"], model(x, training=True), rtol=1e-5, atol=1e-6)


def test_unknown_tap_lists_what_there_is(build):
    with pytest.raises(ValueError, match="no tap 'g4'.* It has g1, g1_pre, g1_act, g2") as error:
        tapped(build("wrn-10-1"), ["g4"])
    assert "\n" not in str(error.value)


def test_subclassed_model_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="subclassed model are not known. Received: Own"):
        tapped(Own(), ["g1"])
