"""Students that learn from images without labels, too: from the teacher, and from it alone."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_logitkd.losses.smoothed_crossentropy import SmoothedCrossentropy
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.inputs.unlabelled import LabelledAccuracy, LabelledCrossentropy
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.workspace import Workspace, open_workspace


@pytest.fixture
def more(run_on_tiny, tmp_path, monkeypatch):
    """Puts 12 images without labels beside tiny.npz, in the folder `more`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(5)
    (tmp_path / "more").mkdir()
    for number in range(12):
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "more" / f"{number}.png")
    return run_on_tiny


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_the_hard_loss_is_of_labels_only(beta):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 3)).astype(np.float32)
    labels = np.array([0, -1, 2, -1, -1, 1], np.int32)
    has = labels >= 0
    of_labelled = float(SmoothedCrossentropy(beta)(labels[has], logits[has]))
    assert float(LabelledCrossentropy(beta)(labels, logits)) == pytest.approx(of_labelled * 3 / 6)
    again = LabelledCrossentropy.from_config(LabelledCrossentropy(beta).get_config())
    assert again.beta == beta


def test_accuracy_is_of_labels_only():
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    accuracy = LabelledAccuracy(name="accuracy")
    accuracy.update_state(np.array([0, -1, 2, -1]), logits)
    assert float(accuracy.result()) == 0.5
    accuracy.update_state(np.array([-1, 0, 1, -1]), logits, np.array([1.0, 1.0, 4.0, 1.0]))
    assert float(accuracy.result()) == pytest.approx(6 / 7)


def test_a_training_reads_both_and_a_teacher_its_labels_only(more):
    plain = open_workspace("npz:tiny.npz", "runs")
    workspace = open_workspace("npz:tiny.npz", "runs", unlabelled="folder:more")
    student = Cell("wrn-10-1", (Cell("wrn-16-1"),), "mse")
    teachers = workspace.teachers(student)
    assert teachers[0].identity == plain.teachers(student)[0].identity
    settings = workspace.settings(student, teachers)
    known = plain.settings(student, plain.teachers(student))
    assert settings.default_name() != known.default_name()
    assert "unlabelled" not in str(known.to_config())
    data, before = RunData(settings, workspace.dataset), RunData(known, plain.dataset)
    count = len(plain.dataset.train)
    assert data.seen_indices.tolist() == [*before.train_indices, *range(count, count + 12)]
    np.testing.assert_array_equal(data.train_indices, before.train_indices)
    np.testing.assert_array_equal(data.validation_indices, before.validation_indices)
    again = Workspace.from_config(workspace.to_config())
    assert again.settings(student, again.teachers(student)) == settings


def test_a_moved_folder_is_the_same_run(more, tmp_path):
    student = Cell("wrn-10-1", (Cell("wrn-16-1"),), "mse")

    def name(folder):
        workspace = open_workspace("npz:tiny.npz", "runs", unlabelled=f"folder:{folder}")
        return workspace.settings(student, workspace.teachers(student)).default_name()

    before = name("more")
    (tmp_path / "more").rename(tmp_path / "elsewhere")
    assert name("elsewhere") == before


@pytest.mark.usefixtures("tiny_networks", "own_teacher")
def test_distil_learns_from_them_and_says_how_many(more, tmp_path):
    command = ["distill", "--dataset", "npz:tiny.npz", "--student", "wrn-10-1"]
    command += ["--teacher", "own.keras", "--epochs", 1, "--json"]
    others = ["--unlabelled", "folder:more"]
    results, weights = {}, {}
    for kind, extra in {"none": [], "all": others, "online": [*others, "--no-cache"]}.items():
        code, _, told = more(*command, *extra, "--name", kind)
        assert code == 0, told
        folder = tmp_path / "runs" / kind
        results[kind] = json.loads((folder / "result.json").read_text())
        weights[kind] = keras.models.load_model(folder / "student.keras").get_weights()
    assert "unlabelled_examples" not in results["none"]
    assert results["all"]["unlabelled_examples"] == 12
    assert results["all"]["train_examples"] == results["none"]["train_examples"]
    count = results["all"]["train_examples"]
    assert results["all"]["train_accuracy"] * count == pytest.approx(
        round(results["all"]["train_accuracy"] * count), abs=1e-4
    )
    assert any(np.any(a != b) for a, b in zip(weights["none"], weights["all"], strict=True))
    for stored, online in zip(weights["all"], weights["online"], strict=True):
        np.testing.assert_allclose(stored, online, rtol=1e-4, atol=1e-5)
    assert more("evaluate", "all")[0] == 0


@pytest.mark.usefixtures("tiny_networks", "own_teacher")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "dkd"], "--unlabelled needs a loss that does without labels, such as mse or"),
        (["--unlabelled", "folder:none"], "folder:none: no such folder"),
        (["--unlabelled", "folder:wide"], "must have images of (8, 8, 1), or give --resized-crop"),
    ],
)
def test_what_does_not_go_together_is_one_line(more, tmp_path, options, message):
    (tmp_path / "wide").mkdir()
    Image.new("L", (9, 8)).save(tmp_path / "wide" / "1.png")
    command = ["distill", "--dataset", "npz:tiny.npz", "--student", "wrn-10-1"]
    command += ["--teacher", "own.keras", "--epochs", 1, "--unlabelled", "folder:more"]
    code, _, told = more(*command, *options)
    assert (code, told.count("\n")) == (2, 1)
    assert message in told
    assert not (tmp_path / "runs").exists()
