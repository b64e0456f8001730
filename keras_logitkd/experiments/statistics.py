"""What runs over several seeds show: means, paired differences, and verdicts on claims.

Every function reads a tidy frame with one row a run: `row` and `column` name the cell of a table,
`seed` the run in it, and `test_accuracy` is a share in [0, 1], nan where the run failed. `value` is
the column that is looked at. ValueError says that a frame lacks a column, or that a cell has two
finished runs of one seed.
"""

import dataclasses
import math

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Difference:
    """A paired difference over seeds.

    Args:
        mean: mean of `values`; nan where there are none.
        half_width: half the width of the 95% t interval around `mean`; inf below two values.
        n: number of seeds that both cells have.
        values: one difference a seed, in the order of the seeds.
    """

    mean: float
    half_width: float
    n: int
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Claim:
    """ "`first` is better than `second`", or larger where `value` is no accuracy.

    Args:
        text: the claim as a reader sees it.
        first: (row, column) of the cell that is said to be better.
        second: (row, column) of the other.
        value: the column that is compared. Defaults to "test_accuracy".
    """

    text: str
    first: tuple
    second: tuple
    value: str = "test_accuracy"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Args:
        claim: the `Claim`.
        outcome: "held", "did not hold", "not decidable at n = N" or "not run".
        difference: the `Difference`, first minus second.
    """

    claim: Claim
    outcome: str
    difference: Difference

    def sentence(self):
        """Returns a line of Markdown: difference and interval, accuracies in percentage points."""
        line = f"- **{self.outcome}**: {self.claim.text}"
        if not self.difference.n:
            return line
        scale, unit = (100, " points") if self.claim.value == "test_accuracy" else (1, "")
        # Rounding first and adding 0.0 turns -0.001 into +0.00.
        shown = f"{round(scale * self.difference.mean, 2) + 0.0:+.2f}"
        if math.isfinite(self.difference.half_width):
            shown += f" ± {scale * self.difference.half_width:.2f}"
        return f"{line}: {shown}{unit}, n = {self.difference.n}"


def summarize(frame, value="test_accuracy"):
    """Summarises each cell over its seeds; failed runs (nan) do not count.

    Returns:
        Frame indexed by (row, column) in order of first appearance, with the columns mean, std
        (of the sample, ddof = 1: nan for a single run) and n. A cell without any finished run is
        there too: mean nan, n = 0.
    """
    _finished(frame, value)
    grouped = frame.groupby(["row", "column"], sort=False, dropna=False)[value]
    return grouped.agg(mean="mean", std="std", n="count")


def paired_difference(frame, first, second, value="test_accuracy"):
    """Compares two cells, each (row, column), over the seeds that both have.

    Returns:
        The `Difference` first minus second, in the unit of `value`, with n = 0 where no seed is
        common.
    """
    finished = _finished(frame, value)
    one, other = (_by_seed(finished, cell, value) for cell in (first, second))
    values = (one - other).dropna().sort_index().to_numpy(np.float64)
    n, half_width = len(values), math.inf
    mean = float(np.mean(values)) if n else math.nan
    if n > 1:
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
        half_width = float(quantile * np.std(values, ddof=1) / math.sqrt(n))
    return Difference(mean, half_width, n, tuple(values.tolist()))


def judge(claim, frame):
    """Decides a `Claim` by the 95% interval of the paired difference.

    Returns:
        A `Verdict`: "held" if the whole interval lies above 0, "did not hold" if it lies wholly
        below, "not run" if one of the cells has no finished run, else "not decidable at n = N".
    """
    difference = paired_difference(frame, claim.first, claim.second, claim.value)
    finished = _finished(frame, claim.value)
    if any(_by_seed(finished, cell, claim.value).empty for cell in (claim.first, claim.second)):
        outcome = "not run"
    elif difference.mean - difference.half_width > 0:
        outcome = "held"
    elif difference.mean + difference.half_width < 0:
        outcome = "did not hold"
    else:
        outcome = f"not decidable at n = {difference.n}"
    return Verdict(claim, outcome, difference)


def to_markdown(summary, paper=None, factor=100.0):
    """Writes a summary as a table in Markdown, in percent.

    Args:
        summary: what `summarize` returns, of shares in [0, 1].
        paper: dict (row, column) -> percent. Rows with such numbers get a second line below them
            that begins with "paper:". Defaults to None.
        factor: what the values are multiplied by. Defaults to 100: shares become percent.

    Returns:
        The table and, after a blank line, its caption with n and what ± means. Where n differs
        between cells, each cell says its own. Cells without a finished run are "-".
    """
    paper = paper or {}
    rows = list(dict.fromkeys(row for row, _ in summary.index))
    columns = list(dict.fromkeys(column for _, column in summary.index))
    counts = sorted({int(n) for n in summary["n"] if n})
    cells = {
        cell: _shown(values, factor, show_n=len(counts) > 1)
        for cell, values in zip(summary.index, summary.to_dict("records"), strict=True)
    }
    lines = [_line("", columns), "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        lines.append(_line(row, [cells.get((row, column), "-") for column in columns]))
        published = [paper.get((row, column)) for column in columns]
        if any(number is not None for number in published):
            texts = ["-" if number is None else f"{number:.2f}" for number in published]
            lines.append(_line(f"paper: {row}", texts))
    return "\n".join([*lines, "", _caption(counts)])


def _finished(frame, value):
    """The rows of finished runs, of which a cell may have one a seed."""
    needed = ["row", "column", "seed", value]
    if not set(needed) <= set(frame.columns):
        raise ValueError(
            f"`frame` must have the columns {', '.join(needed)}. "
            f"Received: {', '.join(map(str, frame.columns))}"
        )
    finished = frame[frame[value].notna()]
    twice = finished[finished.duplicated(["row", "column", "seed"])]
    if len(twice):
        row, column, seed = twice.iloc[0][["row", "column", "seed"]]
        raise ValueError(
            "`frame` must hold one finished run for each row, column and seed. "
            f"Received: several for row={row!r}, column={column!r}, seed={seed}"
        )
    return finished


def _by_seed(finished, cell, value):
    """Returns the values of one cell as a series indexed by seed."""
    row, column = cell
    chosen = finished[(finished["row"] == row) & (finished["column"] == column)]
    return chosen.set_index("seed")[value]


def _shown(values, factor, show_n):
    """Returns one cell's text, such as "88.66 ± 0.36"."""
    n = int(values["n"])
    if not n:
        return "-"
    text = f"{factor * values['mean']:.2f}"
    if n > 1:
        text += f" ± {factor * values['std']:.2f}"
    return f"{text} (n = {n})" if show_n else text


def _line(label, cells):
    texts = [str(text).replace("|", r"\|") for text in (label, *cells)]
    return f"| {' | '.join(texts)} |"


def _caption(counts):
    """Says over how many seeds the cells are, and what ± means."""
    if not counts:
        return "no finished runs"
    if len(counts) > 1:
        return "n seeds; mean ± standard deviation"
    if counts == [1]:
        return "n = 1 seed"
    return f"n = {counts[0]} seeds; mean ± standard deviation"
