import dataclasses

import keras
import numpy as np
import pytest

from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def workspace(tiny, tiny_recipe, tmp_path):
    return Workspace(tiny, tiny_recipe.replace(epochs=1), str(tmp_path / "runs"))


@pytest.fixture
def file(tmp_path):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(tmp_path / "own.keras")
    return tmp_path / "own.keras"


def test_run_with_a_run_and_a_file_as_teachers(workspace, file):
    noise = LabelNoise("symmetric", 0.5)
    cell = Cell("wrn-10-1", (Cell("wrn-10-2"), str(file)), "mse", noise=noise)
    done = workspace.run(cell)
    run = open_run(done.directory.name, workspace.runs_dir)
    assert run.result == done.result
    assert run.settings == workspace.settings(cell, done.teachers)
    assert [teacher.label for teacher in run.teachers] == ["wrn-10-2", str(file)]
    pixels = workspace.dataset.test.images.array
    logits = np.mean([teacher.load().predict(pixels, verbose=0) for teacher in run.teachers], 0)
    accuracy = np.mean(logits.argmax(-1) == workspace.dataset.test.labels)
    assert accuracy == pytest.approx(run.result["teacher_test_accuracy"])
    student = run.load_network().predict(pixels, verbose=0)
    accuracy = np.mean(student.argmax(-1) == workspace.dataset.test.labels)
    assert accuracy == pytest.approx(run.result["test_accuracy"])
    assert run.rows()[-1]["loss"] == pytest.approx(run.result["train_loss"])
    with np.load(run.directory.noise_file) as labels:
        np.testing.assert_array_equal(run.data.noisy.noisy, labels["noisy"])


def test_what_is_missing_is_one_clear_line(workspace, file, tmp_path):
    done = workspace.run(Cell("wrn-10-1", (str(file),), "mse"))
    path = done.directory.path
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]).save(
        file
    )
    with pytest.raises(ValueError, match=r"teacher .*own\.keras is not there, or not the file"):
        open_run(path)
    file.unlink()
    with pytest.raises(ValueError, match=r"teacher .*own\.keras is not there"):
        open_run(path)
    with pytest.raises(ValueError, match="A run must be a directory"):
        open_run(path / "student.keras")
    done.directory.result_file.unlink()
    with pytest.raises(ValueError, match="is not finished"):
        open_run(path)


def test_other_data_and_a_lost_teacher_are_refused(workspace, tiny_spec, tmp_path):
    done = workspace.run(Cell("wrn-10-1", (Cell("wrn-10-1", seed=1),), "mse"))
    with np.load(tiny_spec.removeprefix("npz:")) as arrays:
        content = {name: arrays[name] for name in arrays}
    config, other = done.directory.read_config(), tmp_path / "other.npz"
    done.directory.start({**config, "dataset": f"npz:{other}"})
    for part, line in (("x_train", "are not those that"), ("x_test", "The test part of .* is not")):
        np.savez(other, **{**content, part: content[part] + 1})
        with pytest.raises(ValueError, match=line):
            open_run(done.directory.path)
    done.directory.start(config)
    (teacher,) = dataclasses.asdict(open_run(done.directory.path).settings)["teachers"]
    (done.directory.path.parent / teacher / "result.json").unlink()
    with pytest.raises(ValueError, match="The teacher's run .* is not there, or not finished"):
        open_run(done.directory.path)
