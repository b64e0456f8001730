import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.training import teachers
from keras_logitkd.training.recipes import RECIPES
from keras_logitkd.training.settings import RunSettings


@pytest.fixture
def settings(tiny, tiny_recipe):
    return RunSettings(model="wrn-10-1", dataset=tiny.name, recipe=tiny_recipe, seed=4)


def test_zoo_teacher_is_trained_once_whatever_the_student_is(tiny, settings, tmp_path):
    (first,) = teachers.resolve("wrn-10-1", tiny, settings, tmp_path, epochs=1)
    weights = first.load().get_weights()
    file = next(tmp_path.glob("*/model.keras"))
    written = file.stat().st_mtime_ns
    student = RunSettings(
        model="wrn-16-1",
        dataset=tiny.name,
        recipe=settings.recipe.replace(epochs=7, learning_rate=0.3),
        seed=8,
    )
    (second,) = teachers.resolve("wrn-10-1", tiny, student, tmp_path, epochs=1)
    for one, other in zip(weights, second.load().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert second.identity == first.identity
    assert file.stat().st_mtime_ns == written
    assert second.result()["epochs"] == 1


def test_zoo_teacher_holds_out_what_the_student_holds_out(tiny, settings, tmp_path):
    (teacher,) = teachers.resolve("wrn-10-1", tiny, settings, tmp_path, epochs=1)
    assert teacher.result() is None
    teacher.load()
    assert teacher.result()["train_examples"] == 48


def test_file_teacher_is_identified_by_its_content(tiny, settings, tmp_path):
    model = zoo.build("wrn-10-1", (8, 8, 1), 3)
    model.save(tmp_path / "a.keras")
    (tmp_path / "b.keras").write_bytes((tmp_path / "a.keras").read_bytes())
    first, second = teachers.resolve(
        f"{tmp_path}/a.keras,{tmp_path}/b.keras", tiny, settings, tmp_path
    )
    assert first.identity == second.identity
    assert first.identity.startswith("sha256:")
    assert first.result() is None
    pixels = np.zeros((1, 8, 8, 1), "float32")
    np.testing.assert_array_equal(first.load()(pixels), model(pixels))


def test_file_teacher_that_does_not_fit_is_refused(tiny, settings, tmp_path):
    zoo.build("wrn-10-1", (8, 8, 1), 5).save(tmp_path / "five.keras")
    with pytest.raises(ValueError, match=r"Teacher .*five\.keras must return 3 logits"):
        teachers.resolve(f"{tmp_path}/five.keras", tiny, settings, tmp_path)


def test_unknown_teacher_is_refused(tiny, settings, tmp_path):
    with pytest.raises(ValueError, match="wrn-17-2"):
        teachers.resolve("wrn-17-2", tiny, settings, tmp_path)


@pytest.mark.parametrize("dataset", RECIPES)
def test_recipes_name_teachers_of_the_zoo(dataset):
    assert zoo.parse_name(RECIPES[dataset].teacher)


def test_user_model_with_a_rescaling_layer_is_a_teacher(tiny, settings, tmp_path):
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    model.save(tmp_path / "own.keras")
    (teacher,) = teachers.resolve(f"{tmp_path}/own.keras", tiny, settings, tmp_path)
    pixels = tiny.test.images.array[:2]
    np.testing.assert_array_equal(teacher.load()(pixels), model(pixels))
