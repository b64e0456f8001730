"""Exported files: what they say against Keras, and what is refused."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_logitkd import deploy, zoo
from keras_logitkd.deploy import formats
from keras_logitkd.networks.layers import draw_initial_values
from keras_logitkd.runs import evaluation

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1)).astype("float32")


@pytest.fixture(autouse=True)
def packages():
    for name in ("ai_edge_litert", "onnxruntime", "tf2onnx"):
        pytest.importorskip(name)


@pytest.fixture(scope="module")
def network():
    """A wrn-10-1 on raw pixels of grey images, four classes."""
    inputs = keras.Input((8, 8, 1))
    normalize = keras.layers.Normalization(mean=[127.0], variance=[3600.0])
    network = zoo.build("wrn-10-1", (8, 8, 1), 4, input_tensor=normalize(inputs))
    draw_initial_values(network.layers, 0)
    for _ in range(20):
        network(IMAGES, training=True)  # statistics of these images
    return network


# Largest difference to Keras's logits, as a share of the largest.
LOSSES = {"none": 1e-5, "float16": 5e-3, "dynamic": 5e-2, "int8": 2e-1}
KINDS = [(row.name, quantize) for row in formats.FORMATS for quantize in row.quantizations]


@pytest.mark.parametrize(("name", "quantize"), KINDS)
def test_files_say_what_the_network_says(tmp_path, network, name, quantize):
    row = formats.find(name, quantize)
    path = tmp_path / f"model{row.suffix}"
    deploy.export(network, path, name, quantize, IMAGES)
    logits = np.asarray(network(IMAGES))
    labels = logits.argmax(axis=-1)
    found = deploy.measure(path, IMAGES, labels, logits, teacher_logits=-logits)
    assert found["largest_difference"] <= LOSSES[quantize] * np.abs(logits).max()
    assert found["accuracy"] == found["agreement"]
    assert found["accuracy"] >= (1.0 if quantize in ("none", "float16") else 0.8)
    assert found["teacher_agreement"] == 0
    assert found["bytes"] == path.stat().st_size
    assert 0 < found["median_ms"] <= found["p95_ms"]
    if quantize in ("dynamic", "int8"):
        deploy.export(network, tmp_path / f"plain{row.suffix}", name)
        assert found["bytes"] < 0.5 * (tmp_path / f"plain{row.suffix}").stat().st_size


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_probabilities_of_bytes(tmp_path, network, name):
    row = formats.find(name)
    path = tmp_path / f"model{row.suffix}"
    deploy.export(network, path, name, softmax=True, input_type="uint8")
    said = row.load().Runtime(path)(IMAGES.astype("uint8"))
    expected = evaluation.softmax(np.asarray(network(IMAGES)))
    np.testing.assert_allclose(said, expected, atol=1e-5)


def test_a_file_of_a_network_may_be_given(tmp_path, network):
    from keras_logitkd.networks.layers import to_stock

    to_stock(network).save(tmp_path / "student.keras")
    path = deploy.export(tmp_path / "student.keras", tmp_path / "model.tflite")
    logits = np.asarray(network(IMAGES))
    found = deploy.measure(path, IMAGES, logits.argmax(axis=-1), logits)
    assert found["largest_difference"] <= 1e-5 * np.abs(logits).max()


@keras.saving.register_keras_serializable("test_export")
class Sorted(keras.layers.Layer):
    """What no converter knows: Python code."""

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        import tensorflow as tf

        return tf.ensure_shape(tf.py_function(lambda x: x, [inputs], tf.float32), (None, 64))


def odd():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, Sorted()(keras.layers.Flatten()(inputs)), name="odd")


MODELS = {
    "any_size": lambda: zoo.build("wrn-10-1", (None, None, 1), 4),
    "unbuilt": lambda: keras.Sequential([keras.layers.Dense(2)]),
    "odd": odd,
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "tfjs"}, "`format` must be one of litert, onnx. Received: format='tfjs'"),
        ({"quantize": "int4"}, "`quantize` must be one of none, float16, dynamic, int8 for litert"),
        ({"format": "onnx", "quantize": "float16"}, "one of none, dynamic, int8 for onnx"),
        ({"path": "model.onnx"}, "`path` must end in .tflite for litert"),
        ({"quantize": "int8"}, r"`calibration` must be images of shape \(n, 8, 8, 1\).*: None"),
        (
            {"quantize": "int8", "calibration": np.zeros((2, 9, 9, 1))},
            r"`calibration` must be .*Received: \(2, 9, 9, 1\)",
        ),
        ({"input_type": "int8"}, "`input_type` must be one of float32, uint8"),
        ({"model": "any_size"}, "static shape"),
        ({"model": "unbuilt"}, "built functional or Sequential"),
        ({"model": "odd"}, "odd cannot be written as litert, none: "),
    ],
)
def test_what_cannot_be_exported_is_said(tmp_path, network, arguments, message):
    given = {"model": network, "path": "model.tflite", **arguments}
    model, path = given.pop("model"), tmp_path / given.pop("path")
    model = MODELS[model]() if isinstance(model, str) else model
    with pytest.raises(ValueError, match=message) as caught:
        deploy.export(model, path, **given)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_a_missing_package_is_said(tmp_path, network, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name)
    )
    with pytest.raises(ValueError, match=r'needs onnx: pip install "keras-logitkd\[export\]"'):
        deploy.export(network, tmp_path / "model.onnx", "onnx")


def test_other_files_are_not_measured(tmp_path):
    with pytest.raises(ValueError, match=r"must end in .tflite, .onnx. Received: .*student.keras"):
        deploy.measure(tmp_path / "student.keras", IMAGES, np.zeros(24))


@pytest.mark.usefixtures("tiny_networks", "own_teacher")
def test_a_run_is_exported_measured_and_runs_alone(run_on_tiny, tmp_path):
    command = ("distill", "--dataset", "npz:tiny.npz", "--student", "wrn-10-1", "--epochs", "2")
    code, out, err = run_on_tiny(*command, "--teacher", "own.keras", "--name", "run", "--json")
    assert code == 0, err
    accuracy = json.loads(out)["test_accuracy"]
    code, out, err = run_on_tiny("export", "run", "--quantize", "int8", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["keras"]["accuracy"] == accuracy
    folder = pathlib.Path("runs/run/export-litert-int8")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("labels.txt", "measures.json", "model.json", "model.tflite", "predict.py"),
    ]
    assert (folder / "labels.txt").read_text() == "0\n1\n2\n"
    measures = json.loads((folder / "measures.json").read_text())
    assert measures["accuracy"] == told["accuracy"]
    description = json.loads((folder / "model.json").read_text())
    assert (description["input_shape"], description["made_by"]["run"]) == ([8, 8, 1], "run")

    image = np.load("tiny.npz")["x_test"][0]
    np.save("image.npy", image)
    code = "import sys\nfor name in ('keras', 'tensorflow'): sys.modules[name] = None\n"
    code += f"sys.argv = ['predict.py', 'image.npy']\nexec(open('{folder}/predict.py').read(), "
    code += f"{{'__file__': '{folder}/predict.py'}})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    said = formats.find("litert").load().Runtime(folder / "model.tflite")(image[np.newaxis])[0]
    names = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert names == [str(number) for number in np.argsort(-said)]

    code, _, err = run_on_tiny("export", "run", "--format", "onnx", "--max-drop", "0")
    assert code == 0, err
    code, _, err = run_on_tiny("export", "no-such-run")
    assert code == 2
    assert err.count("\n") == 1


@pytest.mark.usefixtures("tiny_networks")
def test_too_large_a_drop_is_an_exit_code(run_on_tiny, monkeypatch):
    """A network whose answers turn on the last bits of its pixels: int8 loses them."""
    with np.load("tiny.npz") as arrays:
        data = dict(arrays)
    for part in ("train", "test"):
        values = np.array([101, 100, 255], np.uint8)  # by class; int8 must reach the last
        of_class = values[data[f"y_{part}"]][:, None, None, None]
        data[f"x_{part}"] = np.broadcast_to(of_class, data[f"x_{part}"].shape)
    np.savez("close.npz", **data)
    inputs = keras.Input((8, 8, 1))
    network = keras.Sequential(
        [inputs, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    )
    kernel, bias = np.array([[10.0, 0.0, 20.0]]), np.array([-1005.0, 0.0, -3000.0])
    network.layers[-1].set_weights([kernel, bias])
    network.save("close.keras")
    command = ("train", "--dataset", "npz:close.npz", "--model", "close.keras", "--epochs", "1")
    given = ("--learning-rate", "1e-9", "--head-epochs", "0", "--name", "close", "--no-flip")
    code, _, err = run_on_tiny(*command, *given, "--pad", "0", "--weight-decay", "0")
    assert code == 0, err
    code, _, err = run_on_tiny("export", "close", "--quantize", "int8", "--max-drop", "10")
    assert code == 1, err
    assert "more than --max-drop 10" in err
