"""Taps inside nested models: found by name or path, computed in the one pass."""

import keras
import numpy as np
import pytest

from keras_logitkd import Distiller
from keras_logitkd.features.graph import Graph
from keras_logitkd.features.taps import tapped
from keras_logitkd.features.teacher_models import teacher_with_taps

layers = keras.layers
X = np.random.default_rng(0).standard_normal((4, 6)).astype("float32")


def branch(name, width=5, call=None):
    """A network whose layers have the names of every other one."""
    inputs = keras.Input((6,))
    x = layers.Dense(width, "tanh", name="first")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = call(x) if call else x
    return keras.Model(inputs, layers.Dense(6, name="second")(x), name=name)


def two_branches():
    inputs = keras.Input((6,), name="x")
    left = branch("left")(layers.Dense(6, name="stem")(inputs))
    right = branch("right", call=layers.Dense(7, "relu", name="only_here"))(left)
    total = layers.Add(name="sum")([left, right])
    return keras.Model(inputs, layers.Dense(3, name="head")(total), name="whole")


def by_hand(model, x=X):
    """Every tensor of `two_branches`, by the paths of their layers."""
    values, layer = {"stem": model.get_layer("stem")(x)}, model.get_layer
    x = values["stem"]
    for name in ("left", "right"):
        for each in layer(name).layers[1:]:
            x = values[f"{name}/{each.name}"] = each(x)
        values[name] = x
    values["sum"] = values["left"] + values["right"]
    values["logits"] = layer("head")(values["sum"])
    return values


def test_tensors_are_those_of_the_layers():
    model = two_branches()
    expected = by_hand(model)
    found = tapped(model, [*expected])(X)
    assert {*found} == {*expected}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["logits"], model(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tap", ["only_here", "right/only_here", "right.only_here"])
def test_short_names_and_paths(tap):
    model = two_branches()
    found = tapped(model, [tap], logits=False)(X)
    assert [*found] == [tap]
    np.testing.assert_allclose(found[tap], by_hand(model)["right/only_here"], rtol=1e-5, atol=1e-6)
    assert Graph(model).tensor(tap).shape == (None, 7)


def test_ambiguous_names_are_refused_with_their_paths():
    with pytest.raises(ValueError, match="must be named by its path") as error:
        tapped(two_branches(), ["first"])
    assert str(error.value) == (
        "A tap in a nested model must be named by its path where others have its name: one of "
        "right/first, left/first; as text, at:taps=right.first. "
        "Received: 'first' of the model 'whole'"
    )


@pytest.mark.parametrize("tap", ["onlyhere", "right/onlyhere", "right.onlyhere"])
def test_unknown_taps_list_what_there_is(tap):
    with pytest.raises(ValueError, match="no tap") as error:
        tapped(two_branches(), [tap])
    message = str(error.value)
    assert message.startswith(f"The model 'whole' has no tap {tap!r}. It has pool, logits, and")
    assert "layers by name: right/only_here and 14 more" in message
    assert message.endswith("; as text, at:taps=right.only_here")
    with pytest.raises(ValueError, match="x, stem, left, left/.*, right/first, .*sum, head; as"):
        tapped(two_branches(), ["?"])


def test_what_is_above_the_taps_does_not_run():
    model = two_branches()
    tapped(model, ["left/first", "stem"], logits=False)(X, training=True)
    norms = [model.get_layer(name).get_layer("norm") for name in ("left", "right")]
    for norm in norms:
        np.testing.assert_array_equal(norm.moving_mean, np.zeros(5))
    tapped(model, ["left/norm", "left/first"], logits=False)(X, training=True)
    assert np.all(norms[0].moving_mean)
    np.testing.assert_array_equal(norms[1].moving_mean, np.zeros(5))


def test_statistics_move_once_in_the_one_pass():
    plain, with_taps = two_branches(), two_branches()
    with_taps.set_weights(plain.get_weights())
    plain(X, training=True)
    tapped(with_taps, ["left/norm", "right/norm", "sum"])(X, training=True)
    for one, other in zip(plain.variables, with_taps.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_layers_below_taps():
    model = two_branches()
    below = Graph(model).layers_of(["left/norm"])
    names = [layer.name for layer in below if layer.weights]
    assert names == ["stem", "first", "norm"]
    assert below[2] is model.get_layer("left").layers[0]
    right = Graph(model).layers_of(["right/first", "left"])
    assert [each.name for each in right if each.weights] == ["stem", "left", "first"]
    assert Graph(model).norm_before("right/norm") is model.get_layer("right").get_layer("norm")


def test_nested_twice_in_sequential_models():
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu", name="deep")], name="b")
    middle = keras.Sequential([keras.Input((6,)), layers.Dense(6), inner], name="a")
    model = keras.Sequential([keras.Input((6,)), middle, layers.Dense(3)])
    for tap in ("deep", "a/b/deep", "a.b.deep", "b/deep", "a/deep", "b", "a/logits"):
        found = tapped(model, [tap])(X)
        np.testing.assert_allclose(found[tap], middle(X), rtol=1e-6)
        np.testing.assert_allclose(found["logits"], model(X), rtol=1e-6)


def test_a_model_that_is_called_twice_is_tapped_at_its_last_call():
    shared, inputs = branch("twice"), keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(3)(shared(shared(inputs))))
    found = tapped(model, ["twice/first"])(X)
    expected = shared.get_layer("first")(shared(X))
    np.testing.assert_allclose(found["twice/first"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["logits"], model(X), rtol=1e-5, atol=1e-6)


def backbone(seed):
    keras.utils.set_random_seed(seed)
    body = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, include_top=False, weights=None, pooling="avg", name="backbone"
    )
    inputs = keras.Input((32, 32, 3))
    return keras.Model(inputs, layers.Dense(3)(body(layers.Rescaling(2.0)(inputs))))


@pytest.mark.parametrize("tap", ["block_5_add", "backbone.block_5_add"])
def test_attention_in_a_backbone_of_keras(tap):
    teacher, student = backbone(0), backbone(1)
    x = np.random.default_rng(0).uniform(size=(4, 32, 32, 3)).astype("float32")
    body = teacher.get_layer("backbone")
    expected = keras.Model(body.input, body.get_layer("block_5_add").output)(2 * x)
    for statistics in ("moving", "batch"):
        found = teacher_with_taps(teacher, [tap], statistics)(x, training=False)
        if statistics == "moving":
            np.testing.assert_allclose(found[tap], expected, rtol=1e-4, atol=1e-6)
    before = body.get_layer("block_5_project").get_weights()[0]
    distiller = Distiller(teacher, student, None, alpha=0.0, features=f"at:taps={tap}")
    distiller.compile("sgd", run_eagerly=True)
    logs = distiller.train_on_batch(x, np.arange(4) % 3, return_dict=True)

    def attention(features):
        map_ = np.square(features).mean(-1).reshape(4, -1)
        return map_ / np.linalg.norm(map_, axis=-1, keepdims=True)

    ours = backbone(1)
    outputs = tapped(ours, [tap])(x, training=True)
    squares = np.square(attention(outputs[tap].numpy()) - attention(expected.numpy()))
    assert logs["at"] == pytest.approx(np.mean(squares), rel=1e-3)
    np.testing.assert_array_equal(body.get_layer("block_5_project").get_weights()[0], before)
