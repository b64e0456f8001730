"""Runs of the lab with feature methods: their stages, resuming, stores, what is saved."""

import csv
import dataclasses

import fit
import keras
import numpy as np
import pytest

from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.teachers import Teacher
from keras_logitkd.runs.run_stages import run_stages
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.settings import RunSettings

# Steps of the first stage, of one epoch, and of two epochs after it.
STAGED = ["ab:init_epochs=1", "ft:init_epochs=1", "fitnets:mode=two_stage,init_epochs=1"]

tiny_networks = pytest.mark.usefixtures("tiny_networks")


class KilledError(Exception):
    pass


class KillAt(keras.callbacks.Callback):
    """Dies after a step of an epoch of the whole run, both counted from 0."""

    def __init__(self, epoch, step):
        super().__init__()
        self.place = epoch, step

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            raise KilledError


@pytest.fixture
def teacher(tiny, tiny_recipe):
    model = models.build_network("wrn-10-2", tiny, tiny_recipe, seed=9)
    return Teacher("t", "t", file=None, prepare=lambda: model, load=lambda: model, result=dict)


@pytest.fixture
def settings(tiny, tiny_recipe):
    return RunSettings(
        model="wrn-10-1", dataset=tiny.name, recipe=tiny_recipe, teachers=("t",), alpha=1.0
    )


def rows_of(directory):
    with directory.metrics_file.open(newline="") as file:
        return list(csv.DictReader(file))


@tiny_networks
@pytest.mark.parametrize(
    ("loss", "places"),
    [
        (STAGED[0], [(0, 1), (2, 1)]),
        pytest.param("kl:8..2@5steps", [(1, 1)], marks=pytest.mark.slow),
        pytest.param(STAGED[1], [(0, 1), (1, 1)], marks=pytest.mark.slow),
        pytest.param(STAGED[2], [(0, 1)], marks=pytest.mark.slow),
    ],
)
def test_killed_in_any_stage_it_resumes_to_the_same_bytes(
    tiny, settings, teacher, tmp_path, loss, places
):
    alpha = 1.0 if loss in STAGED else "0.2..1"
    settings = dataclasses.replace(settings, loss=loss, alpha=alpha)
    whole = RunDirectory(tmp_path, "whole")
    expected = fit.run(settings, tiny, whole, [teacher], checkpoint_steps=1)
    for place in places:
        kill_and_resume(settings, tiny, teacher, whole, expected, place)


def kill_and_resume(settings, tiny, teacher, whole, expected, place):
    broken = RunDirectory(whole.path.parent, f"broken-{place[0]}-{place[1]}")
    with pytest.raises(KilledError):
        fit.run(settings, tiny, broken, [teacher], callbacks=[KillAt(*place)], checkpoint_steps=1)
    resumed = fit.run(settings, tiny, broken, [teacher], resume=True, checkpoint_steps=1)
    assert resumed["test_loss"] == expected["test_loss"]
    assert broken.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    pairs = [models.load_model(each.path / "student.keras") for each in (whole, broken)]
    for one, other in zip(*(model.get_weights() for model in pairs), strict=True):
        np.testing.assert_array_equal(one, other)


@tiny_networks
def test_epochs_of_a_stage_come_before_the_recipes(tiny, settings, teacher, tmp_path):
    settings = dataclasses.replace(settings, loss="ab:init_epochs=1")
    directory = RunDirectory(tmp_path, "r")
    result = fit.run(settings, tiny, directory, [teacher])
    rows = rows_of(directory)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [bool(row["ab"]) for row in rows] == [True, False, False]
    assert [bool(row["val_accuracy"]) for row in rows] == [False, True, True]
    assert result["epochs"] == 2
    assert result["best_by_validation"]["epoch"] in (2, 3)
    saved = models.load_model(directory.path / "student.keras")
    network = models.build_network("wrn-10-1", tiny, settings.recipe, 0)
    assert saved.count_params() == network.count_params()
    assert [layer.name for layer in saved.layers] == [layer.name for layer in network.layers]


def test_stages_have_their_own_learning_rates(settings):
    recipe = settings.recipe.replace(lr_drops=(0.5,), weight_decay=0.02)
    settings = dataclasses.replace(
        settings, recipe=recipe, loss="fitnets:mode=two_stage,init_rate=0.003", seed=5
    )
    first, main = run_stages(settings)
    assert (first.recipe.epochs, first.recipe.learning_rate) == (30, 0.003)
    assert first.recipe.lr_drops == ()
    assert (main.first_epoch, main.recipe) == (30, recipe)
    hint, softened = first.stage.features[0], main.stage.features[0]
    assert (hint.weight_decay, hint.seed) == (0.02, 5)
    assert [softened.schedule.at(epoch) for epoch in range(2)] == [4.0, 1.0]


@tiny_networks
def test_a_method_on_logits_reads_the_store_and_others_run_the_teacher(
    tiny, settings, teacher, tmp_path, monkeypatch
):
    file = tmp_path / "teacher.keras"
    teacher.load().save(file)
    cache = LogitCache(str(tmp_path / "logits"))
    loads = []

    def load():
        loads.append(1)
        return models.load_model(file)

    teacher = dataclasses.replace(teacher, file=file, load=load)
    for loss in ("dkd", "mse+dkd"):
        directory = RunDirectory(tmp_path, loss)
        fit.run(dataclasses.replace(settings, loss=loss), tiny, directory, [teacher], cache)
        assert all(row["dkd"] for row in rows_of(directory))
    assert len(loads) == 1  # to fill the store
    directory = RunDirectory(tmp_path, "at")
    fit.run(dataclasses.replace(settings, loss="at"), tiny, directory, [teacher], cache)
    assert all(row["at"] for row in rows_of(directory))


def test_nan_in_a_term_stops_the_run_with_its_name(tiny, settings, teacher, tmp_path):
    settings = dataclasses.replace(settings, loss="overhaul:weight=1e30")
    directory = RunDirectory(tmp_path, "r")
    with pytest.raises(FloatingPointError, match="The term of overhaul became (nan|inf).*in step"):
        fit.run(settings, tiny, directory, [teacher])
    assert directory.read_result() is None


def test_names_of_runs_without_methods_are_what_they_were(tiny_recipe):
    settings = RunSettings(
        model="wrn-10-1",
        dataset="digits",
        recipe=tiny_recipe,
        fingerprint="f",
        seed=3,
        teachers=("t",),
        loss="kl:3",
        alpha=0.5,
    )
    assert settings.default_name() == "digits-wrn-10-1-kl_3+a0.5-s3-4aeeb6da"


@pytest.mark.parametrize(
    ("loss", "alpha", "message"),
    [
        ("ovrhaul", 1.0, "`loss` must be made of mse, kl, .*Did you mean 'overhaul'"),
        ("at:wight=1", 1.0, "An option of at must be.*Did you mean 'weight'"),
        ("at:mode=x", 1.0, "`mode` must be one of"),
        ("at", 0.5, "`alpha` weighs a logit loss, and at names none: write mse\\+at"),
        ("mse+kl:3+at", 1.0, "may have one logit loss"),
        ("ab+ft", 1.0, "may have one method with stages. Received: ab and ft"),
        ("ab+jacobian", 1.0, "come with different logit losses"),
        ("at+at", 1.0, "may name a method once"),
        ("kl:-1+at", 1.0, "`temperature` must be"),
        ("fitnets:init_epochs=0", 1.0, "`init_epochs` must be an integer at least 1"),
    ],
)
def test_what_cannot_be_trained_is_one_line(loss, alpha, message):
    with pytest.raises(ValueError, match=message) as error:
        Cell("wrn-10-1", (Cell("wrn-10-2"),), loss, alpha)
    assert "\n" not in str(error.value)
