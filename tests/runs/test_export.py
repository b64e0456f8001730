"""Students in ONNX: those that runs have saved, and those that a Distiller exports."""

import pathlib

import keras
import numpy as np
import pytest
import tiny_zoo

from keras_logitkd import Distiller, to_stock
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.workspace import open_workspace

FORMER = pathlib.Path(__file__).with_name("former") / "finished"
X = np.random.default_rng(0).integers(0, 17, (40, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A student that a run has saved, and its teacher."""
    fields = {"epochs": 1, "batch_size": 64, "validation": 0.0, "examples": 128}
    workspace = open_workspace("digits", tmp_path_factory.mktemp("runs"), None, fields)
    with tiny_zoo.in_place():
        return workspace.distill("resnet-8-1", "resnet-8-1", "kl:3", 0.9, teacher_epochs=1)


@pytest.fixture
def in_onnx(tmp_path):
    """A function from what exports itself to its logits of X, by onnxruntime."""
    reason = "export to ONNX needs the extra `export`"
    pytest.importorskip("tf2onnx", reason=reason)
    runtime = pytest.importorskip("onnxruntime", reason=reason)

    def run_it(exporting):
        exporting.export(tmp_path / "student.onnx", format="onnx", verbose=False)
        session = runtime.InferenceSession(tmp_path / "student.onnx")
        return session.run(None, {session.get_inputs()[0].name: X})[0]

    return run_it


def former_network():
    (file,) = FORMER.glob("*/student.keras")
    return models.load_model(file)


def test_saved_networks_have_stock_layers_that_can_be_exported(run):
    for file in (run.directory.model_file("distill"), run.teachers[0].file):
        saved = keras.saving.load_model(file)
        kinds = {type(layer) for layer in saved.layers}
        assert keras.layers.Rescaling in kinds
        assert keras.layers.Normalization not in kinds
        assert {kind.__module__.partition(".")[0] for kind in kinds} == {"keras"}
        first = models.load_model(file).get_layer("normalization")  # as it was trained
        rescaled = saved.get_layer("normalization")(X)
        np.testing.assert_allclose(rescaled, first(X), atol=1e-6)
        np.testing.assert_allclose((X - first.mean) / np.sqrt(first.variance), first(X), rtol=1e-6)


def test_a_student_saved_anew_has_the_logits_of_the_former(tmp_path):
    former = former_network()
    to_stock(former).save(tmp_path / "student.keras")
    logits = former(X).numpy()
    saved = keras.saving.load_model(tmp_path / "student.keras")
    assert type(saved.get_layer("normalization")) is keras.layers.Rescaling
    np.testing.assert_allclose(saved(X), logits, atol=1e-6 * np.abs(logits).max())
    np.testing.assert_array_equal(models.load_model(tmp_path / "student.keras")(X), logits)


def test_saved_students_run_in_onnx(run, in_onnx):
    student = keras.saving.load_model(run.directory.model_file("distill"))
    logits = student.predict(X, verbose=0)
    np.testing.assert_allclose(in_onnx(student), logits, atol=1e-4)


def test_students_of_former_releases_run_in_onnx_as_stock_copies(in_onnx):
    former = former_network()
    copy = to_stock(former)
    copy(X)  # Keras exports what was called
    np.testing.assert_allclose(in_onnx(copy), former(X), atol=1e-4)


def test_students_of_a_distiller_run_in_onnx(in_onnx):
    adapted = keras.layers.Normalization()
    adapted.adapt(X)
    first = {"adapted": adapted, "given": keras.layers.Normalization(mean=[5.0], variance=[9.0])}
    for kind, normalise in first.items():
        student = keras.Sequential(
            [keras.Input((8, 8, 1)), normalise, keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        found = in_onnx(Distiller(None, student))
        np.testing.assert_allclose(found, student(X), atol=1e-4, err_msg=kind)
