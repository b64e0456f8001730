"""Pictures on disk are prepared as the evaluation of a training prepares them."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from keras_logitkd.data import pipeline
from keras_logitkd.networks import sizes
from keras_logitkd.runs import evaluation, prediction
from keras_logitkd.runs.directory import description as descriptions
from keras_logitkd.runs.inputs.models import load_model
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.workspace import open_workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")
FIELDS = {"epochs": 1, "batch_size": 8, "learning_rate": 0.05, "validation": 0.0}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of pictures of several sizes, wide and high, in two classes."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 5)):
        for kind, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                size = (30 + 7 * number, 61 - 5 * number, 3)
                pixels = rng.integers(100 * kind, 156 + 100 * kind, size, dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    """The run of a network on the photos, and its workspace."""
    import tiny_zoo

    place = tmp_path_factory.mktemp("runs")
    fields = FIELDS | {"resized_crop": 16}
    with tiny_zoo.in_place():
        workspace = open_workspace(f"folder:{photos}", place, recipe_fields=fields)
        return workspace, workspace.train("wrn-10-1", name="photos")


def test_a_run_describes_its_network(finished, photos):
    workspace, run = finished
    found = descriptions.read_description(run.directory.path)
    assert found.class_names == ("cat", "dog")
    assert (found.input_shape, found.colours) == ((16, 16, 3), "RGB")
    assert (found.pixel_range, found.dtype) == ((0, 255), "uint8")
    preparation = found.preparation
    assert (preparation.short_side, preparation.crop, preparation.size) == (18, (16, 16), (16, 16))
    assert (found.file, found.output) == ("model.keras", "softmax logits")
    assert found.made_by.run == "photos"
    assert workspace.job(Cell("wrn-10-1")).settings.digest() == found.made_by.settings
    assert found.made_by.versions == run.result["versions"]


def test_predictions_are_those_of_the_evaluation_to_the_bit(finished, photos):
    workspace, run = finished
    network, description = prediction.open_model("photos", workspace.runs_dir)
    files = prediction.pictures_in([photos / "test"])
    assert [file.parent.name for file in files] == ["cat"] * 5 + ["dog"] * 5
    said = [said for _, said in prediction.predict(network, description, files)]
    augmentation = workspace.recipe.augmentation
    test = workspace.dataset.test
    batches = pipeline.eval_batches(test, batch_size=256, augmentation=augmentation)
    (record,) = batches
    for number, file in enumerate(files):
        pixels = prediction.prepare(np.asarray(Image.open(file)), description)
        np.testing.assert_array_equal(pixels, record["image"][number])
    logits, labels = evaluation.predict(load_model(run.directory.path / "model.keras"), batches)
    np.testing.assert_allclose(said, evaluation.softmax(logits), rtol=1e-6)
    accuracy = np.mean(np.argmax(said, axis=-1) == labels)
    assert accuracy == pytest.approx(run.result["test_accuracy"])


def test_a_picture_of_the_size_is_taken_as_it_is_and_others_cover_it(finished):
    description = descriptions.read_description(finished[1].directory.path)
    fixed = descriptions.Preparation(None, (4, 6), (4, 6))
    description = dataclasses.replace(description, input_shape=(4, 6, 3), preparation=fixed)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(prediction.prepare(pixels, description), pixels)
    # Twice as large, and with margins of four rows that a centred crop leaves out.
    large = np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1)
    plain = prediction.prepare(large, description)
    margins = np.concatenate([0 * large[:4], large, 0 * large[:4]])
    np.testing.assert_allclose(plain, prediction.prepare(margins, description), atol=60)
    assert prediction.prepare(margins, description).shape == (4, 6, 3)
    assert prediction.prepare(pixels[:3, :5], description).shape == (4, 6, 3)


def test_pixels_are_scaled_to_the_range_of_the_data(finished):
    description = descriptions.read_description(finished[1].directory.path)
    description = dataclasses.replace(description, pixel_range=(0, 16))
    pixels = np.full((18, 18, 3), 255, np.uint8)
    np.testing.assert_array_equal(prediction.prepare(pixels, description), np.full((16, 16, 3), 16))


def test_a_network_of_another_size_gets_the_views_in_its_own(finished, photos):
    workspace = dataclasses.replace(finished[0], student_size=8)
    run = workspace.train("wrn-10-1", name="small")
    network, found = prediction.open_model("small", workspace.runs_dir)
    assert (found.input_shape, found.preparation.size) == ((8, 8, 3), (8, 8))
    assert (found.preparation.short_side, found.preparation.crop) == (18, (16, 16))
    files = prediction.pictures_in([photos / "test"])
    said = np.stack([said for _, said in prediction.predict(network, found, files)])
    labels = workspace.dataset.test.labels
    assert np.mean(said.argmax(-1) == labels) == pytest.approx(run.result["test_accuracy"])
    loss = -np.mean(np.log(said[np.arange(len(labels)), labels]))
    assert loss == pytest.approx(run.result["test_loss"], rel=1e-5)


def test_grey_pictures_are_repeated_for_a_network_of_colours(finished, photos):
    network = load_model(finished[1].directory.path / "model.keras")
    description = descriptions.read_description(finished[1].directory.path)
    grey = dataclasses.replace(description, colours="grey")
    file = photos / "test" / "cat" / "0.png"
    wrapped = sizes.on_images(network, (16, 16, 1))
    ((_, said),) = prediction.predict(wrapped, grey, [file])
    pixels = prediction.prepare(np.asarray(Image.open(file).convert("L"))[..., None], grey)
    logits = network.predict(np.repeat(pixels, 3, axis=-1)[None], verbose=0)
    np.testing.assert_allclose(said, evaluation.softmax(logits)[0], rtol=1e-5)


def test_a_run_without_a_description_is_described_by_its_data(finished, photos, tmp_path):
    run = finished[1].directory
    shutil.copytree(run.path, tmp_path / "old")
    place = tmp_path / "old" / "model.json"
    written = json.loads(place.read_text())
    place.unlink()
    for named in ("old", tmp_path / "old" / "model.keras"):
        _, found = prediction.open_model(named, tmp_path)
        assert json.loads(json.dumps(found.to_config())) == {**written, "made_by": None}
    config = tmp_path / "old" / "config.json"
    changed = json.loads(config.read_text()) | {"train_fingerprint": "other"}
    config.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=r"has no model\.json, and its data, .* are not those"):
        prediction.open_model("old", tmp_path)


def test_a_file_by_itself_has_numbers_for_names(tmp_path):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(tmp_path / "own.keras")
    network, found = prediction.open_model(tmp_path / "own.keras")
    assert found.class_names == ("0", "1", "2")
    assert (found.input_shape, found.colours) == ((8, 8, 1), "grey")
    Image.fromarray(np.full((20, 30), 7, np.uint8)).save(tmp_path / "x.png")
    ((_, said),) = prediction.predict(network, found, [tmp_path / "x.png"])
    expected = evaluation.softmax(network.predict(np.full((1, 8, 8, 1), 7.0), verbose=0))
    np.testing.assert_allclose(said, expected[0], rtol=1e-6)


def test_a_network_of_one_logit_predicts_two_classes(tmp_path):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
    keras.Sequential(layers).save(tmp_path / "own.keras")
    network, found = prediction.open_model(tmp_path / "own.keras")
    assert network.output_shape == (None, 2)
    assert found.class_names == ("0", "1")


def test_unreadable_pictures_are_named_and_others_predicted(finished, photos, tmp_path):
    network, description = prediction.open_model(finished[1].directory.path)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    good = photos / "test" / "cat" / "0.png"
    found = dict(prediction.predict(network, description, [tmp_path / "bad.png", good]))
    assert "Cannot read the image" in str(found[tmp_path / "bad.png"])
    assert found[good].sum() == pytest.approx(1)


def test_folders_are_walked_without_what_is_hidden(tmp_path):
    for name in ("b/1.PNG", "a.jpg", "notes.txt", ".git/x.png", "b/.y.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for file in prediction.pictures_in([tmp_path])]
    assert found == ["a.jpg", "b/1.PNG"]
    with pytest.raises(ValueError, match="must hold pictures that end in"):
        prediction.pictures_in([tmp_path / ".git" / "none", _made(tmp_path / "empty")])


def _made(path):
    path.mkdir()
    return path
