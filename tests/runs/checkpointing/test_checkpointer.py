import dataclasses
import json
import logging
import types

import fit
import keras
import numpy as np
import pytest

from keras_logitkd.runs.checkpointing import checkpoint_files
from keras_logitkd.runs.checkpointing.checkpoint_files import Progress
from keras_logitkd.runs.checkpointing.checkpointer import Checkpointer
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.storage.atomic import StorageError

pytestmark = pytest.mark.usefixtures("tiny_networks")

ARRAYS = {"model/0": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer/0": np.int64(7)}


class KilledError(Exception):
    pass


class KillAfterStep(keras.callbacks.Callback):
    """Dies after so many steps in all."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KilledError


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path, "r")
    directory.start({"kind": "train"})
    return directory


@pytest.fixture
def settings(tiny, tiny_recipe):
    return RunSettings(model="wrn-10-1", dataset=tiny.name, recipe=tiny_recipe)


def save(directory, *places):
    for epoch, step in places:
        progress = Progress(epoch, step, rows=({"epoch": 1, "loss": 0.1},), seconds=1.5)
        checkpoint_files.save(directory, progress, {**ARRAYS, "model/1": np.float32(epoch)})


def names(directory):
    return sorted(file.name for file in directory.path.iterdir() if file.name != "config.json")


def flip_a_bit(file, position):
    data = bytearray(file.read_bytes())
    data[position] ^= 4
    file.write_bytes(data)


def test_what_was_saved_is_what_is_read(directory):
    save(directory, (1, 0))
    progress, arrays = checkpoint_files.load_newest(directory)
    assert progress == Progress(1, 0, rows=({"epoch": 1, "loss": 0.1},), seconds=1.5)
    assert set(arrays) == {*ARRAYS, "model/1"}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_the_last_two_are_kept_and_order_is_numeric(directory):
    save(directory, (8, 0), (9, 0), (9, 12), (10, 0))
    assert names(directory) == [
        "checkpoint-10-0.json",
        "checkpoint-10-0.npz",
        "checkpoint-9-12.json",
        "checkpoint-9-12.npz",
    ]
    assert checkpoint_files.load_newest(directory)[0].epoch == 10


@pytest.mark.parametrize("ending", ["json", "npz"])
def test_every_flipped_byte_of_the_newest_falls_back_to_the_one_before(directory, ending, caplog):
    save(directory, (1, 0), (2, 0))
    file = directory.path / f"checkpoint-2-0.{ending}"
    whole = {name: (directory.path / name).read_bytes() for name in names(directory)}
    for position in range(0, file.stat().st_size, 7):
        flip_a_bit(file, position)
        caplog.clear()
        progress, arrays = checkpoint_files.load_newest(directory)
        if progress.epoch == 2:  # the byte is in no part that is read, such as a zip's date
            assert arrays["model/1"] == 2
            np.testing.assert_array_equal(arrays["model/0"], ARRAYS["model/0"])
        else:
            assert arrays["model/1"] == 1
            assert "is damaged" in caplog.text
            assert "goes on from the one before: epoch 1" in caplog.text
            assert not file.exists()
        for name, content in whole.items():
            (directory.path / name).write_bytes(content)


@pytest.mark.parametrize("damage", ["cut", "lost", "empty"])
def test_damaged_arrays_fall_back(directory, damage):
    save(directory, (1, 0), (1, 5))
    file = directory.path / "checkpoint-1-5.npz"
    if damage == "lost":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 40 if damage == "cut" else 0])
    assert checkpoint_files.load_newest(directory)[0].step == 0


def test_nothing_left_to_fall_back_to_is_said(directory):
    save(directory, (1, 0), (2, 0))
    for file in directory.path.glob("*.npz"):
        file.write_bytes(b"cut")
    with pytest.raises(ValueError, match="Every checkpoint in .* is damaged.*without --resume"):
        checkpoint_files.load_newest(directory)


def test_no_pickle_is_loaded(directory, tmp_path):
    save(directory, (1, 0))
    np.savez(directory.path / "checkpoint-1-0.npz", **{"model/0": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="damaged"):
        checkpoint_files.load_newest(directory)


def test_checkpoint_that_reads_otherwise_than_written_is_no_checkpoint(directory, monkeypatch):
    save(directory, (1, 0))
    savez = np.savez

    def bad_disk(file, **arrays):
        savez(file, **{**arrays, "model/0": arrays["model/0"] + 1})

    monkeypatch.setattr(np, "savez", bad_disk)
    with pytest.raises(StorageError, match="is not what was written"):
        save(directory, (2, 0))
    monkeypatch.undo()
    assert checkpoint_files.load_newest(directory)[0].epoch == 1


@pytest.mark.parametrize("change", [lambda a: a.view(np.int32), lambda a: a.reshape(3, 2)])
def test_arrays_of_another_type_or_shape_are_not_those_written(tmp_path, change):
    digest = checkpoint_files.write_arrays(tmp_path / "a.npz", ARRAYS)
    np.savez(tmp_path / "a.npz", **{**ARRAYS, "model/0": change(ARRAYS["model/0"])})
    with pytest.raises(ValueError, match="checksum"):
        checkpoint_files.read_arrays(tmp_path / "a.npz", digest)


def save_with_best(directory, epoch):
    best = {"epoch": epoch, "validation_accuracy": 0.5}
    file = directory.path / checkpoint_files.best_name(best)
    digest = checkpoint_files.write_arrays(file, {"model/0": np.float32(epoch)})
    progress = Progress(epoch, 0, best=best, best_digest=digest)
    checkpoint_files.save(directory, progress, ARRAYS)
    return digest


def test_damaged_best_epoch_falls_back_to_the_one_before(directory):
    first, *_ = [save_with_best(directory, epoch) for epoch in (1, 2)]
    flip_a_bit(directory.path / "best-2.npz", 150)
    progress, _ = checkpoint_files.load_newest(directory)
    assert (progress.epoch, progress.best["epoch"], progress.best_digest) == (1, 1, first)
    arrays = checkpoint_files.read_arrays(directory.path / "best-1.npz", first)
    assert arrays["model/0"] == 1


def test_best_epoch_goes_with_a_copy(directory, tmp_path):
    digest = save_with_best(directory, 1)
    other = RunDirectory(tmp_path, "other")
    other.start({"kind": "train"})
    checkpoint_files.copy_newest(directory, other)
    assert checkpoint_files.load_newest(other)[0].best_digest == digest


def test_best_epoch_goes_with_the_last_checkpoint_that_names_it(directory):
    for epoch in (1, 2, 3):
        save_with_best(directory, epoch)
    assert {file.name for file in directory.path.glob("best-*")} == {"best-2.npz", "best-3.npz"}


@pytest.mark.parametrize(
    "damage", ['{"epoch": 1, "be', "[]", '{"best": {"epock": 1}}', '{"best": 1}']
)
def test_damage_of_the_one_before_does_not_end_a_training(directory, damage):
    save_with_best(directory, 1)
    (directory.path / "checkpoint-1-0.json").write_text(damage)
    save_with_best(directory, 2)
    assert checkpoint_files.load_newest(directory)[0].epoch == 2
    save_with_best(directory, 3)
    assert {file.name for file in directory.path.glob("best-*")} == {"best-2.npz", "best-3.npz"}


@pytest.fixture
def checkpointer(directory):
    """Makes a `Checkpointer` of a network of one number, that needs no training."""

    def make(steps=None):
        made = Checkpointer(directory, steps)
        weights = [np.zeros(1, np.float32)]
        made.set_model(
            types.SimpleNamespace(
                variables=weights,
                optimizer=types.SimpleNamespace(variables=[np.int64(3)]),
                student=types.SimpleNamespace(variables=weights),
                metrics=[],
            )
        )
        made.set_params({"steps": 6})
        return made

    return make


def test_best_epoch_is_the_first_of_the_best(checkpointer, directory):
    made = checkpointer()
    for epoch, accuracy in enumerate([0.5, 0.75, 0.75, 0.25]):
        made.model.student.variables[0][0] = epoch
        made.on_epoch_end(epoch, {"val_accuracy": accuracy})
    assert made.best == {"epoch": 2, "validation_accuracy": 0.75}
    assert [row["epoch"] for row in made.rows] == [1, 2, 3, 4]
    found = checkpointer()
    assert found.find() == (4, 0)
    network = types.SimpleNamespace(variables=[keras.Variable(np.zeros(1, np.float32))])
    found.load_best(network)
    assert network.variables[0].numpy().tolist() == [1.0]


def test_checkpoints_follow_every_so_many_steps(checkpointer, directory):
    made = checkpointer(steps=2)
    made.on_epoch_begin(3)
    found = []
    for batch in range(6):
        made.on_train_batch_end(batch)
        found.append(checkpoint_files.load_newest(directory)[0])
    steps = [progress and progress.step for progress in found]
    assert steps == [None, 2, 2, 4, 4, 4]  # the end of the epoch has one of its own


def test_seconds_go_on(checkpointer, directory):
    checkpoint_files.save(directory, Progress(1, seconds=1000.0), ARRAYS)
    made = checkpointer()
    made.find()
    made.on_train_begin()
    made.on_epoch_end(1, {})
    assert 1000 <= checkpoint_files.load_newest(directory)[0].seconds < 1100


def test_damaged_newest_one_ends_with_the_same_bits(tiny, settings, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    whole, broken = RunDirectory(tmp_path, "whole"), RunDirectory(tmp_path, "broken")
    expected = fit.run(settings, tiny, whole)
    with pytest.raises(KilledError):
        fit.run(settings, tiny, broken, callbacks=[KillAfterStep(5)], checkpoint_steps=1)
    assert "checkpoint-1-2.npz" in names(broken)
    flip_a_bit(broken.path / "checkpoint-1-2.npz", 3000)
    (broken.path / ".123.checkpoint-2.npz").write_bytes(b"left by a kill")
    resumed = fit.run(settings, tiny, broken, resume=True)
    assert "goes on from the one before: epoch 1, step 1 of the next" in caplog.text
    assert resumed["test_loss"] == expected["test_loss"]
    assert resumed["best_by_validation"] == expected["best_by_validation"]
    assert broken.metrics_file.read_bytes() == whole.metrics_file.read_bytes()


def test_checkpoints_change_no_result(tiny, settings, tmp_path):
    plain, often = RunDirectory(tmp_path, "plain"), RunDirectory(tmp_path, "often")
    expected = fit.run(settings, tiny, plain)
    result = fit.run(settings, tiny, often, checkpoint_steps=1)
    assert result["test_loss"] == expected["test_loss"]
    assert often.metrics_file.read_bytes() == plain.metrics_file.read_bytes()
    assert often.read_config() == plain.read_config()
    assert not list(often.path.glob("checkpoint*"))


def test_long_epochs_have_checkpoints_by_time(tiny, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_logitkd.runs.checkpointing.checkpointer.INTERVAL", 0.0)
    directory = RunDirectory(tmp_path, "r")
    with pytest.raises(KilledError):
        fit.run(settings, tiny, directory, callbacks=[KillAfterStep(2)])
    content = json.loads((directory.path / "checkpoint-0-2.json").read_text())
    assert (content["epoch"], content["step"], content["rows"]) == (0, 2, [])


def test_checkpoint_of_another_network_is_refused(tiny, settings, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    with pytest.raises(KilledError):
        fit.run(settings, tiny, directory, callbacks=[KillAfterStep(1)], checkpoint_steps=1)
    other = dataclasses.replace(settings, model="wrn-10-2")
    directory.config_file.unlink()
    with pytest.raises(ValueError, match="holds another model than the run has"):
        fit.run(other, tiny, directory, resume=True)


def test_trials_go_on_from_a_copy(directory, tmp_path):
    save(directory, (1, 0), (2, 0))
    other = RunDirectory(tmp_path, "other")
    other.start({"kind": "train"})
    checkpoint_files.copy_newest(directory, other)
    assert names(other) == ["checkpoint-2-0.json", "checkpoint-2-0.npz"]
    assert checkpoint_files.load_newest(other)[0] == checkpoint_files.load_newest(directory)[0]
    save(other, (3, 0))
    checkpoint_files.copy_newest(directory, other)
    assert checkpoint_files.load_newest(other)[0].epoch == 3
