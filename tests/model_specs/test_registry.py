"""Specifications of networks: what they mean, and what is wrong with them."""

import pathlib

import pytest

from keras_logitkd import model_specs
from keras_logitkd.model_specs import application_rows


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """A working directory with files of each kind; what is in them is not read."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.keras", "nets.py", "w.h5", "w.pt"):
        pathlib.Path(name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "full", "name"),
    [
        ("wrn-16-2", "wrn-16-2", "wrn-16-2"),
        (" resnet-20 ", "resnet-20", "resnet-20"),
        ("wrn-16-2@w.pt", "wrn-16-2@{}/w.pt", "wrn-16-2-w"),
        ("keras:MobileNetV3Small", "keras:MobileNetV3Small", "MobileNetV3Small"),
        ("keras:MobileNetV2?alpha=0.35", "keras:MobileNetV2?alpha=0.35", "MobileNetV2-alpha0.35"),
        (
            "keras:MobileNetV3Large?minimalistic&alpha=.75",
            "keras:MobileNetV3Large?minimalistic=true&alpha=0.75",
            "MobileNetV3Large-minimalistictrue-alpha0.75",
        ),
        ("keras:VGG16@imagenet", "keras:VGG16@imagenet", "VGG16-imagenet"),
        ("keras:VGG16@w.h5", "keras:VGG16@{}/w.h5", "VGG16-w"),
        ("a.keras", "{}/a.keras", "a"),
        ("a.keras?fresh", "{}/a.keras?fresh", "a-fresh"),
        ("nets.py:small", "{}/nets.py:small", "nets-small"),
        ("some.module:small", "some.module:small", "some.module-small"),
    ],
)
def test_texts_mean_the_same_from_everywhere(files, text, full, name):
    spec = model_specs.parse(text)
    assert (spec.text, spec.name) == (full.format(files), name)
    assert model_specs.parse(spec.text) == spec


@pytest.mark.parametrize(
    ("text", "is_pretrained", "size"),
    [
        ("wrn-16-2", False, None),
        ("wrn-16-2@w.pt", True, None),
        ("keras:EfficientNetB3", False, 300),
        ("keras:Xception@imagenet", True, 299),
        ("a.keras", True, None),
        ("a.keras?fresh", False, None),
        ("nets.py:small", False, None),
    ],
)
def test_what_is_known_before_a_network_is_built(text, is_pretrained, size):
    spec = model_specs.parse(text)
    assert (spec.is_pretrained, spec.usual_size) == (is_pretrained, size)


def test_a_fingerprint_follows_the_content(files):
    spec = model_specs.parse("nets.py:small")
    before = spec.fingerprint()
    (files / "elsewhere").mkdir()
    copied = files / "elsewhere" / "nets.py"
    copied.write_text((files / "nets.py").read_text())
    assert model_specs.parse(f"{copied}:small").fingerprint() == before
    copied.write_text("other")
    assert model_specs.parse(f"{copied}:small").fingerprint() != before
    assert model_specs.parse("wrn-16-2").fingerprint() is None


WRONG = {
    "": "A model must be keras:NAME",
    "lenet": "A model must be keras:NAME.*FILE.keras.*Received: 'lenet'",
    "wrn-16": r"must be wrn-D-W .*Did you mean 'wrn-16-[124]'",
    "wrn-17-2": "depth of 6n \\+ 4",
    "resnet-19": "must have a depth of 6n \\+ 2",
    "wrn-16-2@missing.pt": "there is no file of weights .*missing.pt",
    "keras:": "keras.applications has no network ''",
    "keras:MobileNetV3": "Did you mean MobileNetV3Small or MobileNetV3Large",
    "keras:mobilenetv2": "Did you mean MobileNetV2",
    "keras:Lenet": "has no network 'Lenet'",
    "keras:MobileNetV2?alfa=1": "has the options alpha. Received: 'alfa=1'. Did you mean alpha",
    "keras:MobileNetV2?alpha=small": "alpha must be a number. Received: 'small'",
    "keras:MobileNetV2?alpha": "alpha must be a number. Received: None",
    "keras:MobileNetV2?alpha=1&alpha=2": "alpha is given twice",
    "keras:MobileNetV3Small?minimalistic=7": "minimalistic must be true or false. Received: '7'",
    "keras:VGG16?alpha=1": "keras:VGG16 has no options. Received: 'alpha=1'",
    "keras:VGG16@imagnet": "@ must be imagenet or a file of weights.*Received: 'imagnet'",
    "keras:VGG16@missing.h5": "there is no file of weights .*missing.h5",
    "missing.keras": "there is no file '.*missing.keras'",
    "missing.h5": "there is no file '.*missing.h5'",
    "a.keras?frech": "has the options fresh. Received: 'frech'. Did you mean fresh",
    "a.keras?fresh=maybe": "fresh must be true or false. Received: 'maybe'",
    "missing.py:small": "there is no file '.*missing.py'",
    "nets.py:2small": "must be the name of a function",
    "a b:small": "A model must be .*Received: 'a b:small'",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said_in_one_line(text):
    with pytest.raises(ValueError, match=WRONG[text]) as caught:
        model_specs.parse(text)
    assert "\n" not in str(caught.value)
    assert not model_specs.is_spec(text)


def test_rows_are_the_functions_of_keras():
    import keras

    found = {name for name in dir(keras.applications) if name[0].isupper()}
    assert found == set(application_rows.names())
