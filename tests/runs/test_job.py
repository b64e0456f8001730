import csv
import dataclasses
import math

import fit
import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.data.dataset import split_validation
from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.teachers import Teacher
from keras_logitkd.runs.spec.settings import RunSettings

pytestmark = pytest.mark.usefixtures("tiny_networks")


class KilledError(Exception):
    pass


class KillAfter(keras.callbacks.Callback):
    """Dies after a step of the epoch after the given number of finished ones."""

    def __init__(self, epochs, steps=1):
        super().__init__()
        self.epochs, self.steps = epochs, steps

    def on_train_batch_end(self, batch, logs=None):
        if (self._epoch, batch + 1) == (self.epochs, self.steps):
            raise KilledError

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch


class Steps(keras.callbacks.Callback):
    """What a callback sees of a training."""

    def __init__(self):
        super().__init__()
        self.first, self.begun, self.ended = None, 0, 0

    def on_train_begin(self, logs=None):
        self.begun += 1

    def on_train_end(self, logs=None):
        self.ended += 1

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.first = self.first or (self._epoch, batch)


@pytest.fixture
def settings(tiny, tiny_recipe):
    return RunSettings(model="wrn-10-1", dataset=tiny.name, recipe=tiny_recipe)


@pytest.fixture
def distillation(settings):
    return dataclasses.replace(settings, teachers=("t",), loss="kl:2@0,mse@1", alpha=0.7)


@pytest.fixture
def teacher(tiny, tiny_recipe):
    return models.build_network("wrn-10-1", tiny, tiny_recipe, seed=9)


def as_teacher(load):
    return Teacher("t", "t", file=None, prepare=load, load=load, result=lambda: None)


def read_metrics(directory):
    with directory.metrics_file.open(newline="") as file:
        return list(csv.DictReader(file))


def weights_in(file):
    return models.load_model(file).get_weights()


def test_run_on_hard_labels_reports_what_its_model_does(tiny, settings, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    result = fit.run(settings, tiny, directory)
    model = models.load_model(directory.path / "model.keras")
    logits = model.predict(tiny.test.images.array, verbose=0)
    accuracy = np.mean(logits.argmax(axis=-1) == tiny.test.labels)
    assert result["test_accuracy"] == pytest.approx(accuracy)
    assert result == directory.read_result()
    rows = read_metrics(directory)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert result["train_loss"] == pytest.approx(float(rows[-1]["loss"]))
    assert result["parameters"] == models.count_parameters(model)
    assert result["train_examples"] == 48
    assert result["best_by_validation"]["epoch"] in (1, 2)


def test_distillation_reports_agreement_with_the_teacher(tiny, distillation, teacher, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    before = [weight.copy() for weight in teacher.get_weights()]
    result = fit.run(distillation, tiny, directory, [as_teacher(lambda: teacher)])
    student = models.load_model(directory.path / "student.keras")
    pixels = tiny.test.images.array
    ours = student.predict(pixels, verbose=0).argmax(axis=-1)
    theirs = teacher.predict(pixels, verbose=0).argmax(axis=-1)
    assert result["test_agreement"] == pytest.approx(np.mean(ours == theirs))
    assert result["teacher_test_accuracy"] == pytest.approx(np.mean(theirs == tiny.test.labels))
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    held_out = {name for name in read_metrics(directory)[0] if name.startswith("val_")}
    assert {"val_agreement", "val_distillation_loss", "val_hard_loss", "val_loss"} <= held_out


def test_l2_is_in_the_logged_loss(tiny, settings, tmp_path):
    frozen = settings.recipe.replace(epochs=1, learning_rate=1e-12, weight_decay=0.02)
    directory = RunDirectory(tmp_path, "r")
    fit.run(dataclasses.replace(settings, recipe=frozen), tiny, directory)
    row = read_metrics(directory)[0]
    kernels = [
        layer.kernel.numpy()
        for layer in models.build_network("wrn-10-1", tiny, frozen, 0).layers
        if hasattr(layer, "kernel")
    ]
    expected = 0.01 * sum(np.square(kernel, dtype="float64").sum() for kernel in kernels)
    assert float(row["loss"]) - float(row["hard_loss"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("epochs_before", "steps", "noise", "class_weight"),
    [
        (0, 1, None, None),
        (1, 2, None, '{"0": 2.0, "1": 0.5}'),
        pytest.param(1, 1, LabelNoise("symmetric", 0.4), "balanced", marks=pytest.mark.slow),
    ],
)
def test_resumed_run_equals_the_uninterrupted_one(
    tiny, distillation, teacher, tmp_path, epochs_before, steps, noise, class_weight
):
    recipe = distillation.recipe.replace(class_weight=class_weight)
    distillation = dataclasses.replace(distillation, recipe=recipe, noise=noise)
    whole, broken = RunDirectory(tmp_path, "whole"), RunDirectory(tmp_path, "broken")
    expected = fit.run(distillation, tiny, whole, [as_teacher(lambda: teacher)])
    with pytest.raises(KilledError):
        fit.run(
            distillation,
            tiny,
            broken,
            [as_teacher(lambda: teacher)],
            callbacks=[KillAfter(epochs_before, steps)],
            checkpoint_steps=1,
        )
    assert broken.read_result() is None
    seen = Steps()
    resumed = fit.run(
        distillation, tiny, broken, [as_teacher(lambda: teacher)], resume=True, callbacks=[seen]
    )
    assert seen.first == (epochs_before, steps)
    assert seen.begun == seen.ended == 1
    assert resumed["test_loss"] == expected["test_loss"]
    assert resumed.get("memorisation") == expected.get("memorisation")
    assert broken.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    pairs = zip(
        weights_in(whole.path / "student.keras"),
        weights_in(broken.path / "student.keras"),
        strict=True,
    )
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
    files = {file.name for file in broken.path.iterdir() if "tfevents" not in file.name}
    assert files == {
        "config.json",
        "metrics.csv",
        "model.json",
        "result.json",
        "student.keras",
        *(["labels.npz"] if noise else []),
    }


def test_run_killed_while_saving_resumes_without_training(tiny, settings, tmp_path, monkeypatch):
    def die(network):
        raise KilledError

    directory = RunDirectory(tmp_path, "r")
    with monkeypatch.context() as patch:
        patch.setattr("keras_logitkd.runs.job.to_stock", die)
        with pytest.raises(KilledError):
            fit.run(settings, tiny, directory)
    written = directory.metrics_file.read_bytes()
    resumed = fit.run(settings, tiny, directory, resume=True)
    assert resumed["test_loss"] == fit.run(settings, tiny, RunDirectory(tmp_path, "w"))["test_loss"]
    assert directory.metrics_file.read_bytes() == written


def test_finished_run_is_reported_without_training(tiny, settings, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    directory.start(settings.to_config())
    directory.finish({"test_accuracy": 0.25})
    directory.model_file("train").write_text("")

    def load():
        raise AssertionError("the teacher must not be loaded")

    assert fit.run(settings, tiny, directory, [as_teacher(load)]) == {"test_accuracy": 0.25}


def test_other_settings_are_refused_and_nothing_is_lost(tiny, settings, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    directory.start(settings.to_config())
    other = dataclasses.replace(settings, seed=1)
    with pytest.raises(ValueError, match=r"other settings \(seed\)"):
        fit.run(other, tiny, directory)
    assert directory.read_config() == settings.to_config()


def test_loss_that_is_not_finite_stops_the_run(tiny, settings, tmp_path):
    recipe = settings.recipe.replace(learning_rate=1e20, epochs=3)
    directory = RunDirectory(tmp_path, "r")
    with pytest.raises(
        FloatingPointError, match=r"became (nan|inf) in step \d of epoch \d\. Lower"
    ):
        fit.run(dataclasses.replace(settings, recipe=recipe), tiny, directory)
    assert directory.read_result() is None


def test_validation_is_what_the_run_held_out(tiny, settings, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    fit.run(settings, tiny, directory)
    _, held_out = split_validation(tiny.train.labels, settings.recipe.validation)
    model = models.load_model(directory.path / "model.keras")
    logits = model.predict(tiny.train.images.array[held_out], verbose=0)
    accuracy = np.mean(logits.argmax(axis=-1) == tiny.train.labels[held_out])
    assert float(read_metrics(directory)[-1]["val_accuracy"]) == pytest.approx(accuracy)


def test_no_validation_reports_no_best(tiny, settings, tmp_path):
    recipe = settings.recipe.replace(validation=0.0, epochs=1)
    result = fit.run(
        dataclasses.replace(settings, recipe=recipe), tiny, RunDirectory(tmp_path, "r")
    )
    assert "best_by_validation" not in result
    assert result["train_examples"] == 60
    assert math.isfinite(result["test_loss"])


def test_every_recipe_builds_its_network(tiny):
    # The fields of each row must fit the network builder; shapes as the datasets have them.
    shapes = {"digits": (8, 8, 1), "mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1)}
    for name, recipe in models_of_recipes().items():
        shape = recipe.augmentation.output_shape(shapes.get(name, (32, 32, 3)))
        data = dataclasses.replace(tiny, image_shape=shapes.get(name, (32, 32, 3)))
        if recipe.mean is None:
            recipe = dataclasses.replace(recipe, mean=(0.5,) * shape[-1], std=(0.5,) * shape[-1])
        network = models.build_network("wrn-10-1", data, recipe, seed=0)
        assert network.input_shape == (None, *shape)
        assert zoo.parse_name(recipe.teacher).depth > 0


def models_of_recipes():
    from keras_logitkd.runs.spec.recipes import RECIPES

    return RECIPES


def test_lost_model_is_trained_again(tiny, settings, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    first = fit.run(settings, tiny, directory)
    directory.model_file("train").unlink()
    assert fit.run(settings, tiny, directory)["test_loss"] == first["test_loss"]
    assert directory.model_file("train").is_file()


def test_a_part_of_the_training_examples(tiny, settings, tmp_path):
    recipe = settings.recipe.replace(examples=21, epochs=1)
    directory = RunDirectory(tmp_path, "r")
    result = fit.run(dataclasses.replace(settings, recipe=recipe), tiny, directory)
    assert result["train_examples"] == 21
    assert read_metrics(directory)[0]["val_accuracy"] != ""


def test_more_examples_than_there_are_is_refused_before_anything_is_written(
    tiny, settings, tmp_path
):
    recipe = settings.recipe.replace(examples=49)
    with pytest.raises(ValueError, match=r"`examples` must lie in 3\.\.48.* examples=49"):
        fit.run(dataclasses.replace(settings, recipe=recipe), tiny, RunDirectory(tmp_path, "r"))
    assert not (tmp_path / "r").exists()
