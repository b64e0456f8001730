import dataclasses

import keras
import numpy as np
import pytest

from keras_logitkd.data.dataset import split_validation
from keras_logitkd.runs.spec.recipes import SMALL_IMAGES
from keras_logitkd.runs.workspace import Workspace, open_workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def workspace(tiny, tiny_recipe, tmp_path):
    return Workspace(tiny, tiny_recipe.replace(epochs=1), tmp_path)


def test_open_workspace_takes_the_recipe_and_replaces_fields(tiny_spec, tmp_path):
    workspace = open_workspace(
        tiny_spec, tmp_path, recipe_fields={"epochs": 3, "batch_size": None}, seed=5
    )
    assert workspace.recipe == SMALL_IMAGES.replace(epochs=3)
    assert workspace.seed == 5


def test_distill_trains_the_teacher_and_the_baseline_shares_the_split(workspace, tmp_path):
    run = workspace.distill("wrn-10-1", "wrn-10-1", loss="kl:2", teacher_epochs=1)
    assert {path.name for path in tmp_path.iterdir()} == {
        run.directory.name,
        run.teachers[0].identity,
    }
    assert run.result["teacher_test_accuracy"] == pytest.approx(
        run.teachers[0].result()["test_accuracy"]
    )
    baseline = workspace.train("wrn-10-1")
    held_in, _ = split_validation(workspace.dataset.train.labels, workspace.recipe.validation)
    for result in (run.result, baseline.result, run.teachers[0].result()):
        assert result["train_examples"] == len(held_in)


def test_same_job_again_trains_nothing(workspace):
    first = workspace.train("wrn-10-1")
    written = first.directory.model_file("train").stat().st_mtime_ns
    again = workspace.train("wrn-10-1")
    assert again.result == first.result
    assert first.directory.model_file("train").stat().st_mtime_ns == written


def test_progress_is_told_what_is_trained(workspace):
    told = []

    def progress(label, examples):
        told.append((label, examples))
        return keras.callbacks.Callback()

    dataclasses.replace(workspace, progress=progress).distill(
        "wrn-10-1", "wrn-10-1", alpha=0.5, teacher_epochs=1
    )
    assert sorted(told) == [("wrn-10-1 ce", 48), ("wrn-10-1 mse+a0.5", 48)]


def test_other_images_under_the_same_name_are_another_run(workspace, tmp_path):
    first = workspace.train("wrn-10-1", name="same")
    labels = np.roll(workspace.dataset.train.labels, 1)
    changed = dataclasses.replace(
        workspace.dataset, train=dataclasses.replace(workspace.dataset.train, labels=labels)
    )
    other = dataclasses.replace(workspace, dataset=changed)
    with pytest.raises(ValueError, match=r"other settings \(train_fingerprint\)"):
        other.train("wrn-10-1", name="same")
    assert first.directory.read_result() == first.result
