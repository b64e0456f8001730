"""Runs on wrong labels: which labels they learn, and what is measured on the true ones."""

import dataclasses

import fit
import numpy as np
import pytest

from keras_logitkd.data.dataset import split_validation
from keras_logitkd.data.noise import LabelNoise, apply_noise
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.inputs import models, teachers
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.noisy_labels import NoisyLabels
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.runs.workspace import Workspace
from keras_logitkd.storage.errors import DataError

pytestmark = pytest.mark.usefixtures("tiny_networks")

NOISE = LabelNoise("symmetric", 0.5, seed=3)


@pytest.fixture
def settings(tiny, tiny_recipe):
    return RunSettings(model="wrn-10-1", dataset=tiny.name, recipe=tiny_recipe, noise=NOISE)


def predicted(model, images):
    return model.predict(images, verbose=0).argmax(axis=-1)


def test_numbers_of_a_run_are_those_of_its_model_on_the_true_labels(tiny, settings, tmp_path):
    directory = RunDirectory(tmp_path, "r")
    result = fit.run(settings, tiny, directory)
    train, held_out = split_validation(tiny.train.labels, settings.recipe.validation)
    clean = tiny.train.labels[train]
    noisy, flipped = apply_noise(NOISE, clean, 3)
    with np.load(directory.noise_file) as saved:
        assert set(saved.files) == {"indices", "clean", "noisy", "flipped"}
        np.testing.assert_array_equal(saved["indices"], train)
        np.testing.assert_array_equal(saved["clean"], clean)
        np.testing.assert_array_equal(saved["noisy"], noisy)
        np.testing.assert_array_equal(saved["flipped"], flipped)

    model = models.load_model(directory.path / "model.keras")
    images = tiny.train.images.array
    said = predicted(model, images[train])
    assert result["label_noise"] == 24 / 48 == flipped.mean()
    assert result["train_clean_accuracy"] == pytest.approx(np.mean(said == clean))
    assert result["memorisation"] == pytest.approx(np.mean((said == noisy)[flipped]))
    assert result["flipped_clean_accuracy"] == pytest.approx(np.mean((said == clean)[flipped]))
    on_test = predicted(model, tiny.test.images.array) == tiny.test.labels
    assert result["test_accuracy"] == pytest.approx(np.mean(on_test))
    on_held_out = predicted(model, images[held_out]) == tiny.train.labels[held_out]
    assert result["validation_accuracy"] == pytest.approx(np.mean(on_held_out))


def test_run_learns_what_a_run_on_a_wrongly_labelled_dataset_learns(tiny, settings, tmp_path):
    recipe = settings.recipe.replace(epochs=1, validation=0)
    noise = LabelNoise("pair", 0.4)
    settings = dataclasses.replace(settings, recipe=recipe, noise=noise)
    fit.run(settings, tiny, RunDirectory(tmp_path, "noise"))
    labels, _ = apply_noise(noise, tiny.train.labels, 3)
    wrong = dataclasses.replace(tiny, train=dataclasses.replace(tiny.train, labels=labels))
    fit.run(dataclasses.replace(settings, noise=None), wrong, RunDirectory(tmp_path, "dataset"))
    first, second = (tmp_path / name / "metrics.csv" for name in ("noise", "dataset"))
    assert first.read_bytes() == second.read_bytes()


def test_examples_outside_the_training_part_keep_their_labels(tiny):
    train, held_out = split_validation(tiny.train.labels, 0.2)
    before = tiny.train.labels.copy()
    drawn = NoisyLabels.draw(NOISE, tiny.train.labels, train, 3)
    changed = drawn.on(tiny.train)
    np.testing.assert_array_equal(changed.labels[train], drawn.noisy)
    np.testing.assert_array_equal(changed.labels[held_out], before[held_out])
    np.testing.assert_array_equal(tiny.train.labels, before)
    assert changed.images is tiny.train.images
    assert changed.fingerprint() != tiny.train.fingerprint()


def test_measures_by_hand():
    drawn = NoisyLabels(
        indices=np.arange(4),
        clean=np.array([0, 1, 2, 0]),
        noisy=np.array([0, 2, 0, 1]),
        flipped=np.array([False, True, True, True]),
    )
    said = np.eye(3)[[0, 2, 2, 2]]  # right; the wrong label; the true one; neither
    assert drawn.measure(said) == {
        "label_noise": 0.75,
        "train_clean_accuracy": 0.5,
        "flipped_clean_accuracy": pytest.approx(1 / 3),
        "memorisation": pytest.approx(1 / 3),
    }


def test_nothing_flipped_has_no_share_of_the_flipped():
    drawn = NoisyLabels.draw(LabelNoise("pair", 0), np.array([0, 1]), np.arange(2), 2)
    measured = drawn.measure(np.eye(2))
    assert measured == {
        "label_noise": 0.0,
        "train_clean_accuracy": 1.0,
        "flipped_clean_accuracy": None,
        "memorisation": None,
    }


def test_matrix_of_other_classes_is_refused_before_anything_is_written(tiny, settings, tmp_path):
    noise = LabelNoise("matrix", matrix=((0.5, 0.5), (0, 1)))
    directory = RunDirectory(tmp_path, "r")
    with pytest.raises(DataError, match="each of the 3 classes. Received: 2 rows"):
        fit.run(dataclasses.replace(settings, noise=noise), tiny, directory)
    assert not directory.path.exists()


def test_clean_and_noisy_students_share_the_logits_of_a_file(
    tiny, tiny_recipe, tmp_path, monkeypatch
):
    file = str(tmp_path / "own.keras")
    models.build_network("wrn-10-1", tiny, tiny_recipe, seed=1).save(file)
    cache = LogitCache(str(tmp_path / "logits"))
    workspace = Workspace(tiny, tiny_recipe, str(tmp_path / "runs"), cache=cache)
    clean = Cell("wrn-10-1", (file,), "mse")
    first = workspace.run(clean)
    stores = {path: store.views for path, store in cache.stores()}

    def load_model(path):
        raise AssertionError(f"{path} was loaded although all its logits are stored")

    monkeypatch.setattr(teachers, "load_model", load_model)
    second = workspace.run(dataclasses.replace(clean, noise=NOISE))
    assert {path: store.views for path, store in cache.stores()} == stores
    assert second.directory.name != first.directory.name
    # Wrong labels have no part in a student that only matches logits.
    assert second.result["test_loss"] == first.result["test_loss"]
    assert second.result["teacher_test_accuracy"] == first.result["teacher_test_accuracy"]
