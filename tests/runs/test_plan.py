"""The plan of a run, and how long it is said to take."""

import dataclasses

import numpy as np
import pytest

from keras_logitkd.runs import estimate, plan
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.workspace import Workspace, open_workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def workspace(tiny, tiny_recipe, tmp_path):
    cache = LogitCache(str(tmp_path / "logits"))
    return Workspace(tiny, tiny_recipe, tmp_path / "runs", cache=cache)


def rows(job, seconds=None):
    return dict(plan.plan_of(job, seconds))


def test_a_plan_says_what_will_be_done(workspace, tmp_path):
    cell = workspace.distillation("wrn-10-1", "resnet-8-1", "kl:3", teacher_epochs=7)
    job = workspace.job(dataclasses.replace(cell, views=2, size=6))
    found = rows(job, seconds=200)
    assert found["data"] == (
        "48 to train on, 12 held out, 24 to test; 3 classes, 20 to 20 a class; 8 x 8 pixels"
    )
    assert found["teacher"] == "resnet-8-1, trained first: 7 epochs of views of 8 pixels"
    assert found["student"] == "wrn-10-1 by kl:3, on 6 x 6 pixels"
    assert found["training"] == "2 epochs, batches of 16 (3 steps an epoch), learning rate 0.05"
    assert found["logits"] == "stored, 2 views of each image, 1 kB"
    assert found["time"] == "about 4 minutes by a few steps on this machine"
    assert found["run"] == str(job.directory.path)
    assert not plan.is_done(job)
    assert not (tmp_path / "runs").exists()


def test_a_plan_says_what_is_there_already(workspace, tmp_path):
    workspace.run(workspace.teachers_named("resnet-8-1", 1)[0])
    models.build_network("wrn-10-1", workspace.dataset, workspace.recipe, 0).save(
        tmp_path / "own.keras"
    )
    online = dataclasses.replace(workspace, cache=None)
    job = online.job(online.distillation("wrn-10-1", "resnet-8-1", teacher_epochs=1))
    assert rows(job)["teacher"].startswith("resnet-8-1, trained already (tiny")
    assert rows(job)["logits"] == "the teacher runs in every step (--no-cache)"
    job = workspace.job(workspace.distillation("wrn-10-1", str(tmp_path / "own.keras")))
    assert rows(job)["teacher"] == f"{tmp_path / 'own.keras'}, as it is"
    recipe = workspace.recipe.replace(head_epochs=3)
    job = dataclasses.replace(workspace, recipe=recipe).job(workspace.labelled("wrn-10-1"))
    assert rows(job)["training"].startswith("3 of the last layer alone, then 2 epochs")
    assert rows(job)["network"] == "wrn-10-1 on labels, on 8 x 8 pixels"


def test_a_quarter_of_the_epochs_is_quick(tiny_spec, tmp_path):
    standard, quick = (
        open_workspace(tiny_spec, tmp_path, preset=preset, recipe_fields={"pad": 0})
        for preset in ("standard", "quick")
    )
    assert (standard.recipe.epochs, quick.recipe.epochs) == (100, 25)
    assert quick.teachers_named("wrn-10-1")[0].recipe.epochs == 25
    assert open_workspace(tiny_spec, tmp_path, recipe_fields={"epochs": 9}, preset="quick")


def test_time_grows_with_epochs_and_with_what_is_to_be_trained_first(workspace, monkeypatch):
    """Steps take a second, forward passes of 64 images take 6.4."""
    times = {"step": 1.0, "forward": 6.4}
    monkeypatch.setattr(estimate, "_train_step", lambda network: "step")
    monkeypatch.setattr(estimate, "_forward", lambda model: "forward")
    monkeypatch.setattr(estimate, "_seconds_of", lambda function, images: (0.0, times[function]))
    monkeypatch.setattr(estimate, "_checkpoint", lambda network: 0.0)
    labelled = workspace.job(workspace.labelled("wrn-10-1"))
    assert plan.unfinished_seconds(labelled) == pytest.approx(2 * 3)
    cell = workspace.distillation("wrn-10-1", "resnet-8-1", teacher_epochs=7)
    # 2 epochs of 3 steps, 7 of one of the teacher's, 2 views of 48 images by the teacher
    assert plan.unfinished_seconds(workspace.job(cell)) == pytest.approx(6 + 7 + 2 * 48 * 0.1)
    one_view = dataclasses.replace(cell, views=1)
    assert plan.unfinished_seconds(workspace.job(one_view)) == pytest.approx(6 + 7 + 48 * 0.1)
    workspace.run(cell.teachers[0])
    assert plan.unfinished_seconds(workspace.job(cell)) == pytest.approx(6 + 2 * 48 * 0.1)


def test_an_estimate_is_of_the_order_of_the_run(workspace):
    recipe = workspace.recipe.replace(epochs=40)
    workspace = dataclasses.replace(workspace, recipe=recipe)
    job = workspace.job(workspace.labelled("wrn-10-1"))
    estimated = plan.unfinished_seconds(job)
    assert 0 < estimated < 10 * workspace.run(workspace.labelled("wrn-10-1")).result["seconds"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 seconds"),
        (12, "12 seconds"),
        (47, "50 seconds"),
        (100, "2 minutes"),
        (5399, "90 minutes"),
        (9000, "2.5 hours"),
    ],
)
def test_seconds_in_words(seconds, words):
    assert estimate.in_words(seconds) == words


def test_reading_counts_where_images_are_not_in_memory(tmp_path):
    from PIL import Image

    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(10):
            pixels = np.full((30 + number, 30, 3), number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    dataset = open_workspace(f"folder:{tmp_path}", tmp_path / "runs").dataset
    assert 0 < estimate._reading(dataset) < 0.1
