"""Each check as a function of its numbers: what tips it, and what it says then."""

import json
import math

import pytest

from keras_logitkd.analysis.diagnosis import CHECKS, OK, PROBLEM, WARNING
from keras_logitkd.analysis.diagnosis import student_checks as student
from keras_logitkd.analysis.diagnosis import teacher_checks as teacher

TERMS = {"hard": 2.3, "soft": 50.0, "hard_gradient": 1.0, "soft_gradient": 3.0}
COURSE = {
    "train_accuracy": 0.9,
    "chance": 0.1,
    "logit_norm": 13.0,
    "teacher_logit_norm": 14.0,
}
INPUT = {
    "accuracy": 0.9,
    "view_accuracy": 0.88,
    "others": {"x / 255": 0.1, "x / 16": 0.3},
    "normalisations": {"the student": "(x - 73) / 90", "the teacher": "x / 255"},
}


@pytest.mark.parametrize(
    ("train", "temperature", "status"),
    [
        (0.5377, math.inf, PROBLEM),  # Table 4
        (0.5377, 20.0, PROBLEM),
        (0.5377, 0.5, OK),  # which is what the paper says to do
        (0.8116, math.inf, OK),
        (0.8, math.inf, WARNING),
        (0.99, math.inf, OK),
    ],
)
def test_teacher_fit(train, temperature, status):
    finding = teacher.teacher_fit(train, 0.6, temperature)
    assert finding.status == status
    assert f"{100 * train:.1f}% of its training images and on 60.0%" in finding.sentence
    assert ("--tau 0.5" in finding.advice) == (status != OK)


@pytest.mark.parametrize(
    ("numbers", "status", "advice"),
    [
        ((0.0, 1e-6, None), OK, ""),
        ((0.0, 1e-6, 1e-3), OK, ""),  # float16
        ((1e-9, 1e-6, None), PROBLEM, "training=True"),
        ((0.0, 0.2, 0.0), PROBLEM, "training=True"),
        ((0.0, 1e-6, 0.2), PROBLEM, "logitkd cache prune"),
    ],
)
def test_teacher_frozen(numbers, status, advice):
    finding = teacher.teacher_frozen(*numbers)
    assert finding.status == status
    assert advice in finding.advice
    assert bool(finding.advice) == (status != OK)


@pytest.mark.parametrize(
    ("change", "status", "advice"),
    [
        ({}, OK, ""),
        ({"accuracy": 0.1, "others": {"x / 255": 0.9, "x / 16": 0.3}}, PROBLEM, "(x / 255)"),
        ({"accuracy": 0.25}, OK, ""),  # x / 16 is not 10 points better
        ({"view_accuracy": 0.7}, WARNING, "augmentation"),
    ],
)
def test_same_input(change, status, advice):
    finding = teacher.same_input(**{**INPUT, **change})
    assert finding.status == status
    assert advice in finding.advice
    assert "the teacher x / 255" in finding.sentence


@pytest.mark.parametrize(
    ("share", "alpha", "status"),
    [(0.05, 0.5, OK), (0.4, 0.5, WARNING), (0.4, 1.0, OK), (0.2, 0.5, OK)],
)
def test_label_disagreement(share, alpha, status):
    finding = teacher.label_disagreement(share, 0.01, alpha, noise=0.4)
    assert finding.status == status
    assert finding.numbers == {"share": share, "sure_share": 0.01, "alpha": alpha, "noise": 0.4}
    assert "noise" not in teacher.label_disagreement(share, 0.01, alpha).numbers


@pytest.mark.parametrize(
    ("alpha", "change", "status", "advice"),
    [
        (1.0, 2.0, OK, ""),
        (0.0, 0.0, PROBLEM, "--alpha 1"),
        (1.0, 0.0, PROBLEM, "the same of every image"),
        (0.01, 0.03, WARNING, "Raise alpha, which is 0.01"),
    ],
)
def test_gradient_dependence(alpha, change, status, advice):
    finding = student.gradient_dependence(alpha, change)
    assert finding.status == status
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("alpha", "share", "status", "advice"),
    [
        (0.5, 0.75, OK, ""),
        (1.0, 1.0, OK, ""),
        (0.0, 0.0, OK, ""),
        (0.005, 0.015 / 1.01, WARNING, "The soft term hardly counts. Try --alpha 0.25"),
        (0.995, 2.985 / 2.99, WARNING, "The hard term hardly counts. Try --alpha 0.25"),
    ],
)
def test_term_scale(alpha, share, status, advice):
    finding = student.term_scale(alpha, TERMS, TERMS)
    assert finding.status == status
    assert finding.numbers["soft_share"] == pytest.approx(share)
    assert finding.numbers["balancing_alpha"] == pytest.approx(0.25)  # 0.75 * 1 = 0.25 * 3
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("temperature", "delta", "status"),
    [(20.0, -0.3, WARNING), (20.0, -0.2, OK), (4.0, -0.3, OK), (None, -0.3, OK)],
)
def test_mean_shift(temperature, delta, status):
    finding = student.mean_shift(temperature, delta, squared_error=1.0)
    assert finding.status == status
    assert finding.numbers["shift_share"] == pytest.approx(-2 * delta)


@pytest.mark.parametrize(
    ("losses", "change", "status", "advice"),
    [
        ([3.0, 1.0, 0.98], {}, OK, ""),
        ([3.0, 1.0, 1.6], {}, PROBLEM, "Lower --learning-rate"),
        ([3.0, 1.0, 1.4], {}, OK, ""),
        ([3.0, 2.0, 0.5, *[2.0, 1.0] * 7], {}, OK, ""),  # single epochs scatter
        ([*[3.0, 2.0] * 7, 3.0, 3.9, 4.1], {}, PROBLEM, "Lower --learning-rate"),
        ([3.0, 1.0, 0.98], {"train_accuracy": 0.15}, PROBLEM, "next to nothing"),
        ([3.0, 1.0, 0.98], {"logit_norm": 150.0}, WARNING, "run away"),
        ([3.0, 2.999, 2.99], {}, WARNING, "flat"),
        ([3.0, 2.0, 1.0], {}, WARNING, "more --epochs"),
        ([3.0], {}, OK, ""),
    ],
)
def test_training_course(losses, change, status, advice):
    finding = student.training_course(losses, **{**COURSE, **change})
    assert finding.status == status
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("teacher_parameters", "agreement", "status"),
    [(8500, 0.8, WARNING), (8500, 0.9, OK), (4000, 0.8, OK)],
)
def test_capacity_gap(teacher_parameters, agreement, status):
    finding = student.capacity_gap(teacher_parameters, 1000, agreement)
    assert finding.status == status
    assert finding.numbers["ratio"] == pytest.approx(teacher_parameters / 1000)
    assert ("logitkd sequential" in finding.advice) == (status == WARNING)


def test_checks_are_named_by_their_functions():
    arguments = [
        (0.9, 0.9, 1.0),
        (0.0, 0.0),
        INPUT.values(),
        (1.0, 1.0),
        (1.0, TERMS, TERMS),
        ([2.0, 1.0], *COURSE.values()),
        (None, -1.0, 0.0),
        (0.1, 0.1, 1.0),
        (10, 5, 1.0),
    ]
    for check, values in zip(CHECKS, arguments, strict=True):
        finding = check(*values)
        assert finding.check == check.__name__
        json.dumps(finding.numbers, allow_nan=False)
