"""Networks by every kind of specification, in every command that trains."""

import json
import pathlib

import keras
import numpy as np
import pytest

from keras_logitkd.runs.inputs import models

pytestmark = pytest.mark.usefixtures("tiny_networks", "own_teacher", "nets")

QUICK = ("--epochs", "1", "--batch-size", "16", "--pad", "0", "--no-flip", "--validation", "0.2")
# The teacher's logits are those of a linear layer on raw pixels, as large as these.
GENTLE = ("--learning-rate", "1e-5", "--set", "head_learning_rate=1e-5")
DATA = ("--dataset", "npz:tiny.npz", *QUICK, *GENTLE)
TINY = "keras:MobileNetV2?alpha=0.35"
STUDENTS = {
    "file": ("start.keras",),
    "fresh": ("start.keras?fresh",),
    "function": ("nets.py:small",),
    "keras": (TINY, "--student-size", "32"),
}


@pytest.fixture
def nets(run_on_tiny, tiny, tiny_recipe, tiny_networks):
    models.build_network("wrn-10-1", tiny, tiny_recipe, seed=3).save("start.keras")
    pathlib.Path("nets.py").write_text(
        "import keras\n"
        "def small(input_shape, num_classes):\n"
        "    return keras.Sequential([keras.Input(input_shape), keras.layers.Rescaling(1 / 255),\n"
        "        keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D(),\n"
        "        keras.layers.Dense(num_classes)])\n"
    )


def predicted(file):
    """Classes of the test images by a saved network, in plain Keras, and the right ones."""
    network = keras.saving.load_model(file)
    with np.load("tiny.npz") as arrays:
        images, labels = arrays["x_test"], arrays["y_test"]
    side = network.input_shape[1]
    images = keras.layers.Resizing(side, side, antialias=True)(images)
    return np.asarray(network(images)).argmax(axis=-1), labels


def slow_but_functions(names):
    marks = {"keras": pytest.mark.slow, "file": pytest.mark.slow}
    return [pytest.param(name, marks=marks.get(name, ())) for name in names]


@pytest.mark.parametrize("kind", slow_but_functions(["file", "fresh", "function", "keras"]))
def test_distill(run_on_tiny, kind):
    command = ("distill", "--student", *STUDENTS[kind], "--teacher", "own.keras", *DATA)
    code, out, err = run_on_tiny(*command, "--name", "run", "--json")
    assert code == 0, err
    classes, labels = predicted("runs/run/student.keras")
    assert np.mean(classes == labels) == json.loads(out)["test_accuracy"]


@pytest.mark.parametrize("kind", slow_but_functions(["file", "function", "keras"]))
def test_sequential(run_on_tiny, kind):
    model, *size = STUDENTS[kind]
    links = ("own.keras", f"{model}:kl:3", "nets.py:small:mse")
    code, out, err = run_on_tiny("sequential", *links, *size, *DATA, "--json")
    assert code == 0, err
    cells = json.loads(out)["cells"]
    assert [(cell["row"], cell["column"]) for cell in cells][-1][1] == "mse"
    assert cells[-1]["row"].endswith("nets.py:small")


@pytest.mark.parametrize("kind", slow_but_functions(["file", "function", "keras"]))
def test_noise(run_on_tiny, kind):
    command = ("noise", "--student", *STUDENTS[kind], "--teacher", "nets.py:small", *DATA)
    given = ("--noise", "symmetric:0.4", "--losses", "ce,mse", "--seeds", "0")
    code, out, err = run_on_tiny(*command, *given, "--teacher-epochs", "1", "--json")
    assert code == 0, err
    assert [cell["n"] for cell in json.loads(out)["cells"]] == [1, 1, 1]


@pytest.mark.parametrize("kind", slow_but_functions(["file", "function", "keras"]))
def test_tune_and_what_it_found(run_on_tiny, kind):
    command = ("tune", "--student", *STUDENTS[kind], "--teacher", "own.keras", *DATA)
    code, _, err = run_on_tiny(*command, "--trials", "1", "--losses", "mse", "--json")
    assert code == 0, err
    (best,) = pathlib.Path("runs").glob("*/best.json")
    code, out, err = run_on_tiny("distill", "--config", best, "--json")
    assert code == 0, err
    validation = json.loads(best.read_text())["search"]["validation_accuracy"]
    assert json.loads(out)["runs"][0]["validation_accuracy"] == pytest.approx(validation)


@pytest.mark.parametrize("kind", slow_but_functions(["file", "function", "keras"]))
def test_a_sweep(run_on_tiny, kind):
    model = STUDENTS[kind][0]
    if kind == "keras":  # which takes no smaller images
        with np.load("tiny.npz") as arrays:
            large = {
                name: np.repeat(np.repeat(each, 4, 1), 4, 2) if name[0] == "x" else each
                for name, each in arrays.items()
            }
        np.savez("tiny.npz", **large)
    command = ("reproduce", "figure4", "--teacher", "nets.py:small", "--student", model, *DATA)
    given = ("--teacher-epochs", "1", "--seeds", "0", "--json")
    code, out, err = run_on_tiny(*command, *given)
    assert code in (0, 2), err
    assert {cell["n"] for cell in json.loads(out)["cells"]} == {1}


def test_train(run_on_tiny):
    code, out, err = run_on_tiny("train", "--model", "nets.py:small", *DATA, "--json")
    assert code == 0, err
    (saved,) = pathlib.Path("runs").glob("*/model.keras")
    classes, labels = predicted(saved)
    assert np.mean(classes == labels) == json.loads(out)["test_accuracy"]
