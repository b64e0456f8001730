"""Networks of KerasHub, from a preset in a directory: nothing is downloaded."""

import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_logitkd import model_specs


def test_without_keras_hub_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "keras-logitkd\[hub\]"'):
        model_specs.parse("hub:mobilenet_v3_small_100_imagenet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hub:", "must be followed by a preset"),
        ("hub:./missing", "no preset of KerasHub in '.*missing'"),
        ("hub:x?frehs", "Did you mean fresh"),
    ],
)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(ValueError, match=message):
        model_specs.parse(text)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """The directory of a small classifier of seven classes, pixels in [-1, 1]."""
    hub = pytest.importorskip("keras_hub")
    backbone = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
    )
    converter = hub.layers.ResNetImageConverter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0)
    preprocessor = hub.models.ResNetImageClassifierPreprocessor(converter)
    classifier = hub.models.ResNetImageClassifier(
        backbone=backbone, num_classes=7, preprocessor=preprocessor
    )
    path = tmp_path_factory.mktemp("hub") / "small"
    classifier.save_to_preset(str(path))
    return path, backbone


def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")


def test_a_preset_brings_its_weights_and_its_pixels(preset):
    path, backbone = preset
    network = model_specs.build(f"hub:{path}", (32, 32, 3), 3)
    classifier = network.layers[-1]
    features = keras.Model(classifier.inputs, classifier.get_layer("pooler").output)
    expected = backbone(pixels() / 127.5 - 1).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(features(pixels() / 127.5 - 1), expected, rtol=1e-4, atol=1e-5)
    kernel, bias = classifier.get_layer("predictions").get_weights()
    logits = expected @ kernel + bias
    np.testing.assert_allclose(network(pixels()), logits, rtol=1e-4, atol=1e-4)
    assert model_specs.parse(f"hub:{path}").is_pretrained


def test_fresh_weights_are_drawn_by_the_seed(preset):
    path, _ = preset
    first, second, third = (
        model_specs.build(f"hub:{path}?fresh", (32, 32, 3), 3, seed=seed)(pixels())
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, third)


def test_what_was_saved_loads_in_another_process(preset, tmp_path):
    path, _ = preset
    network = model_specs.build(f"hub:{path}", (32, 32, 3), 3)
    network.save(tmp_path / "a.keras")
    np.save(tmp_path / "expected.npy", network(pixels()))
    code = (
        "import sys, numpy as np\n"
        "from keras_logitkd.networks.model_files import load_model\n"
        "model = load_model(sys.argv[1] + '/a.keras')\n"
        "x = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype('float32')\n"
        "np.testing.assert_array_equal(model(x), np.load(sys.argv[1] + '/expected.npy'))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_a_preset_that_does_not_load_is_one_line(preset, tmp_path):
    path = tmp_path / "broken"
    path.mkdir()
    (path / "config.json").write_text("{}")
    with pytest.raises(
        ValueError, match="cannot be had for 3 classes .*name its directory"
    ) as error:
        model_specs.build(f"hub:{path}", (32, 32, 3), 3)
    assert "\n" not in str(error.value)
