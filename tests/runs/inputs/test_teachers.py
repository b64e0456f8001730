import dataclasses

import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.runs.inputs import models, teachers
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import RECIPES
from keras_logitkd.runs.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def workspace(tiny, tiny_recipe, tmp_path):
    return Workspace(tiny, tiny_recipe, tmp_path, seed=4)


def teachers_of(workspace, spec, epochs=1):
    named = workspace.teachers_named(spec, epochs)
    return workspace.teachers(Cell("wrn-10-1", named, "mse"))


def test_zoo_teacher_is_trained_once_whatever_the_student_is(workspace, tmp_path):
    (first,) = teachers_of(workspace, "wrn-10-1")
    weights = first.load().get_weights()
    file = next(tmp_path.glob("*/model.keras"))
    written = file.stat().st_mtime_ns
    recipe = workspace.recipe.replace(epochs=7, learning_rate=0.3)
    other = dataclasses.replace(workspace, recipe=recipe, seed=8, views=3)
    (second,) = teachers_of(other, "wrn-10-1")
    for one, other in zip(weights, second.load().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert second.identity == first.identity
    assert file.stat().st_mtime_ns == written
    assert second.result()["epochs"] == 1


def test_zoo_teacher_holds_out_what_the_student_holds_out(workspace, tmp_path):
    (teacher,) = teachers_of(workspace, "wrn-10-1")
    assert teacher.result() is None
    teacher.load()
    assert teacher.result()["train_examples"] == 48


def test_file_teacher_is_identified_by_its_content(workspace, tmp_path):
    model = zoo.build("wrn-10-1", (8, 8, 1), 3)
    model.save(tmp_path / "a.keras")
    (tmp_path / "b.keras").write_bytes((tmp_path / "a.keras").read_bytes())
    first, second = teachers_of(workspace, f"{tmp_path}/a.keras,{tmp_path}/b.keras")
    assert first.identity == second.identity
    assert first.identity.startswith("sha256:")
    assert first.result() is None
    pixels = np.zeros((1, 8, 8, 1), "float32")
    np.testing.assert_array_equal(first.load()(pixels), model(pixels))


def test_file_teacher_that_does_not_fit_is_refused(workspace, tmp_path):
    zoo.build("wrn-10-1", (8, 8, 1), 5).save(tmp_path / "five.keras")
    with pytest.raises(ValueError, match=r"Teacher .*five\.keras must return 3 logits"):
        teachers_of(workspace, f"{tmp_path}/five.keras")


def test_unknown_teacher_is_refused(workspace):
    with pytest.raises(ValueError, match="wrn-17-2"):
        teachers_of(workspace, "wrn-17-2")


@pytest.mark.parametrize("dataset", RECIPES)
def test_recipes_name_teachers_of_the_zoo(dataset):
    assert zoo.parse_name(RECIPES[dataset].teacher)


def test_user_model_with_a_rescaling_layer_is_a_teacher(workspace, tiny, tmp_path):
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    model.save(tmp_path / "own.keras")
    (teacher,) = teachers_of(workspace, f"{tmp_path}/own.keras")
    pixels = tiny.test.images.array[:2]
    np.testing.assert_array_equal(teacher.load()(pixels), model(pixels))


def test_a_file_whose_logits_are_stored_is_not_loaded(workspace, tmp_path, monkeypatch):
    file = str(tmp_path / "own.keras")
    models.build_network("wrn-10-1", workspace.dataset, workspace.recipe, seed=1).save(file)
    cache = LogitCache(str(tmp_path / "logits"))
    workspace = dataclasses.replace(workspace, cache=cache)
    workspace.store_logits(file)

    def load_model(path):
        raise AssertionError(f"{path} was loaded although all its logits are stored")

    monkeypatch.setattr(teachers, "load_model", load_model)
    workspace.distill("wrn-10-1", file)
    changed = dataclasses.replace(workspace, cache=LogitCache(str(tmp_path / "others")))
    with pytest.raises(AssertionError, match="although"):
        changed.distill("wrn-10-1", file)
