"""What release 0.1 left on disk is found, resumed and read, also after fields were added.

`former/` was written at commit 68d84f2, with one thread, by

    logitkd distill --teacher resnet-8-1 --student resnet-8-1 --loss kl --tau 3 --alpha 0.9
        --epochs 3 --teacher-epochs 1 --batch-size 16 --learning-rate 0.02 --validation 0
        --examples 60 --views 2

`finished` as it ended, `unfinished` with the checkpoint after two steps of the second epoch.
"""

import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest

from keras_logitkd.data.views import registry
from keras_logitkd.data.views.operation import Operation
from keras_logitkd.runs import evaluation, workspace
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.storage.fields import Field

FORMER = pathlib.Path(__file__).with_name("former")
STUDENT = "digits-resnet-8-1-kl_3+a0.9-s0-6d79eeca"
FIELDS = {
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.02,
    "validation": 0.0,
    "examples": 60,
}


class Invert(Operation):
    FIELDS = (Field("invert", bool, "White is black.", False),)
    is_active = False


@dataclasses.dataclass(frozen=True)
class GrownRecipe(Recipe):
    warm_up: int = 0
    invert: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrownSettings(RunSettings):
    recipe: GrownRecipe
    precision: str = "float32"


@pytest.fixture
def former(tmp_path):
    """A runs directory with what the former release left."""
    shutil.copytree(FORMER / "finished", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture(params=["as it is", "with more fields"])
def open_former(request, former, monkeypatch):
    """Opens the runs directory with today's classes, or with such as have more fields."""
    grown = request.param == "with more fields"
    if grown:
        monkeypatch.setattr(workspace, "RunSettings", GrownSettings)
        monkeypatch.setattr(registry, "OPERATIONS", [*registry.OPERATIONS, Invert])

    def open_it(**fields):
        opened = workspace.open_workspace(
            "digits",
            former,
            recipe_fields=FIELDS,
            views=2,
            resume=True,
            cache=LogitCache(str(former / ".logits")),
        )
        if grown:
            recipe = GrownRecipe(**dataclasses.asdict(opened.recipe), **fields)
            opened = dataclasses.replace(opened, recipe=recipe)
        return opened

    return open_it


@pytest.fixture
def no_teacher(monkeypatch):
    def refuse(teachers, batches):
        raise AssertionError("logits were computed")

    monkeypatch.setattr(evaluation, "averaged_logits", refuse)


def distil(opened):
    return opened.distill("resnet-8-1", "resnet-8-1", "kl:3", alpha=0.9, teacher_epochs=1)


@pytest.mark.usefixtures("no_teacher")
def test_finished_run_is_found(open_former, former):
    before = {path: path.stat().st_mtime_ns for path in former.rglob("*") if path.is_file()}
    run = distil(open_former())
    assert run.directory.name == STUDENT
    assert run.result == json.loads((FORMER / "finished" / STUDENT / "result.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in former.rglob("*.*") if path.is_file()} == {
        path: time for path, time in before.items() if "." in path.name
    }


@pytest.mark.usefixtures("no_teacher")
def test_unfinished_run_goes_on_to_the_same_end_by_the_stored_logits(open_former, former):
    shutil.rmtree(former / STUDENT)
    shutil.copytree(FORMER / "unfinished" / STUDENT, former / STUDENT)
    run = distil(open_former())
    expected = FORMER / "finished" / STUDENT
    ours, theirs = ((path / "metrics.csv").read_text() for path in (run.directory.path, expected))
    assert ours.splitlines()[:2] == theirs.splitlines()[:2]  # of before the checkpoint
    # The same to the bit on the CPU that made them; others round otherwise.
    read = [
        np.genfromtxt(text.splitlines(), delimiter=",", skip_header=1) for text in (ours, theirs)
    ]
    np.testing.assert_allclose(*read, rtol=1e-4, atol=1e-5)
    models = [
        keras.saving.load_model(path / "student.keras") for path in (former / STUDENT, expected)
    ]
    for own, former_one in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(own, former_one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("open_former", ["with more fields"], indirect=True)
def test_what_a_new_field_says_makes_another_run_and_other_logits(open_former):
    opened = open_former()
    cell = opened.distillation("resnet-8-1", "resnet-8-1", "kl:3", 0.9, 1)

    def job_of(recipe):
        return dataclasses.replace(opened, recipe=recipe).job(
            dataclasses.replace(cell, recipe=recipe)
        )

    names = {
        job_of(dataclasses.replace(opened.recipe, **fields)).directory.name
        for fields in ({}, {"warm_up": 5}, {"invert": True})
    }
    assert len(names) == 3
    assert STUDENT in names
