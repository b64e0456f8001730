"""Networks of the zoo from PyTorch checkpoints."""

import keras
import numpy as np
import pytest

from keras_logitkd import model_specs, zoo

pytestmark = pytest.mark.torch


def checkpoint(path, classes):
    """Writes the state dict of a wrn-10-1 as PyTorch has it; returns the network it is of."""
    import torch

    network = zoo.build("wrn-10-1", (8, 8, 3), classes)
    rng = np.random.default_rng(0)
    state, own = {}, {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}
    own |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    for weight in network.weights:
        layer, name = weight.path.split("/")[-2:]
        weight.assign(np.abs(rng.normal(size=weight.shape)) + 0.1)
        value = weight.numpy()
        if name == "kernel":
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        module = {"stem_conv": "conv1", "final_bn": "bn1", "logits": "fc"}.get(layer)
        if module is None:
            group, block, part = layer.split("_", 2)
            part = {"shortcut_conv": "convShortcut"}.get(part, part)
            module = f"block{group[5:]}.layer.{int(block[5:]) - 1}.{part}"
        state[f"{module}.{own[name]}"] = torch.from_numpy(np.array(value))
    torch.save(state, path)
    return network


@pytest.mark.parametrize("classes", [10, 4])
def test_a_checkpoint_starts_all_but_a_classifier_of_other_classes(tmp_path, classes):
    saved = checkpoint(tmp_path / "w.pt", 10)
    spec = f"wrn-10-1@{tmp_path / 'w.pt'}"
    network = model_specs.build(spec, (8, 8, 3), classes, mean=(100.0,) * 3, std=(50.0,) * 3)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype("float32")
    pools = [keras.Model(each.inputs, each.get_layer("pool").output) for each in (network, saved)]
    features = pools[1]((pixels - 100) / 50)
    np.testing.assert_allclose(pools[0](pixels), features, rtol=1e-4)
    same = np.array_equal(network.get_weights()[-1], saved.get_weights()[-1])
    assert same is (classes == 10)
    assert model_specs.parse(spec).is_pretrained


def test_a_checkpoint_of_another_network_is_one_line(tmp_path):
    checkpoint(tmp_path / "w.pt", 10)
    with pytest.raises(ValueError, match="w.pt do not load into resnet-8-1: .*weights") as caught:
        model_specs.build(f"resnet-8-1@{tmp_path / 'w.pt'}", (8, 8, 3), 10)
    assert "\n" not in str(caught.value)
