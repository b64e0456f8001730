"""MirroredStrategy over two logical CPUs: the terms of one device with the same global batch."""

import json
import subprocess
import sys

import pytest

# Logical devices must be made before TensorFlow starts: a process of its own.
SCRIPT = """
import contextlib, json
import keras, numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_logitkd import Distiller, features

RNG = np.random.default_rng(0)
X = RNG.standard_normal((16, 8, 8, 3)).astype(np.float32)
Y = RNG.integers(0, 5, 16)
WEIGHTS = RNG.uniform(size=16).astype(np.float32)


def network(filters, seed):
    keras.utils.set_random_seed(seed)
    conv = keras.layers.Conv2D
    return keras.Sequential([
        keras.Input((8, 8, 3)), conv(filters, 3, activation="tanh", name="edges"),
        conv(filters, 3, strides=2, name="shapes"), keras.layers.Flatten(), keras.layers.Dense(5),
    ])


def run(strategy):
    with strategy.scope() if strategy else contextlib.nullcontext():
        methods = [
            features.get("at:taps=edges/shapes,weight=5..10@2"),
            features.get("fitnets:taps=shapes,bn=false,weight=0.1", seed=3, weight_decay=0.01),
            features.get("jacobian:weight=0.1"),
        ]
        distiller = Distiller(network(8, 1), network(4, 2), "mse", 0.5, features=methods)
        distiller.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    data = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS)).batch(16)
    history = distiller.fit(data, epochs=3, verbose=0, validation_data=(X, Y)).history
    return history, [float(tf.reduce_sum(v)) for v in distiller.trained_variables]


print(json.dumps([run(None), run(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))]))
"""


@pytest.mark.slow
def test_two_replicas_have_the_numbers_of_one_device():
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    (one, weights), (two, theirs) = json.loads(result.stdout.splitlines()[-1])
    assert {"at", "fitnets", "jacobian", "val_at"} <= set(one) == set(two)
    for name, values in one.items():
        assert two[name] == pytest.approx(values, rel=1e-4, abs=1e-6), name
    assert theirs == pytest.approx(weights, rel=1e-3, abs=1e-4)
