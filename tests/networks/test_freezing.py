"""Which layers of a network train."""

import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.networks.freezing import Trainability, head_of


def trained_by_a_step(network):
    """Names of the layers whose weights, statistics among them, a training step changes."""
    network.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(True))
    before = {id(weight): weight.numpy() for weight in network.weights}
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype("float32")
    network.train_on_batch(images, np.arange(8) % 3)
    return {
        layer.name
        for layer in network._flatten_layers(include_self=False)
        if not isinstance(layer, keras.Model)
        and any((before[id(weight)] != weight.numpy()).any() for weight in layer.weights)
    }


@pytest.fixture(params=["flat", "nested"])
def network(request):
    inner = zoo.build("wrn-10-1", (8, 8, 1), 3, weight_decay=0.1)
    if request.param == "flat":
        return inner
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Activation("linear")(inner(inputs)))


def test_the_head_alone(network):
    Trainability(network).restrict(head_only=True)
    assert trained_by_a_step(network) == {"logits"}


def test_all_but_batch_normalization(network):
    everything = {layer.name for layer in network._flatten_layers() if layer.weights}
    Trainability(network).restrict(batch_norm=False)
    changed = trained_by_a_step(network)
    assert {"stem_conv", "group1_block1_conv1", "logits"} <= changed < everything
    assert not any("bn" in name for name in changed)


def test_what_never_trained_does_not_begin_to(network):
    stem = next(each for each in network._flatten_layers() if each.name == "stem_conv")
    stem.trainable = False
    trainability = Trainability(network)
    trainability.restrict(head_only=True)
    trainability.restore()
    changed = trained_by_a_step(network)
    assert "stem_conv" not in changed
    assert {"final_bn", "group1_block1_conv1", "logits"} <= changed


def test_a_network_without_one_head_is_refused():
    x = keras.Input((4,))
    parts = [keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)]
    network = keras.Model(x, keras.layers.Add()(parts), name="branches")
    assert head_of(network) is None
    with pytest.raises(ValueError, match="`head_epochs` must be 0 .*'branches'"):
        Trainability(network).restrict(head_only=True)
