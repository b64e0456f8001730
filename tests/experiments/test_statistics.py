"""Means over seeds, paired differences and verdicts, against SciPy and sums done by hand."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from keras_logitkd.experiments.statistics import (
    Claim,
    judge,
    paired_difference,
    summarize,
    to_markdown,
)

NAN = math.nan
MSE, KL, CE = (("wrn-10-1", column) for column in ("mse", "kl:1", "ce"))
BETTER = Claim("MSE is better than KL at tau = 1 (wrn-10-1)", MSE, KL)


def runs(cells):
    """A frame from {(row, column): accuracies of the seeds 0, 1, ...}; None leaves a seed out."""
    rows = [
        {"row": row, "column": column, "seed": seed, "test_accuracy": accuracy, "loss": 1.0}
        for (row, column), accuracies in cells.items()
        for seed, accuracy in enumerate(accuracies)
        if accuracy is not None
    ]
    return pd.DataFrame(rows, columns=["row", "column", "seed", "test_accuracy", "loss"])


def test_summary_by_hand():
    frame = runs({MSE: [0.9, 0.8, NAN, 0.7], KL: [0.5], ("a", "ce"): [NAN], CE: [0.25, 0.75]})
    summary = summarize(frame)
    assert list(summary.index) == [MSE, KL, ("a", "ce"), CE]
    assert list(summary.index.names) == ["row", "column"]
    assert list(summary.columns) == ["mean", "std", "n"]
    np.testing.assert_allclose(summary["mean"], [0.8, 0.5, NAN, 0.5], rtol=1e-14)
    np.testing.assert_allclose(summary["std"], [0.1, NAN, NAN, math.sqrt(0.125)], rtol=1e-14)
    assert summary["n"].tolist() == [3, 1, 0, 2]
    assert summarize(frame, "loss")["mean"].tolist() == [1.0] * 4


def test_summary_of_nothing():
    summary = summarize(runs({}))
    assert len(summary) == 0
    assert list(summary.columns) == ["mean", "std", "n"]


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_is_that_of_scipy(n):
    first, second = np.random.default_rng(n).uniform(0.7, 0.9, (2, n))
    difference = paired_difference(runs({MSE: first, KL: second}), MSE, KL)
    interval = ttest_rel(first, second).confidence_interval(0.95)
    assert difference.n == n
    assert difference.mean - difference.half_width == pytest.approx(interval.low, rel=1e-12)
    assert difference.mean + difference.half_width == pytest.approx(interval.high, rel=1e-12)
    assert difference.values == tuple(first - second)


def test_interval_by_hand():
    """The differences are 1, 2 and 3 points, their standard deviation 1; t(0.975, 2) = 4.302653."""
    difference = paired_difference(runs({MSE: [0.51, 0.62, 0.73], KL: [0.5, 0.6, 0.7]}), MSE, KL)
    assert difference.mean == pytest.approx(0.02, rel=1e-12)
    assert difference.half_width == pytest.approx(0.01 * 4.30265273 / math.sqrt(3), rel=1e-8)


def test_only_common_finished_seeds_are_paired():
    cells = {MSE: [0.5, NAN, 0.7, None, 0.9], KL: [None, 0.1, 0.6, 0.4, 0.6], CE: [NAN, None]}
    frame = runs(cells).sample(frac=1, random_state=3)
    difference = paired_difference(frame, MSE, KL)
    assert difference.n == 2
    np.testing.assert_allclose(difference.values, [0.1, 0.3], rtol=1e-14)
    nothing = paired_difference(frame, MSE, CE)
    assert (nothing.n, nothing.half_width, nothing.values) == (0, math.inf, ())
    assert math.isnan(nothing.mean)
    assert paired_difference(frame, MSE, ("wrn-10-1", "absent")).n == 0


def test_differences_are_in_the_order_of_the_seeds():
    frame = runs({MSE: [0.1, 0.2, 0.4, 0.8], KL: [0.0] * 4})
    difference = paired_difference(frame.iloc[::-1], MSE, KL)
    assert difference.values == (0.1, 0.2, 0.4, 0.8)


@pytest.mark.parametrize(
    ("first", "second", "outcome", "end"),
    [
        # 2, 2.1 and 2.2 points; 0.1 * 4.302653 / sqrt(3) = 0.248.
        ([0.52, 0.521, 0.522], [0.5] * 3, "held", ": +2.10 ± 0.25 points, n = 3"),
        ([0.5] * 3, [0.52, 0.521, 0.522], "did not hold", ": -2.10 ± 0.25 points, n = 3"),
        # Equal differences have an interval of width 0.
        ([0.75, 0.5], [0.5, 0.25], "held", ": +25.00 ± 0.00 points, n = 2"),
        ([0.5, 0.25], [0.75, 0.5], "did not hold", ": -25.00 ± 0.00 points, n = 2"),
        ([0.7, 0.6], [0.7, 0.6], "not decidable at n = 2", ": +0.00 ± 0.00 points, n = 2"),
        ([0.5, 0.52], [0.51, 0.51], "not decidable at n = 2", ": +0.00 ± 12.71 points, n = 2"),
        ([0.5, 0.51998], [0.51, 0.51], "not decidable at n = 2", ": +0.00 ± 12.69 points, n = 2"),
        # 1, 3 and 3 points are too far apart for three runs, and one run is never a finding.
        (
            [0.51, 0.62, 0.73],
            [0.50, 0.59, 0.70],
            "not decidable at n = 3",
            ": +2.33 ± 2.87 points, n = 3",
        ),
        ([0.5], [0.4], "not decidable at n = 1", ": +10.00 points, n = 1"),
        ([None, 0.5], [0.4, None], "not decidable at n = 0", ""),
        ([], [0.4], "not run", ""),
        ([0.5], [NAN], "not run", ""),
        ([NAN, NAN], [NAN], "not run", ""),
    ],
)
def test_every_outcome(first, second, outcome, end):
    verdict = judge(BETTER, runs({MSE: first, KL: second, CE: [0.1, 0.2, 0.3]}))
    assert verdict.outcome == outcome
    assert verdict.claim is BETTER
    assert verdict.sentence() == f"- **{outcome}**: {BETTER.text}{end}"


def test_other_values_can_be_judged():
    frame = runs({MSE: [0.1, 0.1], KL: [0.9, 0.9]})
    frame["agreement"] = 1 - frame["test_accuracy"]
    claim = dataclasses.replace(BETTER, value="agreement")
    verdict = judge(claim, frame)
    assert verdict.outcome == "held"
    assert verdict.sentence().endswith(": +0.80 ± 0.00, n = 2")


def test_markdown_of_what_is_no_share():
    frame = runs({MSE: [1.234, 1.434]})
    assert "| 1.33 ± 0.14 |" in to_markdown(summarize(frame), factor=1.0)


def test_markdown_of_equal_n():
    frame = runs(
        {
            ("wrn-16-2", "ce"): [0.8866, 0.8902, 0.883],
            ("wrn-16-2", "kl:1"): [0.9, NAN, NAN, 0.9, 0.9],
            ("a|b", "kl:1"): [NAN, NAN],
            ("a|b", "mse"): [0.5, 0.6, 0.7],
        }
    )
    assert to_markdown(summarize(frame)) == (
        "|  | ce | kl:1 | mse |\n"
        "|---|---|---|---|\n"
        "| wrn-16-2 | 88.66 ± 0.36 | 90.00 ± 0.00 | - |\n"
        "| a\\|b | - | - | 60.00 ± 10.00 |\n"
        "\n"
        "n = 3 seeds; mean ± standard deviation"
    )


def test_markdown_with_the_papers_numbers():
    frame = runs({("s", "ce"): [0.7], ("s", "mse"): [0.75, 0.77], ("t", "ce"): [0.5, 0.6]})
    paper = {("s", "ce"): 72.68, ("t", "mse"): 75.5, ("u", "ce"): 1.0}
    assert to_markdown(summarize(frame), paper) == (
        "|  | ce | mse |\n"
        "|---|---|---|\n"
        "| s | 70.00 (n = 1) | 76.00 ± 1.41 (n = 2) |\n"
        "| paper: s | 72.68 | - |\n"
        "| t | 55.00 ± 7.07 (n = 2) | - |\n"
        "| paper: t | - | 75.50 |\n"
        "\n"
        "n seeds; mean ± standard deviation"
    )


def test_markdown_of_single_runs_and_of_none():
    assert to_markdown(summarize(runs({(0.1, math.inf): [0.5], (0.1, 3): [0.25]}))) == (
        "|  | inf | 3.0 |\n|---|---|---|\n| 0.1 | 50.00 | 25.00 |\n\nn = 1 seed"
    )
    assert to_markdown(summarize(runs({("s", "ce"): [NAN]}))) == (
        "|  | ce |\n|---|---|\n| s | - |\n\nno finished runs"
    )


def test_refusals():
    frame = runs({MSE: [0.5, 0.6], KL: [0.5]})
    with pytest.raises(ValueError, match="`frame` must have the columns row, .* val_accuracy. Rec"):
        summarize(frame, "val_accuracy")
    twice = pd.concat([frame, frame.iloc[[1]]])
    message = "Received: several for row='wrn-10-1', column='mse', seed=1"
    with pytest.raises(ValueError, match=message):
        summarize(twice)
    with pytest.raises(ValueError, match=message):
        judge(BETTER, twice)
    again = pd.concat([frame, frame.iloc[[1]].assign(test_accuracy=NAN)])
    assert summarize(again)["n"].tolist() == [2, 1]


def test_seconds_are_shown_as_they_are():
    frame = pd.DataFrame({"row": "a", "column": "b", "seed": [0, 1], "seconds": [10.0, 14.0]})
    text = to_markdown(summarize(frame, "seconds"), factor=1.0)
    assert "| a | 12.00 ± 2.83 |" in text
