"""Runs on image files: what is found before the first epoch, and their own validation part."""

import json
import logging

import messy_folder
import numpy as np
import pytest

from keras_logitkd.runs.inputs.models import normalization_of
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.workspace import Workspace, open_workspace


@pytest.fixture
def messy(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos", messy_folder.write(tmp_path / "photos", more=8)


def test_recipes_take_the_validation_that_is_given():
    labels, given = np.arange(40) % 4, np.arange(30, 40)
    train, validation = Recipe(epochs=1, validation=0.5).split(labels, given)
    assert train.tolist() == list(range(30))
    assert validation.tolist() == given.tolist()
    train, validation = Recipe(epochs=1, examples=8).split(labels, given)
    assert np.bincount(labels[train]).tolist() == [2, 2, 2, 2]
    assert train.max() < 30
    assert validation.tolist() == given.tolist()


def test_a_run_validates_on_the_part_that_is_for_it(messy, caplog):
    _, expected = messy
    workspace = open_workspace("folder:photos", "runs", recipe_fields={"validation": 0.5})
    assert "has a validation part of 2 images of its own: validation=0.5 is not" in caplog.text
    assert workspace.recipe == open_workspace("folder:photos", "runs").recipe
    data = RunData(workspace.settings(Cell("wrn-10-1")), workspace.dataset)
    names = workspace.dataset.train.images.files.name_of
    assert [names(i) for i in data.validation_indices] == ["Valid/äpfel/1.bmp", "Valid/猫/1.bmp"]
    trained = [pixels for name, pixels in expected.items() if name.startswith("Train")]
    assert sorted(map(names, data.train_indices)) == sorted(n for n in expected if "Train" in n)
    mean, std = normalization_of(workspace.recipe.replace(), workspace.dataset)
    if workspace.recipe.mean is None:
        np.testing.assert_allclose(mean, np.mean(trained, axis=(0, 1, 2)))
        np.testing.assert_allclose(std, np.std(trained, axis=(0, 1, 2)))


def test_a_damaged_test_image_is_found_before_anything_is_trained(messy):
    root, _ = messy
    messy_folder.damage(root)
    with pytest.raises(ValueError, match="cannot read 3 of 36 images: testing/äpfel/cut.jpg"):
        open_workspace("folder:photos", "runs")
    workspace = open_workspace("folder:photos?skip-unreadable", "runs")
    config = workspace.to_config()
    assert config["dataset"] == [f"folder:{root}?skip-unreadable"]
    assert Workspace.from_config(config).dataset.fingerprint() == workspace.dataset.fingerprint()


@pytest.mark.usefixtures("tiny_networks")
def test_a_messy_folder_is_distilled(messy, run, caplog):
    root, _ = messy
    caplog.set_level(logging.INFO, "keras_logitkd")
    command = ["distill", "--dataset", "folder:photos", "--student", "wrn-10-1"]
    command += ["--teacher", "wrn-10-2", "--teacher-epochs", 1, "--epochs", 1, "--name", "run"]
    messy_folder.damage(root)
    code, _, told = run(*command)
    assert (code, told.count("\n")) == (2, 1)
    assert "--skip-unreadable" in told
    assert not (root.parent / "runs").exists()
    assert run(*command, "--skip-unreadable")[0] == 0
    assert any("train 29, validation 2, test 2 images" in text for text in caplog.messages)
    config = json.loads((root.parent / "runs" / "run" / "config.json").read_text())
    assert config["dataset"] == f"folder:{root}?skip-unreadable"
    code, output, _ = run("evaluate", "run", "--json")
    assert code == 0
    assert json.loads(output)["accuracy"] in (0.0, 0.5, 1.0)
