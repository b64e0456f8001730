"""`logitkd evaluate` of runs, of files inside runs, and what is said where classes are unequal."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from keras_logitkd.cli import imbalance
from keras_logitkd.runs import evaluation
from keras_logitkd.runs.inputs.models import load_model

pytestmark = pytest.mark.usefixtures("tiny_networks")
DISTILL = (
    *("distill", "--student", "wrn-10-1", "--dataset", "npz:unequal.npz", "--batch-size", "16"),
    *("--epochs", "1", "--learning-rate", "0.05", "--validation", "0", "--name", "r"),
)


def write_unequal():
    """unequal.npz: tiny.npz with class names and one test image of the last class."""
    with np.load("tiny.npz") as archive:
        arrays = dict(archive)
    labels = arrays["y_test"]
    kept = np.r_[np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:1]]
    arrays |= {"x_test": arrays["x_test"][kept], "y_test": labels[kept]}
    np.savez("unequal.npz", **arrays, class_names=["cat", "dog", "owl"])


@pytest.fixture
def distilled(once, run_on_tiny, own_teacher):
    """A run r by two teachers: own.keras and a run beside it."""

    def fill():
        write_unequal()
        code, out, err = run_on_tiny(
            *DISTILL, "--teacher", "own.keras,wrn-10-1", "--teacher-epochs", "1"
        )
        assert code == 0, err
        pathlib.Path("printed.txt").write_text(out)

    once(fill)
    return run_on_tiny


def result_of(name):
    return json.loads(pathlib.Path("runs", name, "result.json").read_text())


@pytest.mark.parametrize("named", ["r", "runs/r/student.keras"])
def test_a_run_knows_its_data_its_names_and_its_teachers(distilled, named):
    code, out, err = distilled("evaluate", named, "--json")
    assert (code, err) == (0, "")
    found, result = json.loads(out), result_of("r")
    assert found["agreement"] == pytest.approx(result["test_agreement"])
    assert found["balanced_accuracy"] == pytest.approx(result["test_balanced_accuracy"])
    assert found["class_accuracy"] == pytest.approx(result["test_class_accuracy"])
    assert list(found["class_accuracy"]) == ["cat", "dog", "owl"]
    assert found["dataset"].endswith("unequal.npz")
    assert found["examples"] == 17


def test_table_has_balanced_accuracy_and_agreement(distilled):
    code, out, _ = distilled("evaluate", "r")
    result = result_of("r")
    assert code == 0
    assert out.splitlines()[0].split()[-5:] == ["accuracy", "balanced", "loss", "ECE", "agreement"]
    row = out.splitlines()[1].split()
    assert row[-4] == f"{result['test_balanced_accuracy']:.2%}"
    assert row[-1] == f"{result['test_agreement']:.2%}"


@pytest.mark.parametrize("lost", ["own.keras", "run"])
def test_a_teacher_that_is_gone_is_said_and_not_measured(distilled, lost):
    if lost == "run":
        (place,) = (path for path in pathlib.Path("runs").iterdir() if "wrn-10-1-ce" in path.name)
        shutil.rmtree(place)
    else:
        pathlib.Path(lost).unlink()
    code, out, err = distilled("evaluate", "r", "--json")
    assert code == 0
    assert "agreement" not in json.loads(out)
    assert "no agreement with the run's teacher: The" in err
    assert "is not there" in err
    assert "Name one with --teacher" in err
    assert err.count("\n") == 1


def test_a_teacher_that_is_named_takes_the_place_of_the_runs(distilled):
    found = json.loads(distilled("evaluate", "r", "--teacher", "own.keras", "--json")[1])
    with np.load("unequal.npz") as archive:
        pixels = archive["x_test"]
    files = ("runs/r/student.keras", "own.keras")
    ours, theirs = (load_model(file).predict(pixels, verbose=0).argmax(-1) for file in files)
    assert found["agreement"] == pytest.approx(np.mean(ours == theirs))


def test_final_table_says_how_each_class_did(distilled):
    printed, result = pathlib.Path("printed.txt").read_text(), result_of("r")
    columns = ["role", "model", "test", "accuracy", "balanced", "parameters", "agreement"]
    assert printed.splitlines()[0].split() == [*columns, "seconds"]
    shares = [f"{name} {share:.2%}" for name, share in result["test_class_accuracy"].items()]
    assert f"student wrn-10-1 by class: {', '.join(shares)}" in printed
    assert "teacher wrn-10-1 by class: cat" in printed


def test_final_table_of_equal_classes_has_no_more_than_before(distilled):
    other = ("--dataset", "npz:tiny.npz", "--name", "equal")
    code, out, _ = distilled(*DISTILL, *other, "--teacher", "own.keras")
    assert code == 0
    assert "balanced" not in out
    assert "by class" not in out


def numbers(labels, predicted, names):
    logits = np.eye(len(names))[predicted]
    labels = np.array(labels)
    found = evaluation.by_class(logits, labels, names)
    return {**found, "accuracy": evaluation.accuracy(logits, labels)}


@pytest.mark.parametrize(
    ("right", "is_warned"),
    [
        ([8, 0], True),
        ([8, 1], True),
        ([7, 0], True),
        ([7, 3], False),
        ([6, 0], False),
        ([4, 4], False),
    ],
)
def test_a_network_that_predicts_one_class_is_warned_about(right, is_warned):
    """8 cats and 4 dogs, so many of them predicted right."""
    predicted = [0] * right[0] + [1] * (8 - right[0]) + [1] * right[1] + [0] * (4 - right[1])
    lines = imbalance.lines_of("it", numbers([0] * 8 + [1] * 4, predicted, ("cat", "dog")))
    warned = [line for line in lines if line.startswith("warning: it predicts one class")]
    assert bool(warned) == is_warned
    if is_warned:
        assert "the share of cat" in warned[0]


def test_of_many_classes_the_worst_are_named():
    names = tuple(f"c{number}" for number in range(12))
    labels = [0] * 20 + list(range(1, 12))
    predicted = [0] * 20 + list(range(1, 9)) + [0, 0, 0]
    (line,) = imbalance.lines_of("it", numbers(labels, predicted, names))
    worst = "c9 0.00%, c10 0.00%, c11 0.00%, c0 100.00%"
    assert line.startswith(f"it by class (the worst 10 of 12): {worst}")
    assert line.count("%") == 10


def test_a_class_without_examples_has_no_accuracy_and_no_part_in_the_mean():
    found = numbers([0, 0, 1], [0, 1, 1], ("a", "b", "c"))
    assert found["class_accuracy"] == {"a": 0.5, "b": 1.0, "c": None}
    assert found["balanced_accuracy"] == pytest.approx(0.75)
    assert imbalance.lines_of("it", found)[0] == "it by class: a 50.00%, b 100.00%"


def test_names_that_several_classes_have_are_told_apart():
    found = numbers([0, 1, 2], [0, 1, 0], ("a", "b", "a"))
    assert found["class_accuracy"] == {"0 a": 1.0, "b": 1.0, "2 a": 0.0}


def test_results_of_before_say_nothing_of_classes():
    assert imbalance.lines_of("it", imbalance.of_test({"test_accuracy": 0.5})) == []
