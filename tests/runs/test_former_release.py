"""Runs and a store of version 0.1 are found, resumed and read; so they are when fields are added.

`former/` was written by commit 68d84f2, with one thread:

    logitkd distill --student resnet-8-1 --teacher resnet-8-1 --teacher-epochs 1 --epochs 3
        --examples 60 --batch-size 16 --validation 0 --learning-rate 0.02 --loss kl --tau 3
        --alpha 0.9 --views 2 --runs-dir finished

`unfinished/` is the same student with `--checkpoint-steps 2`, killed in the third step of its
second epoch; the newest of its checkpoints is kept. Digits are in scikit-learn: they need no path.
"""

import dataclasses
import pathlib
import shutil

import keras
import numpy as np
import pytest

from keras_logitkd.data.views import registry
from keras_logitkd.data.views.operation import Operation
from keras_logitkd.runs import workspace as workspaces
from keras_logitkd.runs.inputs import logit_cache, models, teacher_logits
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.spec.recipes import RECIPES, Recipe
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.runs.workspace import open_workspace
from keras_logitkd.storage.fields import Field
from keras_logitkd.storage.logit_store import StoreKey

FORMER = pathlib.Path(__file__).with_name("former")
STUDENT = "digits-resnet-8-1-kl_3+a0.9-s0-6d79eeca"
TEACHER = "digits-resnet-8-1-ce-s0-e9f577b9"
FIELDS = {
    "epochs": 3,
    "examples": 60,
    "batch_size": 16,
    "validation": 0.0,
    "learning_rate": 0.02,
}


class Invert(Operation):
    """An operation that a later release may have."""

    FIELDS = (Field("invert", bool, "White is black.", False),)


def grown(cls, field="extra", kind=int):
    """The class with one more field, as the next release may have it."""
    fields, kw_only = [(field, kind, dataclasses.field(default=kind()))], cls is RunSettings
    name = f"Grown{cls.__name__}"
    return dataclasses.make_dataclass(name, fields, bases=(cls,), frozen=True, kw_only=kw_only)


def copied(cls, instance, **fields):
    own = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    return cls(**own, **fields)


@pytest.fixture
def runs(tmp_path):
    shutil.copytree(FORMER / "finished", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def refusing(monkeypatch):
    """Nothing may be trained, and no teacher loaded."""

    def refuse(*arguments):
        raise AssertionError("this must not be computed again")

    monkeypatch.setattr("keras_logitkd.runs.job.build_network", refuse)
    monkeypatch.setattr(teacher_logits, "for_inference", refuse)


@pytest.fixture(params=["as it is", "with more fields"])
def open_former(request, monkeypatch):
    """Opens the workspace of the former runs, by today's code and by that of a later release."""

    def open_it(runs, **fields):
        cache = LogitCache(str(runs / ".logits"))
        return open_workspace("digits", runs, None, FIELDS, views=2, cache=cache, **fields)

    if request.param == "with more fields":
        recipe = grown(grown(Recipe, "warm_up"), "invert", bool)
        monkeypatch.setitem(RECIPES, "digits", copied(recipe, RECIPES["digits"]))
        monkeypatch.setattr(registry, "OPERATIONS", [*registry.OPERATIONS, Invert])
        monkeypatch.setattr(workspaces, "RunSettings", grown(RunSettings))
        monkeypatch.setattr(logit_cache, "StoreKey", grown(StoreKey))
    return open_it


def distil(workspace):
    return workspace.distill("resnet-8-1", "resnet-8-1", "kl:3", 0.9, teacher_epochs=1)


def test_finished_run_is_found(runs, open_former, refusing):
    run = distil(open_former(runs))
    assert run.directory.name == STUDENT
    assert [teacher.identity for teacher in run.teachers] == [TEACHER]
    assert run.result["test_accuracy"] == 0.07799442896935933
    assert sorted(path.name for path in runs.iterdir()) == [".logits", TEACHER, STUDENT]


def test_store_is_read_without_computing(runs, open_former, refusing):
    before = {path: path.read_bytes() for path in (runs / ".logits").rglob("*.*y")}
    store = open_former(runs).store_logits("resnet-8-1", 1)
    assert store.views == [0, 1]
    assert {path: path.read_bytes() for path in (runs / ".logits").rglob("*.*y")} == before


@pytest.fixture
def unfinished(runs):
    shutil.rmtree(runs / STUDENT)
    shutil.copytree(FORMER / "unfinished" / STUDENT, runs / STUDENT)
    return runs


def test_unfinished_run_goes_on_where_it_was(unfinished, open_former):
    places = []

    class Places(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_begin(self, batch, logs=None):
            places.append((self.epoch, batch))

    run = distil(open_former(unfinished, resume=True, progress=lambda *_: Places()))
    assert places == [(1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]
    former = FORMER / "finished" / STUDENT
    config = run.directory.config_file
    assert config.read_bytes() == (former / "config.json").read_bytes()
    ours, theirs = ((place / "metrics.csv").read_text() for place in (config.parent, former))
    assert ours.splitlines()[:2] == theirs.splitlines()[:2]  # of before the checkpoint
    # The same bits on the CPU that made them, with one thread; others round otherwise.
    numbers = [np.genfromtxt(text.splitlines()[1:], delimiter=",") for text in (ours, theirs)]
    np.testing.assert_allclose(*numbers, rtol=1e-4, atol=1e-5)
    weights = [
        models.load_model(place / "student.keras").get_weights()
        for place in (config.parent, former)
    ]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_another_value_of_a_later_field_is_another_run_and_another_store(runs):
    config = open_workspace("digits", runs, None, FIELDS).recipe
    settings = RunSettings(model="resnet-8-1", dataset="digits", recipe=config)
    names = {
        settings.default_name(),
        copied(grown(RunSettings), settings).default_name(),
        copied(grown(RunSettings), settings, extra=1).default_name(),
        dataclasses.replace(settings, recipe=copied(grown(Recipe), config, extra=1)).default_name(),
    }
    assert len(names) == 3
    key = StoreKey("t", "d", "e", 1, 2, {})
    later = grown(StoreKey)
    digests = [key.digest(), copied(later, key).digest(), copied(later, key, extra=1).digest()]
    assert digests[0] == digests[1] != digests[2]
