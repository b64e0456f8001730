"""The table of parameters and FLOPs, and what is counted where it has no row."""

import json

import pytest

from keras_logitkd import zoo
from keras_logitkd.zoo import flops, sizes

# Of torchvision's networks.
PUBLISHED = {"resnet-18": 11_689_512, "resnet-50": 25_557_032, "resnet-152": 60_192_808}


def test_every_listed_model_is_in_the_table_at_the_sizes_of_its_family():
    assert [row["name"] for row in map(sizes.known, zoo.list_models())] == list(zoo.list_models())
    for row in map(sizes.known, zoo.list_models()):
        is_imagenet = row["family"] == "imagenet_resnet"
        assert row["input_shape"] == ([224, 224, 3] if is_imagenet else [32, 32, 3])
        assert row["classes"] == (1000 if is_imagenet else 100)


def test_parameters_are_the_published_ones():
    assert {name: sizes.size_of(name)["parameters"] for name in PUBLISHED} == PUBLISHED


@pytest.mark.parametrize(
    "name",
    [
        *("wrn-10-1", "resnet-8-1", "resnet-18"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in zoo.list_models()
            if name not in ("wrn-10-1", "resnet-8-1", "resnet-18")
        ),
    ],
)
def test_rows_are_what_a_built_network_counts(name):
    row = sizes.known(name)
    model = zoo.build(name, row["input_shape"], row["classes"])
    assert row["parameters"] == flops.count_parameters(model)
    assert row["flops"] == zoo.count_flops(model)


@pytest.mark.parametrize(
    "asked", [{"classes": 10}, {"image_size": 16}, {"channels": 1}, {"name": "wrn-10-3"}]
)
def test_what_has_no_row_is_counted(asked):
    asked = {"name": "wrn-10-1", **asked}
    assert sizes.known(**asked) is None
    row = sizes.size_of(**asked)
    model = zoo.build(asked["name"], row["input_shape"], row["classes"])
    assert row["parameters"] == flops.count_parameters(model)
    assert row["classes"] == asked.get("classes", 100)


def test_the_table_is_written_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(sizes.registry, "list_models", lambda: ("wrn-10-1", "resnet-8-1"))
    sizes.write_table(tmp_path / "sizes.json")
    written = json.loads((tmp_path / "sizes.json").read_text())
    assert written == [sizes.known("wrn-10-1"), sizes.known("resnet-8-1")]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="must be wrn-D-W"):
        sizes.size_of("vgg")
