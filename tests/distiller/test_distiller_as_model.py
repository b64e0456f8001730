"""What a Distiller is as a `keras.Model`: exported, frozen, weighed, on other backends."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller

X = np.random.default_rng(0).standard_normal((12, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 12)
NEEDS_TENSORFLOW = (
    "Distiller needs Keras on TensorFlow: set KERAS_BACKEND=tensorflow. The losses, which "
    "keras.distillation.Distiller takes, and the zoo run on other backends, too. "
)


def network(width=4, classes=3):
    hidden = keras.layers.Dense(width, "relu")
    return keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(classes)])


def test_export_is_that_of_the_student(tmp_path):
    distiller = Distiller(network(16), network())
    distiller.compile("adam")
    distiller.fit(X, Y, verbose=0)
    distiller.export(tmp_path / "out", verbose=False)
    exported = tf.saved_model.load(tmp_path / "out")
    np.testing.assert_allclose(exported.serve(X), distiller.student(X), rtol=1e-6, atol=1e-6)
    kernels = sum(variable.shape.num_elements() for variable in exported.variables)
    assert kernels == distiller.student.count_params() == 43


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_frozen_student_stays_and_warns_as_keras_does(run_eagerly):
    student = network()
    student.trainable = False
    before = student.get_weights()
    distiller = Distiller(network(16), student, alpha=0.5)
    distiller.compile("adam", run_eagerly=run_eagerly)
    with pytest.warns(UserWarning, match="student does not have any trainable weights"):
        logs = distiller.fit(X, Y, verbose=0, batch_size=12).history
    for old, new in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert logs["loss"][0] == pytest.approx(distiller.evaluate(X, Y, verbose=0)[0], rel=1e-6)


def test_backend_is_checked_when_it_is_made(monkeypatch):
    networks = network(), network()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="TensorFlow") as error:
        Distiller(*networks)
    assert str(error.value) == NEEDS_TENSORFLOW + "Received: backend 'jax'"


OTHER_BACKEND = """
import keras
from keras_logitkd import Distiller, losses, zoo
network = lambda: zoo.build("wrn-10-1", (8, 8, 1), 3)
loss = losses.LogitMSE()(keras.ops.zeros((2, 3)), network()(keras.ops.zeros((2, 8, 8, 1))) * 0 + 2)
print(float(loss))
try:
    Distiller(network(), network())
except ValueError as error:
    print(error)
"""


@pytest.mark.torch
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend):
    pytest.importorskip(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", OTHER_BACKEND]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.stdout.splitlines() == [
        "4.0",
        NEEDS_TENSORFLOW + f"Received: backend {backend!r}",
    ], result.stderr[-2000:]
