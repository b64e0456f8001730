"""Three logical CPUs with unequal shares of a batch give the numbers of one device."""

import json
import subprocess
import sys

import numpy as np
import pytest

# Logical devices must be made before TensorFlow starts: a process of its own.
SCRIPT = """
import contextlib, json, sys
import keras, numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
from keras_logitkd import Distiller
from keras_logitkd.networks import replicas
from keras_logitkd.networks.layers import FusedBatchNormalization
from keras_logitkd.processes.cluster import Task
from keras_logitkd.runs.distribution.multi_worker import Channel

RNG = np.random.default_rng(0)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1", "CPU:2"])


def split(array, at):
    parts = np.split(array, at)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )


def norm(scope, dtype, axis):
    with scope:
        layer = FusedBatchNormalization(momentum=0.5, synchronized=True, dtype=dtype, axis=axis)
        layer.build((None, 4, 4, 4))
    return layer


def normalize(dtype, axis=-1, at=(7, 10), mean=100):
    "Outputs, gradients and moving statistics of one device and of three."
    x = (RNG.normal(size=(10, 4, 4, 4)) * 3 + mean).astype(dtype)
    towards = RNG.normal(size=x.shape).astype(dtype)

    def step(layer, x, towards):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(outputs * towards)
        variables = [layer.gamma.value, layer.beta.value]
        return outputs, tape.gradient(loss, [x, *variables])

    one = norm(contextlib.nullcontext(), dtype, axis)
    outputs, gradients = tf.function(step)(one, tf.constant(x), tf.constant(towards))
    expected = [outputs, *gradients, *one.get_weights()]
    three = norm(strategy.scope(), dtype, axis)
    outputs, (dx, *dw) = tf.function(strategy.run)(
        step, (three, split(x, at), split(towards, at))
    )
    local = strategy.experimental_local_results
    found = [np.concatenate(local(outputs)), np.concatenate(local(dx))]
    found += [np.sum(local(each), axis=0) for each in dw] + three.get_weights()
    same = [
        all((each == local(v.value)[0]).numpy().all() for each in local(v.value))
        for v in (three.moving_mean, three.moving_variance)
    ]
    worst = max(
        float(np.max(np.abs(np.subtract(a, b)) / (1 + np.abs(b))))
        for a, b in zip(found, expected, strict=True)
    )
    return {"worst": worst, "same": all(same)}


def averages():
    values, counts = RNG.normal(size=(3, 2, 5)), [4, 0, 9]
    values[1] = np.nan  # statistics of nothing

    def ask(mean, variance, count):
        moments = replicas.moments(mean[0], variance[0], count[0])
        average = replicas.average(mean[0], variance[0], count[0])
        return [*moments, *average], replicas.balance(count[0])

    at = (1, 2)
    sums, weights = strategy.run(
        ask, (split(values[:, 0], at), split(values[:, 1], at), split(np.array(counts), at))
    )
    local = strategy.experimental_local_results
    return {
        "values": np.nan_to_num(values).tolist(),
        "counts": counts,
        "found": [[each.numpy().tolist() for each in local(value)] for value in sums],
        "balance": [float(each) for each in local(weights)],
    }


def train(scope, reduction="sum_over_batch_size"):
    "Two epochs of 11 examples in batches of 9: of the last, a replica has nothing."
    x, y = np.random.default_rng(1).normal(size=(11, 6)).astype("float32"), np.arange(11) % 5
    logits = np.random.default_rng(2).normal(size=(11, 5)).astype("float32")
    with scope:
        keras.utils.set_random_seed(1)
        student = keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(5, kernel_regularizer="l2")]
        )
        distiller = Distiller(None, student, "mse", alpha=0.5)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        distiller.compile(keras.optimizers.SGD(0.1), loss=loss)
    targets = {"label": y, "teacher_logits": logits}
    data = tf.data.Dataset.from_tensor_slices((x, targets)).batch(9)
    history = distiller.fit(data, epochs=2, verbose=0).history
    return {"weights": np.concatenate([np.ravel(w) for w in student.get_weights()]).tolist(),
            "loss": history["loss"]}


def say(value):
    "What a worker of three devices says to itself."
    channel = Channel(strategy, Task(0, 1))
    return [channel.from_chief(value), *map(list, channel.from_all(bytes(value)))]


results = {
    "said": say([1, 2, 255]),
    "float32": normalize("float32", mean=3),
    "float64": normalize("float64"),
    "axis_1": normalize("float64", axis=1),
    "empty": normalize("float64", at=(6, 10)),
    "averages": averages(),
    "one": train(contextlib.nullcontext()),
    "three": train(strategy.scope()),
}
print("RESULTS" + json.dumps(results))
"""


@pytest.fixture(scope="module")
def results():
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert "RESULTS" in process.stdout, process.stderr[-3000:]
    return json.loads(process.stdout.partition("RESULTS")[2])


@pytest.mark.parametrize(
    ("case", "tolerance"),
    [("float32", 2e-5), ("float64", 1e-11), ("axis_1", 1e-11), ("empty", 1e-11)],
)
def test_synchronized_batch_norm_is_that_of_one_device(results, case, tolerance):
    assert results[case]["worst"] < tolerance
    assert results[case]["same"], "moving statistics differ between replicas"


def test_averages_are_weighted_and_the_same_on_all_replicas(results):
    found = results["averages"]
    values, counts = np.array(found["values"]), np.array(found["counts"])
    mean, average = np.average(values, axis=0, weights=counts)
    spread = np.average((values[:, 0] - mean) ** 2, axis=0, weights=counts)
    expected = [mean, average + spread, 13, mean, average, 13]
    for replicas, value in zip(found["found"], expected, strict=True):
        for replica in replicas:
            np.testing.assert_allclose(replica, value, rtol=1e-12)
            assert replica == replicas[0]


def test_balance_is_the_share_of_the_examples(results):
    assert results["averages"]["balance"] == pytest.approx([12 / 13, 0, 27 / 13], rel=1e-6)


def test_a_worker_speaks_once_however_many_devices_it_has(results):
    assert results["said"] == [[1, 2, 255]] * 2


def test_unequal_parts_train_as_one_device(results):
    np.testing.assert_allclose(
        results["three"]["weights"], results["one"]["weights"], rtol=1e-5, atol=1e-6
    )
    assert results["three"]["loss"] == pytest.approx(results["one"]["loss"], rel=1e-5)
