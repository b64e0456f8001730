"""Class weights in runs, and what is said of classes afterwards."""

import dataclasses

import fit
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.losses import logit_kl
from keras_logitkd.runs import checks
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.inputs.teachers import Teacher, usual_recipe
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.runs.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")
WEIGHTS = '{"0": 3.0, "2": 0.5}'


@pytest.fixture
def settings(tiny, tiny_recipe):
    recipe = tiny_recipe.replace(class_weight=WEIGHTS)
    return RunSettings(model="wrn-10-1", dataset=tiny.name, recipe=recipe)


@pytest.mark.parametrize("method", ["", "+fitnets"])
def test_weights_act_on_hard_loss_and_distillation_alike(tiny, settings, tmp_path, method):
    # One step of all examples, and a rate so small that nothing changes before it is logged.
    recipe = settings.recipe.replace(
        epochs=1, batch_size=60, pad=0, validation=0.0, learning_rate=1e-12, weight_decay=0.0
    )
    settings = dataclasses.replace(
        settings, recipe=recipe, teachers=("t",), loss=f"kl:2{method}", alpha=0.5
    )
    teacher = models.build_network("wrn-10-1", tiny, recipe, seed=9)
    taught = Teacher("t", "t", None, lambda: None, lambda: teacher, lambda: None)
    directory = RunDirectory(tmp_path, "r")
    fit.run(settings, tiny, directory, [taught])
    (row,) = directory.read_metrics()
    pixels, labels = tiny.train.images.array, tiny.train.labels
    student = models.build_network("wrn-10-1", tiny, recipe, seed=0)
    logits = student(pixels, training=True)
    hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits).numpy()
    soft = logit_kl(teacher(pixels), logits, 2.0).numpy()
    weights = np.array([3.0, 1.0, 0.5])[labels]
    assert row["hard_loss"] == pytest.approx(np.mean(weights * hard), rel=1e-4)
    assert row["distillation_loss"] == pytest.approx(np.mean(weights * soft), rel=1e-4)
    assert row["hard_loss"] != pytest.approx(np.mean(hard), rel=1e-2)


def test_balanced_counts_the_examples_that_are_trained_on(tiny, settings):
    recipe = settings.recipe.replace(class_weight="balanced", examples=24)
    noise = LabelNoise("pair", 0.5)
    settings = dataclasses.replace(settings, recipe=recipe, noise=noise)
    data = RunData(settings, tiny)
    counts = np.bincount(data.noisy.noisy, minlength=3)
    assert data.class_weight == pytest.approx(dict(enumerate(24 / (3 * counts))))
    assert RunData(dataclasses.replace(settings, recipe=tiny_of(recipe)), tiny).class_weight is None


def tiny_of(recipe):
    return dataclasses.replace(recipe, class_weight=None)


def test_weights_are_no_part_of_a_description_without_them(settings):
    plain = dataclasses.replace(settings, recipe=tiny_of(settings.recipe))
    assert "class_weight" not in plain.to_config()["recipe"]
    assert settings.default_name() != plain.default_name()
    assert RunSettings.from_config(settings.to_config()) == settings


def test_a_teacher_by_name_has_the_weights_of_its_student(tiny, settings):
    assert usual_recipe(tiny, settings.recipe).class_weight == WEIGHTS


def test_weights_of_other_classes_are_refused_before_anything_is_trained(tiny, settings, tmp_path):
    recipe = settings.recipe.replace(class_weight='{"cat": 2.0}')
    workspace = Workspace(tiny, recipe, tmp_path)
    cells = [Cell("wrn-10-1").settled(workspace.recipe_of)]
    with pytest.raises(ValueError, match="must name classes of the data.*'cat'"):
        checks.check_cells(cells, workspace)
    with pytest.raises(ValueError, match="must name classes of the data.*'cat'"):
        workspace.run(cells[0])
    assert not list(tmp_path.iterdir())


def test_a_recipe_takes_no_other_text(tiny_recipe):
    with pytest.raises(ValueError, match="`class_weight` must be balanced or a JSON object"):
        tiny_recipe.replace(class_weight="twice")


def test_result_has_the_accuracy_of_each_class(tiny, settings, tmp_path):
    # A test part of 8, 8 and 1 examples.
    kept = np.r_[np.flatnonzero(tiny.test.labels != 2), np.flatnonzero(tiny.test.labels == 2)[:1]]
    images = type(tiny.test.images)(tiny.test.images.array[kept])
    test = dataclasses.replace(tiny.test, labels=tiny.test.labels[kept], images=images)
    data = dataclasses.replace(tiny, test=test)
    directory = RunDirectory(tmp_path, "r")
    result = fit.run(settings, data, directory)
    model = models.load_model(directory.path / "model.keras")
    right = model.predict(images.array, verbose=0).argmax(axis=-1) == test.labels
    shares = [np.mean(right[test.labels == label]) for label in range(3)]
    assert list(result["test_class_accuracy"]) == ["0", "1", "2"]
    assert list(result["test_class_accuracy"].values()) == pytest.approx(shares)
    assert result["test_balanced_accuracy"] == pytest.approx(np.mean(shares))
    assert result["test_majority_share"] == pytest.approx(8 / 17)
    assert (result["test_majority_class"], result["test_examples"]) == ("0", 17)


def test_balanced_validation_is_of_what_was_held_out(tiny, settings, tmp_path):
    from keras_logitkd.runs.job import Job

    directory = RunDirectory(tmp_path, "trial")
    workspace = Workspace(tiny, settings.recipe, tmp_path)
    metrics = Job(settings, workspace, directory).validate(balanced=True)
    # Each class has as many held-out examples: both accuracies are the same number.
    assert metrics["val_balanced_accuracy"] == pytest.approx(metrics["val_accuracy"])
    assert "val_balanced_accuracy" not in directory.read_metrics()[-1]
