"""Runs on several devices against runs on one: metrics, weights, resuming, names."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tiny_zoo

from keras_logitkd.data.shares import Share
from keras_logitkd.networks.layers import FusedBatchNormalization
from keras_logitkd.processes.cluster import Task
from keras_logitkd.runs.distribution import devices
from keras_logitkd.runs.spec.settings import RunSettings, differing_settings

# Logical devices must be made before TensorFlow starts: a process of its own.
SCRIPT = """
import json, sys
from keras_logitkd.runs.distribution.devices import ONE_DEVICE, open_devices

where, spec, cases = sys.argv[1], sys.argv[2], sys.argv[3:]
two, synchronized = open_devices("cpu:2"), open_devices("cpu:2", sync_batch_norm=True)
import keras, numpy as np
from keras_logitkd.runs import job
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.networks.layers import draw_initial_values
from keras_logitkd.runs.workspace import open_workspace

import tiny_zoo

tiny_zoo.stay()
build_network = job.build_network


def without_batch_norm(name, dataset, recipe, seed, size=None):
    layers = keras.layers
    network = keras.Sequential([
        keras.Input(dataset.image_shape),
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
        layers.Flatten(),
        layers.Dense(dataset.num_classes),
    ])
    draw_initial_values(network.layers, seed)
    return network


class Interrupted(Exception):
    pass


class Stop(keras.callbacks.Callback):
    "Ends a run after its first epoch, as a crash would."

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise Interrupted


def run(name, devices, rate=0.05, cached=True, stop=False, **fields):
    # 60 examples, 48 of them for training: batches of 15, 15, 15 and 3, parts of 8 and 7, 2 and 1.
    recipe = {"epochs": 2, "batch_size": 15, "learning_rate": rate, "pad": 1, "validation": 0.2}
    recipe["class_weight"] = '{"1": 2.5}'
    workspace = open_workspace(
        spec, f"{where}/{name}", recipe_fields=recipe, devices=devices, **fields,
        cache=LogitCache(f"{where}/{name}/.logits") if cached else None,
    )
    if stop:
        stopped = open_workspace(
            spec, f"{where}/{name}", recipe_fields=recipe, devices=devices, resume=True,
            progress=lambda *_: Stop(), cache=workspace.cache,
        )
        for _ in range(2):  # the teacher stops, too
            try:
                stopped.distill("wrn-10-1", f"{where}/teacher.keras", "kl:3", alpha=0.7)
            except Interrupted:
                pass
        workspace = open_workspace(
            spec, f"{where}/{name}", recipe_fields=recipe, devices=devices, resume=True,
            cache=workspace.cache,
        )
    done = workspace.distill("wrn-10-1", f"{where}/teacher.keras", "kl:3", alpha=0.7)
    network = keras.saving.load_model(done.directory.path / "student.keras")
    return {
        "name": done.directory.name,
        "metrics": done.directory.metrics_file.read_text(),
        "result": done.result,
        "config": done.directory.read_config(),
        "weights": np.concatenate([np.ravel(w) for w in network.get_weights()]).tolist(),
        "layers": sorted({type(layer).__module__.split(".")[0] for layer in network.layers}),
        "synchronized": any(getattr(layer, "synchronized", False) for layer in network.layers),
    }


CASES = {
    "plain": [dict(devices=ONE_DEVICE), dict(devices=two)],
    "online": [dict(devices=ONE_DEVICE, cached=False), dict(devices=two, cached=False)],
    "resumed": [dict(devices=two), dict(devices=two, stop=True)],
    # Large steps of a network with batch normalization would multiply what rounding leaves.
    "batch_norm": [dict(devices=ONE_DEVICE, rate=0.005), dict(devices=two, rate=0.005)],
    "synchronized": [dict(devices=ONE_DEVICE, rate=0.005), dict(devices=synchronized, rate=0.005)],
}
keras.utils.set_random_seed(3)
keras.Sequential(
    [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
).save(f"{where}/teacher.keras")
results = {}
for case in cases:
    has_batch_norm = case in ("batch_norm", "synchronized")
    job.build_network = build_network if has_batch_norm else without_batch_norm
    results[case] = [run(f"{case}{i}", **each) for i, each in enumerate(CASES[case])]
print("RESULTS" + json.dumps(results))
"""


def run(where, spec, *cases):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(where), spec, *cases],
        env={**os.environ, "PYTHONPATH": os.path.dirname(tiny_zoo.__file__)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RESULTS" in process.stdout, process.stderr[-3000:]
    return json.loads(process.stdout.partition("RESULTS")[2])


@pytest.fixture(scope="module")
def results(tmp_path_factory, tiny_spec):
    return run(tmp_path_factory.mktemp("devices"), tiny_spec, "plain", "synchronized")


@pytest.fixture(scope="module")
def further(tmp_path_factory, tiny_spec):
    where = tmp_path_factory.mktemp("devices")
    return run(where, tiny_spec, "online", "resumed", "batch_norm")


def rows(run):
    header, *lines = run["metrics"].split()
    return header, np.array([line.split(",") for line in lines], float)


def check_same(one, two, tolerance):
    (names, first), (found_names, second) = rows(one), rows(two)
    assert names == found_names
    np.testing.assert_allclose(second, first, rtol=tolerance)
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=0, atol=tolerance)
    assert two["result"]["test_accuracy"] == one["result"]["test_accuracy"]


def test_two_devices_train_as_one_where_there_is_no_batch_norm(results):
    one, two = results["plain"]
    check_same(one, two, 1e-5)


def test_synchronized_batch_norm_trains_as_one_device(results):
    one, two = results["synchronized"]
    check_same(one, two, 1e-5)


def test_synchronized_run_has_the_name_of_one_device_and_a_stock_student(results):
    one, two = results["synchronized"]
    assert two["name"] == one["name"]
    assert two["layers"] == ["keras"]
    assert not two["synchronized"]
    assert "devices" not in one["config"]
    assert two["config"] == {**one["config"], "devices": "cpu:2, 2 devices, sync batch norm"}


def test_two_devices_are_another_run(results):
    one, two = results["plain"]
    assert two["name"] != one["name"]
    assert differing_settings(one["config"], two["config"]) == ["batch_norm_parts"]
    assert two["config"]["batch_norm_parts"] == 2


@pytest.mark.slow
def test_teacher_in_the_step_gives_the_same(further):
    one, two = further["online"]
    check_same(one, two, 1e-5)


@pytest.mark.slow
def test_resumed_on_two_devices_is_the_same_to_the_bit(further):
    whole, resumed = further["resumed"]
    assert resumed["metrics"] == whole["metrics"]
    assert resumed["weights"] == whole["weights"]


@pytest.mark.slow
def test_batch_norm_of_each_device_makes_a_difference(further):
    one, two = further["batch_norm"]
    difference = np.abs(np.subtract(two["weights"], one["weights"])).max()
    assert difference > 1e-3  # 100 times what synchronized batch norm may leave


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tpu", "`devices` must be auto, cpu, cpu:N"),
        ("cpu:0", "`devices` must be auto, cpu, cpu:N"),
        ("cpu:x", "`devices` must be auto, cpu, cpu:N"),
        ("gpu:", "`devices` must be auto, cpu, cpu:N"),
        ("gpu:0,", "`devices` must be auto, cpu, cpu:N"),
        ("gpu", "TensorFlow finds no GPU on this machine. Allowed here: auto, cpu or cpu:N"),
        ("gpu:1", "Received: devices=gpu:1"),
    ],
)
def test_devices_that_are_not_there(spec, message):
    with pytest.raises(ValueError, match=message):
        devices.open_devices(spec)


def test_devices_after_tensorflow_has_started():
    import tensorflow as tf

    tf.constant(0) + 1
    with pytest.raises(ValueError, match="must be chosen before TensorFlow is in use"):
        devices.open_devices("cpu:3")


def test_one_device_has_no_strategy():
    for spec in ("auto", "cpu", "cpu:1"):
        opened = devices.open_devices(spec)
        assert opened.strategy is None
        assert (opened.count, opened.batch_norm_parts, opened.is_chief) == (1, 1, True)


def test_batch_smaller_than_the_devices(tiny_recipe):
    with pytest.raises(ValueError, match="at least 1 for each of 20 devices. Received: batch_size"):
        devices.Devices(strategy=Strategy(20)).check(tiny_recipe)


def test_as_many_examples_as_devices_are_enough(tiny_recipe):
    devices.Devices(strategy=Strategy(tiny_recipe.batch_size)).check(tiny_recipe)


@dataclasses.dataclass
class Strategy:
    """What `Devices` asks a strategy for."""

    num_replicas_in_sync: int

    def distribute_datasets_from_function(self, make):
        return make(None)

    def scope(self):
        return contextlib.nullcontext()


@pytest.mark.parametrize(("count", "asked"), [(1, True), (2, False), (2, True)])
def test_batch_norm_is_synchronized_where_that_was_asked_for(count, asked):
    opened = devices.Devices(sync_batch_norm=asked, strategy=Strategy(count))
    layers = [keras.Input((2,)), FusedBatchNormalization(), keras.layers.Dense(2)]
    network = opened.place(lambda: keras.Sequential(layers))
    assert network.layers[0].synchronized == (count == 2 and asked)
    network.layers[-1].bias.assign([1.0, 2.0])
    single = opened.single(network)
    assert not single.layers[0].synchronized
    for one, other in zip(network.get_weights(), single.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("task", "share"),
    [
        (None, Share(0, 4, 4)),
        (Task(0, 2), Share(0, 2, 4)),
        (Task(1, 2), Share(2, 4, 4)),
        (Task(3, 4), Share(3, 4, 4)),
    ],
)
def test_every_machine_reads_its_own_parts(task, share):
    assert devices.Devices(strategy=Strategy(4), task=task).batches(lambda own: own) == share


def test_workers_with_different_weights_are_an_error(monkeypatch):
    opened = devices.Devices(task=Task(0, 2))
    network = types.SimpleNamespace(get_weights=lambda: [np.ones(3)])
    for second, agrees in ((lambda own: own, True), (lambda own: own[::-1], False)):
        channel = types.SimpleNamespace(from_all=lambda own, second=second: [own, second(own)])
        monkeypatch.setattr(devices.Devices, "_channel", lambda self, channel=channel: channel)
        if agrees:
            first, other = opened.digests(network)
            assert first == other
        else:
            with pytest.raises(RuntimeError, match="ended with different weights"):
                opened.digests(network)


def test_runs_of_before_keep_their_names(tiny_recipe):
    settings = RunSettings(model="wrn-10-1", dataset="digits", recipe=tiny_recipe, fingerprint="f")
    assert not {"batch_norm_parts", "devices"} & set(settings.to_config())
    recorded = dataclasses.replace(settings, devices="cpu:2, sync batch norm")
    assert recorded.default_name() == settings.default_name()
    assert RunSettings.from_config(recorded.to_config()) == recorded
    apart = dataclasses.replace(settings, batch_norm_parts=2)
    assert apart.default_name() != settings.default_name()
    assert differing_settings(settings.to_config(), apart.to_config()) == ["batch_norm_parts"]
