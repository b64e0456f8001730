"""What an experiment of the paper is: its runs, what the paper says of them, and what is drawn."""

import dataclasses
from collections.abc import Callable

from keras_logitkd.experiments.statistics import Claim
from keras_logitkd.experiments.sweep import Entry
from keras_logitkd.experiments.table_report import TEST_ACCURACY


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A table or a figure of the paper.

    Args:
        title: of the report.
        entries: function from a `Setup` to the list of `Entry`s that are run.
        claims: function from a `Setup` to what the paper says, a list of `Claim`s.
        paper: dict (row, column) to published percent, see `published`. Defaults to none.
        note: sentences for the end of the report. Defaults to nothing.
        measures: as in `table_report.Story`. Defaults to the test accuracy.
        figure: function of (frame, summary, setup) to a figure. Defaults to None: means with
            error bars.
        study: function of (frame, workspace) to what `table_report.Story.study` returns. Defaults
            to None.
        setups: dict of scales to `Setup`s that take the place of the usual ones. Defaults to none.
    """

    title: str
    entries: Callable
    claims: Callable
    paper: dict = dataclasses.field(default_factory=dict)
    note: str = ""
    measures: dict = dataclasses.field(default_factory=lambda: TEST_ACCURACY)
    figure: Callable | None = None
    study: Callable | None = None
    setups: dict = dataclasses.field(default_factory=dict)


def published(columns, rows):
    """Returns a printed table as the `paper` of an `Experiment`.

    Args:
        columns: of the table, a sequence of texts.
        rows: dict of a row's text to its percents, one for each column.
    """
    return {
        (row, column): percent
        for row, percents in rows.items()
        for column, percent in zip(columns, percents, strict=True)
    }


def grid(rows, columns, seeds, cell):
    """Returns the `Entry`s of a table's every row and column, one a seed.

    Args:
        rows, columns, seeds: sequences.
        cell: function of (row, column, seed) to a `Cell`.
    """
    return [
        Entry(row, column, cell(row, column, seed))
        for row in rows
        for column in columns
        for seed in seeds
    ]


def claims_of(row, pairs, about=None):
    """Returns `Claim`s on two columns of one row, a list.

    Args:
        row: of the table.
        pairs: sequence of (text, the better column, the other), or with the column of the frame
            that is compared as a fourth.
        about: what stands in brackets behind each text. Defaults to nothing.
    """
    ending = f" ({about})" if about else ""
    return [Claim(f"{text}{ending}", (row, a), (row, b), *value) for text, a, b, *value in pairs]


def student_claims(setup, pairs):
    """Returns `claims_of` the row of a setup's student."""
    return claims_of(setup.student, pairs)
