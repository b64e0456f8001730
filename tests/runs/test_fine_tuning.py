"""Runs of networks that come with weights, in two phases, and of networks of their own sizes."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_logitkd import model_specs
from keras_logitkd.data import pipeline
from keras_logitkd.networks import sizes
from keras_logitkd.runs import evaluation
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.workspace import Workspace, open_workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def workspace(tiny, tiny_recipe, tmp_path):
    return Workspace(tiny, tiny_recipe, tmp_path / "runs")


@pytest.fixture
def start(tiny, tiny_recipe, tmp_path):
    """The path of a network with weights, of which some are statistics."""
    network = models.build_network("wrn-10-1", tiny, tiny_recipe, seed=3)
    network.get_layer("final_bn").moving_mean.assign(np.linspace(-1, 1, 10))
    network.save(tmp_path / "start.keras")
    return str(tmp_path / "start.keras")


def named_weights(file):
    return {weight.path: weight.numpy() for weight in models.load_model(file).weights}


def changed(file, start):
    before, after = named_weights(start), named_weights(file)
    assert before.keys() == after.keys()
    return {path for path in before if not np.array_equal(before[path], after[path])}


def test_the_head_alone_trains_first(workspace, start):
    """With a rate that changes no number, what is left of a run is its first phase."""
    fields = {"head_epochs": 2, "head_learning_rate": 0.1, "learning_rate": 1e-30}
    recipe = workspace.recipe.replace(**fields, freeze_batch_norm=True)
    run = dataclasses.replace(workspace, recipe=recipe).train(start)
    assert changed(run.directory.model_file("train"), start) == {"logits/kernel", "logits/bias"}
    assert run.result["epochs"] == 2
    metrics = run.directory.metrics_file.read_text().splitlines()
    assert [line.split(",")[0] for line in metrics] == ["epoch", "1", "2", "3", "4"]


def test_statistics_stay_only_where_they_are_frozen(workspace, start):
    for frozen in (False, True):
        recipe = workspace.recipe.replace(epochs=1, freeze_batch_norm=frozen)
        run = dataclasses.replace(workspace, recipe=recipe).train(start)
        after = changed(run.directory.model_file("train"), start)
        assert {"stem_conv/kernel", "logits/kernel"} <= after
        assert any("final_bn" in path for path in after) is not frozen
        saved = models.load_model(run.directory.model_file("train"))
        assert models.count_parameters(saved) == run.result["parameters"]


class KilledError(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_run_goes_on_where_it_was_killed_in_either_phase(workspace, start, epoch):
    recipe = workspace.recipe.replace(head_epochs=2, head_learning_rate=0.1)
    workspace = dataclasses.replace(workspace, recipe=recipe)

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, number, logs=None):
            if number == epoch:
                raise KilledError

    whole = workspace.distill(start, start, loss="kl:2", alpha=0.7, name="whole")
    broken = dataclasses.replace(workspace, progress=lambda label, examples: Kill())
    with pytest.raises(KilledError):
        broken.distill(start, start, loss="kl:2", alpha=0.7, name="broken")
    resumed = dataclasses.replace(workspace, resume=True)
    resumed = resumed.distill(start, start, loss="kl:2", alpha=0.7, name="broken")
    files = [run.directory.metrics_file.read_text() for run in (whole, resumed)]
    assert files[0] == files[1]
    assert not changed(*(run.directory.model_file("distill") for run in (whole, resumed)))


def test_networks_with_weights_get_the_recipe_for_them(tiny_spec, start, tmp_path):
    workspace = open_workspace(tiny_spec, tmp_path / "runs", recipe_fields={"epochs": 3})
    plain, tuned = (
        workspace.job(workspace.distillation(model, start)).settings.recipe
        for model in ("wrn-10-1", start)
    )
    assert (plain.head_epochs, plain.learning_rate, plain.epochs) == (0, 0.1, 3)
    assert (tuned.head_epochs, tuned.learning_rate, tuned.epochs) == (5, 0.01, 3)
    (teacher,) = workspace.teachers_named(f"{start}?fresh")
    assert teacher.recipe.head_epochs == 0


def test_a_network_in_a_file_is_named_by_what_is_in_it(workspace, start, tmp_path):
    def settings(model):
        return workspace.job(workspace.distillation(model, start)).settings

    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "start.keras"
    copy.write_bytes((tmp_path / "start.keras").read_bytes())
    assert settings(start).default_name() == settings(str(copy)).default_name()
    other = models.load_model(copy)
    other.get_layer("logits").bias.assign([1.0, 2.0, 3.0])
    other.save(copy)
    assert settings(start).default_name() != settings(str(copy)).default_name()
    assert settings("wrn-10-1").model_fingerprint is None


def test_each_network_sees_the_views_at_its_own_size(workspace, tmp_path):
    cache = LogitCache(str(tmp_path / "logits"))
    recipe = workspace.recipe.replace(pad=0, resized_crop=12)
    workspace = dataclasses.replace(
        workspace, recipe=recipe, student_size=8, teacher_size=10, cache=cache
    )
    run = workspace.distill("wrn-10-1", "resnet-8-1", teacher_epochs=1)
    student = models.load_model(run.directory.model_file("distill"))
    teacher = models.load_model(run.teachers[0].file)
    assert (student.input_shape, teacher.input_shape) == ((None, 8, 8, 1), (None, 10, 10, 1))

    batches = pipeline.eval_batches(
        workspace.dataset.test, batch_size=24, augmentation=recipe.augmentation
    )
    found = {}
    for name, network in (("student", student), ("teacher", teacher)):
        logits, labels = evaluation.predict(sizes.on_images(network, (12, 12, 1)), batches)
        found[name] = evaluation.accuracy(logits, labels)
    assert run.result["test_accuracy"] == found["student"]
    assert run.result["teacher_test_accuracy"] == found["teacher"]
    config = json.loads((run.directory.path / "config.json").read_text())
    assert config["size"] == 8
    assert run.teachers[0].result()["test_accuracy"] > 0


def test_views_are_as_large_as_the_largest_network(tmp_path, photos):
    def side(**given):
        return open_workspace(photos, tmp_path / "runs", **given).recipe.resized_crop

    assert side() == 32
    assert side(student_size=16) == 32
    assert side(student_size=48, teacher_size=40) == 48
    assert side(student_size=16, teacher_size=24) == 24
    assert side(student_size=48, recipe_fields={"resized_crop": 20}) == 20


@pytest.fixture
def photos(tmp_path):
    """A folder of colour images of varying sizes around 40 pixels, two classes."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for label in ("cat", "dog"):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = generator.integers(0, 256, (40 + number, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return f"folder:{tmp_path / 'photos'}"


def test_the_specs_of_a_chain_may_have_colons(workspace, start):
    assert model_specs.parse(start).is_pretrained
    first = workspace.distillation(f"{start}?fresh", start)
    assert first.model == f"{start}?fresh"
    assert first.label == "start-fresh mse (from start) seed 0"
