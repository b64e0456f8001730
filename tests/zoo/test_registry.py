"""Names of models, and what they refuse. Nothing here builds a model."""

import inspect
import subprocess
import sys
import types

import pytest

from keras_logitkd import zoo
from keras_logitkd.zoo import imagenet_resnet, registry


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wrn-10-1", ("wide_resnet", 10, 1)),
        ("wrn-28-4", ("wide_resnet", 28, 4)),
        ("wrn-40-12", ("wide_resnet", 40, 12)),
        ("resnet-20", ("cifar_resnet", 20, 1)),
        ("resnet-110", ("cifar_resnet", 110, 1)),
        ("resnet-8-4", ("cifar_resnet", 8, 4)),
        ("resnet-50-1", ("cifar_resnet", 50, 1)),
        ("resnet-18", ("imagenet_resnet", 18, 1)),
        ("resnet-50", ("imagenet_resnet", 50, 1)),
    ],
)
def test_parse_name(name, expected):
    assert zoo.parse_name(name) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("wrn-17-2", "nearest 16 or 22"),
        ("wrn-4-2", "nearest 10"),
        ("wrn-1-2", "nearest 10"),
        ("resnet-21", "nearest 20 or 26"),
        ("resnet-18-2", "nearest 14 or 20"),
        ("resnet-2-1", "nearest 8"),
        ("resnet-8", "Did you mean 'resnet-8-1'?"),
        ("resnet-62", "Did you mean 'resnet-62-1'?"),
        ("resnet18", "Did you mean 'resnet-18'?"),
        ("WRN-16-2", "Did you mean 'wrn-16-2'?"),
        ("wrn-16", "Did you mean 'wrn-16-"),
        ("wrn-16-0", "wrn-D-W (D = 6n + 4)"),
        ("wrn-016-2", "wrn-D-W (D = 6n + 4)"),
        ("wrn-16-2\n", "wrn-D-W (D = 6n + 4)"),
        ("vgg-8", "resnet-18/34/50/101/152 (ImageNet)"),
        ("", "resnet-20/32/44/56/110 (width 1)"),
        (None, "wrn-D-W (D = 6n + 4)"),
        (16, "wrn-D-W (D = 6n + 4)"),
    ],
)
def test_parse_name_refuses_in_one_line(name, hint):
    with pytest.raises(ValueError, match=r"^`name` must") as caught:
        zoo.parse_name(name)
    message = str(caught.value)
    assert hint in message
    assert f"Received: name={name!r}" in message
    assert "\n" not in message


def test_list_models_are_all_known():
    names = zoo.list_models()
    assert len(set(names)) == len(names)
    assert {"wrn-16-2", "wrn-28-4", "resnet-8-4", "resnet-56", "resnet-152"} <= set(names)
    families = {zoo.parse_name(name).family for name in names}
    assert families == {"wide_resnet", "cifar_resnet", "imagenet_resnet"}


def test_imagenet_depths_are_those_that_build():
    assert tuple(imagenet_resnet.BLOCKS) == registry.IMAGENET_DEPTHS


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("input_shape", (32, 32)),
        ("input_shape", (0, 32, 3)),
        ("input_shape", (32, 32.0, 3)),
        ("input_shape", (32, 32, None)),
        ("input_shape", (True, 32, 3)),
        ("input_shape", "333"),
        ("input_shape", None),
        ("num_classes", 0),
        ("num_classes", 10.0),
        ("num_classes", None),
        ("weight_decay", -1e-4),
        ("weight_decay", float("nan")),
        ("weight_decay", float("inf")),
        ("weight_decay", None),
    ],
)
def test_build_refuses_arguments(argument, value):
    arguments = {"input_shape": (8, 8, 1), "num_classes": 10, "weight_decay": 0.0, argument: value}
    with pytest.raises(ValueError, match=f"^`{argument}` must be .* Received: {argument}="):
        zoo.build("wrn-10-1", **arguments)


def test_a_family_is_one_row(monkeypatch):
    module = types.ModuleType("toy_family")
    module.build = lambda **arguments: arguments
    monkeypatch.setitem(sys.modules, "toy_family", module)
    row = registry.Family("toy_family", r"toy-(?P<depth>[1-9])", "toy-D (D < 10)", ("toy-3",))
    monkeypatch.setattr(registry, "FAMILIES", [*registry.FAMILIES, row])
    assert zoo.parse_name("toy-4") == ("toy_family", 4, 1)
    assert zoo.list_models()[-1] == "toy-3"
    with pytest.raises(ValueError, match=r"or toy-D \(D < 10\)\. .* Did you mean 'toy-3'\?"):
        zoo.parse_name("toy_3")
    built = zoo.build("toy-4", (8, 8, 1), 10)
    assert (built["depth"], built["width"], built["name"]) == (4, 1, "toy-4")


def test_names_need_no_keras():
    code = """
import sys
import keras_logitkd.zoo as zoo
zoo.parse_name(zoo.list_models()[0])
print(sorted({"keras", "numpy", "tensorflow", "torch"} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_everything_announced_is_there():
    assert set(zoo.__all__) <= set(dir(zoo))
    assert all(hasattr(zoo, name) for name in zoo.__all__)
    assert inspect.ismodule(zoo.torch_weights)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        zoo.nothing  # noqa: B018
