import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_logitkd.runs import evaluation


def test_classification_metrics_by_hand():
    logits = np.log(np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], "float32"))
    metrics = evaluation.classification_metrics(logits, np.array([0, 1, 1]))
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["loss"] == pytest.approx(-np.log([0.8, 0.4, 0.7]).mean(), rel=1e-6)
    # Each example has a bin of its own: |1 - 0.8|, |0 - 0.6| and |1 - 0.7|, a third each.
    assert metrics["ece"] == pytest.approx((0.2 + 0.6 + 0.3) / 3, rel=1e-6)


def test_calibration_error_within_a_bin_averages_before_the_absolute_value():
    probabilities = np.array([[0.75, 0.25]] * 4)
    labels = np.array([0, 0, 0, 1])
    assert evaluation.expected_calibration_error(probabilities, labels, bins=10) == 0


@given(st.integers(2, 9), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_calibration_error_is_the_definition(classes, count, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), count)
    labels = rng.integers(0, classes, count)
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
    assert evaluation.expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_loss_of_huge_logits_is_finite():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], "float32")
    assert evaluation.classification_metrics(logits, np.array([0, 0]))["loss"] == 1e4


def test_agreement_counts_equal_argmax():
    first = np.array([[1, 0], [0, 1], [2, 1]])
    assert evaluation.agreement(first, np.array([[3, 0], [5, 1], [2, 1]])) == pytest.approx(2 / 3)
