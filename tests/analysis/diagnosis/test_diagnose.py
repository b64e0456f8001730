"""Each check on a real run that provokes it; the healthy run provokes none."""

import keras
import numpy as np
import pytest

from keras_logitkd.analysis.diagnosis import CHECKS, OK, PROBLEM, WARNING, diagnose, standing
from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.mark.parametrize(
    ("name", "check", "status", "says"),
    [
        ("other scale, no weight", "same_input", PROBLEM, "Given x / 255 instead, it is right on"),
        ("other scale, no weight", "gradient_dependence", PROBLEM, "does not depend on"),
        ("not in inference mode", "teacher_frozen", PROBLEM, "differ from those in inference"),
        ("not in inference mode", "label_disagreement", WARNING, "made 50.0% of them wrong"),
        ("not frozen", "teacher_frozen", PROBLEM, "changed the teacher's variables by"),
        ("poor teacher, no student", "teacher_fit", PROBLEM, "poorly fitted"),
        ("poor teacher, no student", "training_course", PROBLEM, "epochs"),
        ("not frozen", "capacity_gap", WARNING, "7.8 times"),
        ("shifted, drowned", "mean_shift", WARNING, "common shift"),
        ("shifted, drowned", "term_scale", WARNING, "alpha = 0.001"),
        ("diverging", "training_course", PROBLEM, "it diverges"),
    ],
)
def test_check_sees_what_is_wrong(findings, name, check, status, says):
    finding = findings(name)[check]
    assert finding.status == status, finding
    assert says in finding.sentence
    assert finding.advice


def test_healthy_run_passes_every_check(findings):
    found = findings("healthy")
    assert list(found) == [check.__name__ for check in CHECKS]
    assert {name: finding.status for name, finding in found.items()} == dict.fromkeys(found, OK)


def test_numbers_of_logits_are_those_of_numpy(scenario, findings):
    run, _ = scenario("not in inference mode")
    assert findings("not in inference mode")["label_disagreement"].numbers["noise"] == 0.5
    run, _ = scenario("shifted, drowned")
    found = findings("shifted, drowned")
    pixels, labels = run.dataset.train.images.array, run.dataset.train.labels
    teacher = keras.saving.load_model(run.teachers[0].file).predict(pixels, verbose=0)
    student = run.load_network().predict(pixels, verbose=0)
    distance = student.astype(np.float64) - teacher
    shift = found["mean_shift"].numbers
    assert shift["delta_inf"] == pytest.approx(-np.mean(distance.sum(-1) ** 2) / (2 * 9), rel=1e-5)
    assert shift["squared_error"] == pytest.approx(np.mean(distance**2), rel=1e-5)
    assert found["teacher_fit"].numbers["train_accuracy"] == np.mean(teacher.argmax(-1) == labels)
    agreement = np.mean(teacher.argmax(-1) == student.argmax(-1))
    assert found["capacity_gap"].numbers["train_agreement"] == pytest.approx(agreement)
    course = found["training_course"].numbers
    assert course["logit_norm"] == pytest.approx(np.linalg.norm(student, axis=-1).mean(), rel=1e-5)
    rows = run.directory.metrics_file.read_text().splitlines()
    losses = [float(row.split(",")[rows[0].split(",").index("loss")]) for row in rows[1:]]
    assert course["last_loss"] == pytest.approx((losses[-1] + losses[-2]) / 2)  # of 20 epochs


def test_terms_and_their_gradients_are_those_of_finite_differences(sample, findings):
    numbers, probe = findings("shifted, drowned")["term_scale"].numbers, sample("shifted, drowned")
    images, labels = probe.batch
    network = models.build_network(
        "wrn-10-1", probe.run.dataset, probe.run.settings.recipe, probe.run.settings.seed
    )

    def hard():
        logits = np.asarray(network(images, training=True), np.float64)
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return -log_p[np.arange(len(labels)), labels].mean()

    assert numbers["hard_start"] == pytest.approx(hard(), rel=1e-5)
    # The norm of the gradient bounds every slope: here that of the last layer's bias.
    bias = network.trainable_weights[-1]
    value, slopes = bias.numpy(), []
    for place in range(3):
        steps = []
        for sign in (1, -1):
            bias.assign(value + sign * 1e-2 * np.eye(3, dtype="float32")[place])
            steps.append(hard())
        slopes.append((steps[0] - steps[1]) / 2e-2)
    bias.assign(value)
    probabilities = np.exp(np.asarray(network(images, training=True), np.float64))
    probabilities /= probabilities.sum(-1, keepdims=True)
    expected = (probabilities - np.eye(3)[labels]).mean(0)
    np.testing.assert_allclose(slopes, expected, atol=1e-4)
    assert numbers["hard_gradient_start"] >= np.linalg.norm(expected)


def test_stored_logits_are_compared_with_computed_ones(scenario, findings):
    run, cache = scenario("healthy")
    assert findings("healthy")["teacher_frozen"].numbers["store_difference"] < 1e-5
    store, *_ = [store for _, store in cache.stores() if "view" in store.key.preprocessing]
    view = store.read(0).copy()
    store.drop(0)
    store.fill(0, [view + 5])
    finding = {f.check: f for f in diagnose(run, cache)}["teacher_frozen"]
    assert finding.status == PROBLEM
    assert "logitkd cache prune" in finding.advice


def test_run_without_a_teacher_is_refused(scenario):
    run, _ = scenario("poor teacher, no student")
    with pytest.raises(ValueError, match="which was trained on hard labels"):
        diagnose(open_run(run.directory.path.parent / run.settings.teachers[0]))


def test_standing_finds_the_same_student_on_hard_labels(scenario):
    run, _ = scenario("healthy")
    assert standing(run)["hard labels"] is None
    workspace = Workspace(run.dataset, run.settings.recipe, str(run.directory.path.parent))
    baseline = workspace.train("wrn-10-1")
    assert standing(run) == {
        "student": run.result["test_accuracy"],
        "teacher": 1.0,
        "hard labels": baseline.result["test_accuracy"],
    }
