"""The same weights give the same logits as in PyTorch.

The networks below are written anew for these tests; only the names of their parameters are those
of the originals.
"""

import argparse

import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.networks.layers import to_stock
from keras_logitkd.zoo.torch_weights import load_state_dict, read_state_dict

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
nn = torch.nn


def conv(inputs, outputs, size, stride=1):
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class PreactivationBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, affine):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs, affine=affine)
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs, affine=affine)
        self.conv2 = conv(outputs, outputs, 3)
        if inputs != outputs:
            self.convShortcut = conv(inputs, outputs, 1, stride)

    def forward(self, x):
        active = self.bn1(x).relu()
        shortcut = self.convShortcut(active) if hasattr(self, "convShortcut") else x
        return shortcut + self.conv2(self.bn2(self.conv1(active)).relu())


class Group(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self, depth, width, classes, head, affine=True):
        super().__init__()
        self.conv1 = conv(3, 16, 3)
        inputs = 16
        for group, (outputs, stride) in enumerate([(16, 1), (32, 2), (64, 2)], start=1):
            blocks = []
            for number in range((depth - 4) // 6):
                stride = stride if number == 0 else 1
                blocks.append(PreactivationBlock(inputs, outputs * width, stride, affine))
                inputs = outputs * width
            setattr(self, f"block{group}", Group(*blocks))
        self.bn1 = nn.BatchNorm2d(inputs, affine=affine)
        self.head = head
        setattr(self, head, nn.Linear(inputs, classes))

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return getattr(self, self.head)(self.bn1(x).relu().mean((2, 3)))


class ResidualBlock(nn.Module):
    """A basic block, or a bottleneck where `expansion` is 4."""

    def __init__(self, inputs, filters, stride, expansion):
        super().__init__()
        outputs = filters * expansion
        if expansion == 1:
            convs = [conv(inputs, filters, 3, stride), conv(filters, filters, 3)]
        else:
            convs = [conv(inputs, filters, 1), conv(filters, filters, 3, stride)]
            convs.append(conv(filters, outputs, 1))
        for number, layer in enumerate(convs, start=1):
            setattr(self, f"conv{number}", layer)
            setattr(self, f"bn{number}", nn.BatchNorm2d(layer.out_channels))
        self.last = len(convs)
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        for number in range(1, self.last + 1):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            x = x.relu() if number < self.last else x
        return (shortcut + x).relu()


class ResNet(nn.Module):
    def __init__(self, stem, filters, blocks, classes, expansion=1, imagenet=False):
        super().__init__()
        self.conv1 = conv(3, stem, 7, 2) if imagenet else conv(3, stem, 3)
        self.bn1 = nn.BatchNorm2d(stem)
        self.pool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        self.groups = len(blocks)
        inputs = stem
        for group, (size, count) in enumerate(zip(filters, blocks, strict=True), start=1):
            layers = []
            for number in range(count):
                stride = 2 if group > 1 and number == 0 else 1
                layers.append(ResidualBlock(inputs, size, stride, expansion))
                inputs = size * expansion
            setattr(self, f"layer{group}", nn.Sequential(*layers))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.pool(self.bn1(self.conv1(x)).relu())
        for group in range(1, self.groups + 1):
            x = getattr(self, f"layer{group}")(x)
        return self.fc(x.mean((2, 3)))


def cifar(depth, stem, filters):
    return ResNet(stem, filters, [(depth - 2) // 6] * 3, classes=100)


def imagenet(blocks, expansion):
    return ResNet(64, (64, 128, 256, 512), blocks, 1000, expansion, imagenet=True)


NETWORKS = {
    "wrn-10-1": lambda: WideResNet(10, 1, 100, "fc"),
    "wrn-16-2": lambda: WideResNet(16, 2, 100, "linear"),
    "resnet-20": lambda: cifar(20, 16, (16, 32, 64)),
    "resnet-8-4": lambda: cifar(8, 32, (64, 128, 256)),
    "resnet-18": lambda: imagenet((2, 2, 2, 2), 1),
    "resnet-50": lambda: imagenet((3, 4, 6, 3), 4),
}


def with_random_batch_norms(network):
    """A network in inference mode, after some training as it were."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            if module.affine:
                module.weight.data.uniform_(0.5, 1.0, generator=generator)
                module.bias.data.normal_(0, 0.2, generator=generator)
    return network.eval()


def make_network(name):
    torch.manual_seed(0)
    return with_random_batch_norms(NETWORKS[name]())


def torch_logits(network, images):
    with torch.no_grad():
        return network(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()


def random_images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_equal_pytorchs(name):
    network = make_network(name)
    imagenet = zoo.parse_name(name).family == "imagenet_resnet"
    model = zoo.build(name, (None, None, 3), 1000 if imagenet else 100)
    load_state_dict(model, network.state_dict())
    for height, width in [(64, 64), (49, 40)] if imagenet else [(32, 32), (29, 20)]:
        images = random_images(3, height, width, 3)
        expected = torch_logits(network, images)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(model(images), expected, rtol=0, atol=1e-4)


def test_stock_copy_gives_pytorchs_logits():
    network = make_network("wrn-10-1")
    model = load_state_dict(to_stock(zoo.build("wrn-10-1", (32, 32, 3), 100)), network.state_dict())
    images = random_images(3, 32, 32, 3)
    np.testing.assert_allclose(model(images), torch_logits(network, images), rtol=0, atol=1e-4)


def test_batch_norm_without_affine_parameters():
    torch.manual_seed(0)
    network = with_random_batch_norms(WideResNet(10, 1, 100, "linear", affine=False))
    model = zoo.build("wrn-10-1", (32, 32, 3), 100)
    load_state_dict(model, network.state_dict())
    images = random_images(3, 32, 32, 3)
    np.testing.assert_allclose(model(images), torch_logits(network, images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["wrn-16-2", "resnet-20"])
def test_initial_classifier_is_distributed_as_in_pytorch(name):
    keras.utils.set_random_seed(0)
    ours = zoo.build(name, (8, 8, 3), 100).get_layer("logits").kernel.numpy()
    network = NETWORKS[name]()
    theirs = (network.linear if hasattr(network, "linear") else network.fc).weight.detach().numpy()
    assert ours.std() == pytest.approx(theirs.std(), rel=0.05)
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.05)


def test_parameters_that_require_gradients_load():
    network = make_network("wrn-10-1").bfloat16()
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    model = load_state_dict(zoo.build("wrn-10-1", (32, 32, 3), 100), state)
    expected = network.fc.bias.detach().float().numpy()
    np.testing.assert_array_equal(model.get_layer("logits").bias.numpy(), expected)


def test_read_state_dict(tmp_path):
    network = make_network("wrn-10-1")
    parallel = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"epoch": 240, "model": parallel}, tmp_path / "teacher.pth")
    state = read_state_dict(tmp_path / "teacher.pth")
    assert list(state) == list(network.state_dict())
    torch.testing.assert_close(state["bn1.running_var"], network.bn1.running_var)


def test_read_state_dict_runs_no_code(tmp_path):
    torch.save({"model": {}, "options": argparse.Namespace(lr=0.1)}, tmp_path / "teacher.pth")
    with pytest.raises(ValueError, match="weights_only=True") as caught:
        read_state_dict(tmp_path / "teacher.pth")
    assert "\n" not in str(caught.value)


def test_read_state_dict_of_other_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_state_dict(tmp_path / "absent.pth")
    for content in (b"", b"not a checkpoint"):
        (tmp_path / "other.pth").write_bytes(content)
        with pytest.raises(ValueError, match=r"^`path` must be a PyTorch checkpoint"):
            read_state_dict(tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"^`state` must be a mapping"):
        read_state_dict(tmp_path / "list.pth")
