"""Runs that read their teachers' logits end with the bits of the run that computed them."""

import dataclasses
import functools

import fit
import keras
import numpy as np
import pytest

from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.teachers import Teacher
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.storage.logit_store import LogitStore

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def settings(tiny, tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, pad=1)
    return RunSettings(
        model="wrn-10-1", dataset=tiny.name, recipe=recipe, teachers=("t",), loss="mse", alpha=0.9
    )


def a_teacher(tiny, settings, file, seed=9):
    models.build_network("wrn-10-1", tiny, settings.recipe, seed=seed).save(file)
    load = functools.partial(models.load_model, file)
    return Teacher("own", f"t{seed}", file, lambda: None, load, lambda: None)


@pytest.fixture
def teacher(tiny, settings, tmp_path):
    return a_teacher(tiny, settings, tmp_path / "teacher.keras")


@pytest.fixture
def cache(tmp_path):
    return LogitCache(str(tmp_path / "logits"))


def refuses_to_load(teacher):
    def load():
        raise AssertionError("the teacher was loaded although every logit is stored")

    return dataclasses.replace(teacher, load=load)


def weights_of(directory):
    return models.load_model(directory.model_file("distill")).get_weights()


def assert_same_run(first, second):
    assert first.metrics_file.read_bytes() == second.metrics_file.read_bytes()
    for one, other in zip(weights_of(first), weights_of(second), strict=True):
        np.testing.assert_array_equal(one, other)


def the_store_of_views(cache):
    (store,) = [store for _, store in cache.stores() if "view" in store.key.preprocessing]
    return store


def test_a_run_that_reads_ends_with_the_bits_of_the_run_that_filled(
    tiny, settings, teacher, cache, tmp_path
):
    filled, read = RunDirectory(tmp_path, "filled"), RunDirectory(tmp_path, "read")
    result = fit.run(settings, tiny, filled, [teacher], cache)
    again = fit.run(settings, tiny, read, [refuses_to_load(teacher)], cache)
    assert_same_run(filled, read)
    assert result["test_agreement"] == again["test_agreement"]
    assert result["teacher_test_accuracy"] == again["teacher_test_accuracy"]


@pytest.mark.slow
def test_another_seed_and_loss_share_the_store(tiny, settings, teacher, cache, tmp_path):
    fit.run(settings, tiny, RunDirectory(tmp_path, "first"), [teacher], cache)
    other = dataclasses.replace(settings, seed=5, loss="kl:0.5")
    fit.run(other, tiny, RunDirectory(tmp_path, "second"), [refuses_to_load(teacher)], cache)


def test_stored_logits_are_the_teachers_to_1e_5(tiny, settings, teacher, cache, tmp_path):
    """Whatever batches they were computed in: in order here, in the run's order online."""
    online, stored = RunDirectory(tmp_path, "online"), RunDirectory(tmp_path, "stored")
    fit.run(settings, tiny, online, [teacher])
    fit.run(settings, tiny, stored, [teacher], cache)
    first = dict.fromkeys(["distillation_loss", "loss", "agreement"])
    for directory in (online, stored):
        header, row, *_ = directory.metrics_file.read_text().splitlines()
        values = dict(zip(header.split(","), map(float, row.split(",")), strict=True))
        for name, value in first.items():
            assert value is None or values[name] == pytest.approx(value, rel=1e-4)
            first[name] = values[name]
    model, store = teacher.load(), the_store_of_views(cache)
    from keras_logitkd.data import pipeline
    from keras_logitkd.data.dataset import split_validation

    indices, _ = split_validation(tiny.train.labels, settings.recipe.validation)
    rows = {index: row for row, index in enumerate(indices)}
    batches = pipeline.train_batches(
        tiny.train,
        indices,
        batch_size=5,
        epochs=2,
        seed=3,
        augmentation=settings.recipe.augmentation,
    )
    for record in batches:
        logits = model(record["image"], training=False)
        for index, view, expected in zip(record["index"], record["view"], logits, strict=True):
            found = store.read(int(view))[rows[int(index)]]
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("views", [None, 1])
def test_as_many_views_are_stored_as_are_used(tiny, settings, teacher, cache, tmp_path, views):
    settings = dataclasses.replace(settings, views=views)
    fit.run(settings, tiny, RunDirectory(tmp_path, "r"), [teacher], cache)
    assert the_store_of_views(cache).views == list(range(views or settings.recipe.epochs))


def test_an_ensemble_stores_its_average(tiny, settings, teacher, cache, tmp_path):
    second = a_teacher(tiny, settings, tmp_path / "second.keras", seed=4)
    fit.run(settings, tiny, RunDirectory(tmp_path, "r"), [teacher, second], cache)
    (test,) = [store for _, store in cache.stores() if store.about["split"] == "test"]
    images = np.stack(list(tiny.test.images.read(range(len(tiny.test)))))
    each = [keras.ops.convert_to_numpy(one.load()(images)) for one in (teacher, second)]
    np.testing.assert_allclose(test.read(0), np.mean(each, axis=0), rtol=1e-5, atol=1e-5)


def test_another_teacher_has_another_store(tiny, settings, teacher, cache, tmp_path):
    fit.run(settings, tiny, RunDirectory(tmp_path, "r"), [teacher], cache)
    other = a_teacher(tiny, settings, tmp_path / "other.keras", seed=4)
    before = len(cache.stores())
    fit.run(settings, tiny, RunDirectory(tmp_path, "s"), [other], cache)
    assert len(cache.stores()) == 2 * before


@pytest.mark.parametrize("damaged", ["view-00001.npy", "manifest.json"])
def test_damage_is_repaired_by_computing_again(
    tiny, settings, teacher, cache, tmp_path, caplog, damaged
):
    first, second = RunDirectory(tmp_path, "first"), RunDirectory(tmp_path, "second")
    fit.run(settings, tiny, first, [teacher], cache)
    file = the_store_of_views(cache).path / damaged
    file.write_bytes(file.read_bytes()[:-9] + b"damaged!!")
    fit.run(settings, tiny, second, [teacher], cache)
    assert "is damaged" in caplog.text
    assert_same_run(first, second)
    LogitStore(file.parent).read(1)


def test_a_killed_run_leaves_its_finished_views(tiny, settings, teacher, cache, tmp_path):
    class Killed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    whole, broken = RunDirectory(tmp_path, "whole"), RunDirectory(tmp_path, "broken")
    with pytest.raises(KeyboardInterrupt):
        fit.run(settings, tiny, broken, [teacher], cache, callbacks=[Killed()])
    assert 0 in the_store_of_views(cache).views
    fit.run(settings, tiny, broken, [teacher], cache, resume=True)
    fit.run(settings, tiny, whole, [teacher], cache)
    assert_same_run(whole, broken)


def test_a_limit_refuses_before_anything_is_computed(tiny, settings, teacher, tmp_path):
    cache = LogitCache(str(tmp_path / "logits"), limit=100)
    with pytest.raises(ValueError, match=r"may take 1e-07 GB.*--cache-limit"):
        fit.run(settings, tiny, RunDirectory(tmp_path, "r"), [refuses_to_load(teacher)], cache)
    assert not (tmp_path / "logits").exists()


@pytest.mark.parametrize(
    ("loss", "factor", "is_said"), [("mse", 50, True), ("mse", 2, False), ("kl:4", 50, False)]
)
def test_outliers_that_mse_follows_are_said(
    tiny, settings, cache, tmp_path, caplog, loss, factor, is_said
):
    """A network whose logits of the brightest class are `factor` times as long."""
    inputs = keras.Input((8, 8, 1))
    bright = keras.layers.GlobalAveragePooling2D()(inputs)
    threshold = keras.layers.Dense(3, kernel_initializer="zeros", bias_initializer="ones")(bright)
    jump = keras.layers.ReLU(max_value=factor - 1)(keras.layers.Rescaling(1000.0, -173_000)(bright))
    outputs = keras.layers.Add()([threshold, keras.layers.Concatenate()([jump, jump, jump])])
    file = tmp_path / "long.keras"
    keras.Model(inputs, outputs).save(file)
    load = functools.partial(models.load_model, file)
    teacher = Teacher("long", "long", file, lambda: None, load, lambda: None)
    settings = dataclasses.replace(
        settings, loss=loss, recipe=settings.recipe.replace(epochs=1, learning_rate=1e-9, pad=0)
    )
    fit.run(settings, tiny, RunDirectory(tmp_path, "r"), [teacher], cache)
    assert ("mse follows such outliers" in caplog.text) is is_said
    if is_said:
        assert "one 50 times" in caplog.text
