"""MirroredStrategy over two logical CPUs: the numbers of one device with the same global batch."""

import json
import subprocess
import sys

import pytest

# Logical devices must be made before TensorFlow starts: a process of its own.
SCRIPT = """
import contextlib, json, sys
import keras, numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_logitkd import Distiller

RNG = np.random.default_rng(0)
X = RNG.standard_normal((16, 6)).astype(np.float32)
Y = RNG.integers(0, 5, 16)
WEIGHTS = RNG.uniform(size=16).astype(np.float32)


def network(hidden, seed, activity=0.01):
    keras.utils.set_random_seed(seed)
    activity = keras.regularizers.L2(activity) if activity else None
    penalty = dict(kernel_regularizer="l2", activity_regularizer=activity)
    hidden = keras.layers.Dense(hidden, activation="tanh", **penalty)
    return keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(5)])


IGNORED = np.where(np.arange(16) % 8 < 3, -1, Y)  # of one replica alone
HARD = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)


def run(
    strategy,
    targets="labels",
    loss="kl:3",
    alpha=0.3,
    outside=False,
    hard=None,
    label=Y,
    **settings,
):
    teacher = network(16, seed=1)
    logits = teacher(X).numpy()
    with strategy.scope() if strategy else contextlib.nullcontext():
        if not outside:
            teacher = network(16, seed=1)
        # Keras averages an activity's penalty over all examples, counted or not.
        student = network(8, seed=2, activity=0.01 if hard is None else 0)
        distiller = Distiller(teacher if targets == "labels" else None, student, loss, alpha)
        sgd = keras.optimizers.SGD(0.1, momentum=0.9)
        distiller.compile(sgd, loss=hard, metrics=["accuracy"])
    y = label if targets == "labels" else {"label": label, "teacher_logits": logits}
    data = {"x": X, "y": y, "batch_size": 8, "verbose": 0}
    history = distiller.fit(**data, epochs=2, shuffle=False, **settings).history
    weights = settings.get("sample_weight")
    logs = distiller.evaluate(**data, return_dict=True, sample_weight=weights)
    flat = np.concatenate([np.ravel(weight) for weight in student.get_weights()])
    return {"history": history, "evaluate": logs, "weights": flat.tolist()}


CASES = {
    "online": {},
    "sequential": {"loss": "kl:3@0,mse@1"},
    "teacher_outside_scope": {"outside": True},
    "weighted": {"sample_weight": WEIGHTS},
    "dict": {"targets": "dict"},
    "everything": {"targets": "dict", "sample_weight": WEIGHTS, "loss": "kl:3@0,mse@1"},
    "ignored": {"label": IGNORED, "hard": HARD, "sample_weight": WEIGHTS},
    "moving": {"loss": "kl:8..2@3steps", "alpha": "0.2..0.9"},
    "dict_class_weight": {"targets": "dict", "class_weight": {0: 2.0, 1: 0.5}},
}
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
results = {"replicas": mirrored.num_replicas_in_sync}
for name in sys.argv[1:]:
    try:
        results[name] = [run(None, **CASES[name]), run(mirrored, **CASES[name])]
    except Exception as error:
        results[name] = f"{type(error).__name__}: {error}"
print("RESULTS" + json.dumps(results))
"""


def run(*cases):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *cases], capture_output=True, text=True, check=False
    )
    assert "RESULTS" in result.stdout, result.stderr[-2000:]
    return json.loads(result.stdout.partition("RESULTS")[2])


def check(results, case):
    assert results["replicas"] == 2
    assert not isinstance(results[case], str), results[case]
    one, two = results[case]
    names = {"loss", "hard_loss", "distillation_loss", "agreement", "accuracy"}
    assert set(one["history"]) == set(two["history"]) == names
    for name, values in one["history"].items():
        assert two["history"][name] == pytest.approx(values, rel=1e-5), name
    assert two["evaluate"] == pytest.approx(one["evaluate"], rel=1e-5)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5, abs=1e-6)


def test_mirrored_strategy_is_one_device():
    cases = ("everything", "ignored", "moving")
    found = run(*cases)
    for case in cases:
        check(found, case)


@pytest.mark.slow
def test_mirrored_strategy_is_one_device_in_other_cases():
    cases = ["online", "sequential", "teacher_outside_scope", "weighted", "dict"]
    cases.append("dict_class_weight")
    found = run(*cases)
    for case in cases:
        check(found, case)
