"""Stored logits under MirroredStrategy: every example meets its own teacher row on its replica."""

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
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_logitkd import Distiller, LogitStore
from keras_logitkd.data import pipeline
from keras_logitkd.data.views.augmentation import Augmentation
from keras_logitkd.data.dataset import Split
from keras_logitkd.data.sources import ArrayImages
from keras_logitkd.storage.logit_store import StoreKey

RNG = np.random.default_rng(0)
split = Split("train", RNG.integers(0, 5, 30), ArrayImages(RNG.integers(0, 256, (30, 6, 6, 1))))
indices = RNG.permutation(30)[:22]  # the last batch of 8 holds 6
views = [RNG.standard_normal((22, 5)).astype(np.float32) for _ in range(2)]
store = LogitStore(sys.argv[1], StoreKey("t", "d", "e", 22, 5, {}))
for view, logits in enumerate(views):
    store.fill(view, [logits])


def batches():
    augmentation = Augmentation(pad=1, flip=True)
    settings = {"batch_size": 8, "epochs": 2, "seed": 3, "augmentation": augmentation}
    stream = pipeline.train_batches(split, indices, logits=store, **settings)

    def inputs_and_targets(record):
        targets = {name: record[name] for name in ("label", "teacher_logits")}
        return tf.cast(record["image"], tf.float32) / 255.0, targets

    return stream, stream.map(inputs_and_targets)


def train(strategy, learning_rate):
    keras.utils.set_random_seed(1)
    with strategy.scope() if strategy else contextlib.nullcontext():
        student = keras.Sequential(
            [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(5)]
        )
        distiller = Distiller(None, student, "mse", alpha=0.7)
        distiller.compile(keras.optimizers.SGD(learning_rate, momentum=0.9))
    settings = {"steps_per_epoch": 3, "epochs": 2, "shuffle": False, "verbose": 0}
    history = distiller.fit(batches()[1], **settings).history
    return student, history


def by_hand():
    "The distillation loss of each epoch of a student that does not learn, row by row."
    student, _ = train(None, 0.0)
    row_of, losses = {index: row for row, index in enumerate(indices.tolist())}, ([], [])
    for record in batches()[0]:
        view = int(record["view"][0])
        logits = student(tf.cast(record["image"], tf.float32) / 255.0).numpy()
        for index, own in zip(record["index"].numpy().tolist(), logits):
            losses[view].append(float(np.mean((views[view][row_of[index]] - own) ** 2)))
    return [float(np.mean(loss)) for loss in losses]


mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
results = {"replicas": mirrored.num_replicas_in_sync, "by_hand": by_hand()}
for name, strategy, learning_rate in (
    ("one", None, 0.1), ("two", mirrored, 0.1), ("two_frozen", mirrored, 0.0)
):
    student, history = train(strategy, learning_rate)
    weights = np.concatenate([np.ravel(weight) for weight in student.get_weights()])
    results[name] = {"history": history, "weights": weights.tolist()}
print("RESULTS" + json.dumps(results))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s"
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, path], capture_output=True, text=True, check=False
    )
    assert "RESULTS" in process.stdout, process.stderr[-2000:]
    return json.loads(process.stdout.partition("RESULTS")[2])


def test_two_devices_train_as_one(results):
    assert results["replicas"] == 2
    one, two = results["one"], results["two"]
    assert set(one["history"]) >= {"loss", "hard_loss", "distillation_loss", "agreement"}
    for name, values in one["history"].items():
        assert two["history"][name] == pytest.approx(values, rel=1e-5), name
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-5, atol=1e-6)


def test_loss_on_two_devices_is_that_of_every_example_and_its_own_row(results):
    found = results["two_frozen"]["history"]["distillation_loss"]
    assert found == pytest.approx(results["by_hand"], rel=1e-5)
    assert found[0] != pytest.approx(found[1], rel=1e-3)
