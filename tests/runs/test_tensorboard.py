"""What TensorBoard's own reader finds in the run directories."""

import csv
import dataclasses
import time

import fit
import keras
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.runs.tensorboard import EventWriter, hyperparameters

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def settings(tiny, tiny_recipe):
    return RunSettings(model="wrn-10-1", dataset=tiny.name, recipe=tiny_recipe)


class DieAfterTheEvents(keras.callbacks.Callback):
    """The worst moment: the epoch is in the events, and may not be in the checkpoint."""

    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def read(directory):
    """(tag -> list of (step, value), session start, session end) of the one event file."""
    (file,) = directory.path.glob("*tfevents*")
    reader = EventAccumulator(str(file), size_guidance={"tensors": 0}, purge_orphaned_data=False)
    reader.Reload()
    scalars = {
        tag: [(event.step, event.tensor_proto.float_val[0]) for event in reader.Tensors(tag)]
        for tag in reader.Tags()["tensors"]
        if not tag.startswith("_hparams_")
    }
    found = reader.PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(found["_hparams_/session_start_info"])
    end = found.get("_hparams_/session_end_info")
    return scalars, start, end and metadata.parse_session_end_info_plugin_data(end)


def values(start):
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}


def test_events_are_the_metrics_and_the_final_numbers(tiny, settings, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    result = fit.run(settings, tiny, directory)
    scalars, start, end = read(directory)
    with directory.metrics_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in rows[0].keys() - {"epoch"}:
        expected = [(int(row["epoch"]), pytest.approx(float(row[name]))) for row in rows]
        assert scalars[name] == expected
    assert scalars["final/test_accuracy"] == [(2, pytest.approx(result["test_accuracy"]))]
    assert end.status  # STATUS_SUCCESS
    found = values(start)
    assert (found["model"], found["loss"], found["batch_size"]) == ("wrn-10-1", "ce", 16)
    assert found["learning_rate"] == pytest.approx(0.05)


@pytest.mark.parametrize("resume", [True, False])
def test_no_step_is_there_twice_after_a_kill(tiny, settings, tmp_path, resume):
    directory = RunDirectory(tmp_path, "r")
    with pytest.raises(KeyboardInterrupt):
        fit.run(settings, tiny, directory, callbacks=[DieAfterTheEvents()])
    _, _, end = read(directory)
    assert end is None
    fit.run(settings, tiny, directory, resume=resume)
    scalars, _, _ = read(directory)
    assert [step for step, _ in scalars["loss"]] == [1, 2]


def test_run_begun_anew_leaves_no_older_events(tmp_path):
    directory = RunDirectory(tmp_path, "r")
    directory.start({"kind": "train"})
    directory.new_events_file().write_bytes(b"of the run before")
    directory.clear()
    assert [path.name for path in directory.path.iterdir()] == ["config.json"]


def test_hyperparameters_are_plain_and_say_what_the_run_is(settings):
    distilled = dataclasses.replace(
        settings, teachers=("a",), loss="kl:3", alpha=0.5, noise=LabelNoise("symmetric", 0.4)
    )
    found = hyperparameters(distilled)
    assert (found["loss"], found["temperature"], found["alpha"]) == ("kl:3", 3.0, 0.5)
    assert (found["noise"], found["teachers"]) == ("symmetric 0.4", "['a']")
    assert all(isinstance(value, bool | int | float | str) for value in found.values())
    limit = hyperparameters(dataclasses.replace(distilled, loss="kl:inf"))
    assert "temperature" not in limit  # JSON has no infinity; `loss` says it.
    assert "views" not in found


def test_an_epoch_costs_milliseconds(tmp_path):
    directory = RunDirectory(tmp_path, "r")
    directory.start({"kind": "train"})
    writer = EventWriter(
        directory, RunSettings(model="wrn-10-1", dataset="digits", recipe=Recipe(epochs=200))
    )
    writer.on_train_begin()
    started = time.perf_counter()
    for epoch in range(200):
        writer.on_epoch_end(epoch, {f"metric_{number}": 0.5 for number in range(10)})
    assert (time.perf_counter() - started) / 200 < 0.05
