"""Loading of state dicts: names, wrappings and refusals, without PyTorch (test_torch_models)."""

import re
import sys

import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.networks.layers import to_stock
from keras_logitkd.zoo.torch_weights import keras_layer, load_state_dict, read_state_dict

STATISTICS = {"running_mean": "moving_mean", "running_var": "moving_variance"}


def torch_kernel(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def torch_batch_norm(rng, name, size, affine=True):
    names = ("weight", "bias", *STATISTICS) if affine else tuple(STATISTICS)
    state = {f"{name}.{key}": rng.uniform(0.5, 2, size).astype("float32") for key in names}
    return {**state, f"{name}.num_batches_tracked": np.array(7)}


def wrn_10_1_state(head="fc", affine=True):
    """The state dict of a WRN-10-1 for RGB and five classes, as PyTorch writes it."""
    rng = np.random.default_rng(0)
    state = {"conv1.weight": torch_kernel(rng, 16, 3, 3, 3)}
    for group, (inputs, outputs) in enumerate([(16, 16), (16, 32), (32, 64)], start=1):
        block = f"block{group}.layer.0"
        state |= torch_batch_norm(rng, f"{block}.bn1", inputs, affine)
        state[f"{block}.conv1.weight"] = torch_kernel(rng, outputs, inputs, 3, 3)
        state |= torch_batch_norm(rng, f"{block}.bn2", outputs, affine)
        state[f"{block}.conv2.weight"] = torch_kernel(rng, outputs, outputs, 3, 3)
        if inputs != outputs:
            state[f"{block}.convShortcut.weight"] = torch_kernel(rng, outputs, inputs, 1, 1)
    state |= torch_batch_norm(rng, "bn1", 64, affine)
    state[f"{head}.weight"] = torch_kernel(rng, 5, 64)
    state[f"{head}.bias"] = torch_kernel(rng, 5)
    return state


def wrn_10_1():
    return zoo.build("wrn-10-1", (8, 8, 3), 5)


def assert_equal_weights(left, right):
    for one, other in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("module", "wide", "expected"),
    [
        ("conv1", True, "stem_conv"),
        ("bn1", True, "final_bn"),
        ("bn1", False, "stem_bn"),
        ("fc", False, "logits"),
        ("linear", True, "logits"),
        ("block2.layer.0.bn1", True, "group2_block1_bn1"),
        ("block3.layer.11.conv2", True, "group3_block12_conv2"),
        ("block2.layer.0.convShortcut", True, "group2_block1_shortcut_conv"),
        ("layer4.2.conv3", False, "group4_block3_conv3"),
        ("layer2.0.downsample.0", False, "group2_block1_shortcut_conv"),
        ("layer2.0.downsample.1", False, "group2_block1_shortcut_bn"),
        ("features.0", False, "features.0"),
    ],
)
def test_keras_layer(module, wide, expected):
    assert keras_layer(module, wide) == expected


@pytest.mark.parametrize("head", ["fc", "linear"])
def test_every_value_arrives(head):
    state = wrn_10_1_state(head)
    model = wrn_10_1()
    assert load_state_dict(model, state) is model
    for key, layer, variable in (
        ("conv1.weight", "stem_conv", "kernel"),
        ("block3.layer.0.convShortcut.weight", "group3_block1_shortcut_conv", "kernel"),
        (f"{head}.weight", "logits", "kernel"),
        (f"{head}.bias", "logits", "bias"),
        ("bn1.weight", "final_bn", "gamma"),
        ("bn1.bias", "final_bn", "beta"),
        ("block2.layer.0.bn2.running_mean", "group2_block1_bn2", "moving_mean"),
        ("block2.layer.0.bn2.running_var", "group2_block1_bn2", "moving_variance"),
    ):
        value = state[key]
        if variable == "kernel":
            value = np.moveaxis(value, (0, 1), (-1, -2))
        loaded = getattr(model.get_layer(layer), variable).numpy()
        np.testing.assert_array_equal(loaded, value)


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "net"])
def test_wrapped_and_parallel_checkpoints(wrapper):
    state = wrn_10_1_state()
    parallel = {f"module.{key}": value for key, value in state.items()}
    wrapped = load_state_dict(wrn_10_1(), {"epoch": 240, wrapper: parallel, "optimizer": {}})
    assert_equal_weights(wrapped, load_state_dict(wrn_10_1(), state))


def test_models_around_a_zoo_model():
    state = wrn_10_1_state()
    plain = load_state_dict(wrn_10_1(), state)
    stock = load_state_dict(to_stock(wrn_10_1()), state)
    assert_equal_weights(stock, plain)
    normalization = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 1.0, 2.0])
    adapted = keras.layers.Normalization()
    adapted.adapt(np.random.default_rng(0).normal(size=(5, 8, 8, 3)))
    for first in (normalization, adapted):
        nested = keras.Sequential([keras.Input((8, 8, 3)), first, wrn_10_1()])
        load_state_dict(nested, state)
        assert_equal_weights(nested.layers[-1], plain)
    pixels = normalization(keras.Input((8, 8, 3)))
    flat = zoo.build("wrn-10-1", (8, 8, 3), 5, input_tensor=pixels)
    assert_equal_weights(load_state_dict(flat, state), plain)


def test_batch_norm_without_affine_parameters():
    model = wrn_10_1()
    for weight in model.weights:
        weight.assign(weight + 1.0)
    load_state_dict(model, wrn_10_1_state(affine=False))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert np.all(layer.gamma.numpy() == 1)
            assert np.all(layer.beta.numpy() == 0)


def without(*keys):
    return {key: value for key, value in wrn_10_1_state().items() if key not in keys}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (without("fc.bias"), "1 weights of the model not in it: logits/bias"),
        (without("bn1.bias"), "1 weights of the model not in it: final_bn/beta"),
        (without("bn1.running_var"), "1 weights of the model not in it: final_bn/moving_variance"),
        ({**wrn_10_1_state(), "fc2.weight": np.ones(3)}, "1 entries left over: fc2.weight"),
        ({**wrn_10_1_state(), "linear.bias": np.ones(5)}, "1 entries left over: linear.bias"),
        ({**wrn_10_1_state(), "conv1.bias": np.ones(16)}, "1 entries left over: conv1.bias"),
        (
            {**wrn_10_1_state(), "fc.weight": np.ones((10, 64))},
            "fc.weight (64, 10) for logits/kernel (64, 5)",
        ),
        ({}, "weights of the model not in it: stem_conv/kernel, group1_block1_bn1/gamma, "),
    ],
)
def test_state_that_does_not_fit_changes_nothing(state, message):
    model = wrn_10_1()
    before = keras.models.clone_model(model)
    before.set_weights(model.get_weights())
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_state_dict(model, state)
    assert str(caught.value).startswith("`state` must fit the model. Received: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert_equal_weights(model, before)


def test_another_family_is_refused():
    with pytest.raises(ValueError, match=r"weights of the model not in it: .* shapes that differ"):
        load_state_dict(zoo.build("resnet-8-1", (8, 8, 3), 5), wrn_10_1_state())


@pytest.mark.parametrize("state", [None, [1], {1: np.ones(2)}, {"model": {1: np.ones(2)}}])
def test_state_must_be_a_mapping(state):
    with pytest.raises(ValueError, match=r"^`state` must be a mapping of PyTorch's"):
        load_state_dict(wrn_10_1(), state)


def test_read_state_dict_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "keras-logitkd\[torch\]"'):
        read_state_dict("teacher.pth")
