"""Sweeps: a table is a list of cells, each a normal run, and becomes one tidy frame."""

import collections
import dataclasses
import logging

import keras
import pandas as pd

from keras_logitkd.experiments.cell_order import Failure, in_order, run_all
from keras_logitkd.experiments.worker_pool import WorkerPool
from keras_logitkd.runs.checks import check_cells
from keras_logitkd.runs.spec.cell import Cell

_log = logging.getLogger(__name__)

# What of a run's result is a column; missing ones are empty.
RESULTS = (
    *("test_accuracy", "validation_accuracy", "train_accuracy", "test_agreement"),
    *("teacher_test_accuracy", "train_clean_accuracy", "flipped_clean_accuracy"),
    *("memorisation", "seconds"),
)
COLUMNS = (
    *("row", "column", "seed", "model", "teacher", "loss", "alpha", "noise", "epochs"),
    *(*RESULTS, "run", "error"),
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A cell and where it stands in a table.

    Args:
        row: of the table, text.
        column: of the table, text.
        cell: a `Cell`.
    """

    row: str
    column: str
    cell: Cell


def check_sweep(entries, workspace, jobs=1):
    """Refuses a sweep that could not run to its table, before anything is trained or written.

    Arguments and errors are those of `run_sweep`. Returns the entries with settled cells.
    """
    if not entries:
        raise ValueError("A sweep must have at least one cell. Received: none")
    if jobs < 1:
        raise ValueError(f"`jobs` must be at least 1. Received: jobs={jobs}")
    places = collections.Counter((entry.row, entry.column, entry.cell.seed) for entry in entries)
    (row, column, seed), count = places.most_common(1)[0]
    if count > 1:
        raise ValueError(
            "A sweep must have one cell for each row, column and seed. "
            f"Received: {count} for {row}, {column}, seed {seed}"
        )
    # Cells that are one run must be equal: two processes may not write to one directory.
    entries = [
        dataclasses.replace(entry, cell=entry.cell.settled(workspace.recipe_of))
        for entry in entries
    ]
    check_cells(in_order(entry.cell for entry in entries), workspace)
    return entries


def run_sweep(entries, workspace, jobs=1, report=None):
    """Runs the cells of a table; finished ones are found, unfinished ones continued.

    A cell that fails is reported and takes only those with it that it teaches.

    Args:
        entries: list of `Entry`.
        workspace: a `Workspace`; its `resume` should be True.
        jobs: processes that run cells at the same time. Defaults to 1: in this process.
        report: function of (done, total, cell, outcome), called after every cell; the outcome is
            the result of the run, or a `Failure`. Defaults to None.

    Returns:
        A pandas frame with one row an entry and the columns `COLUMNS`, in the order of `entries`;
        `error` is empty where a run is finished.

    Raises:
        ValueError: If there are no entries, two share their place in the table, `jobs` is below
            1, or a cell does not fit the data (see `check_cells`).
    """
    return run_checked(check_sweep(entries, workspace, jobs), workspace, jobs, report)


def run_checked(entries, workspace, jobs=1, report=None):
    """Does what `run_sweep` does, for entries that `check_sweep` returned."""
    cells = [entry.cell for entry in entries]
    if jobs == 1:
        outcomes = run_all(cells, lambda cell: run_cell(workspace, cell), 1, report)
    else:
        with WorkerPool(workspace.to_config(), jobs) as pool:
            outcomes = run_all(cells, pool.run, jobs, report)
    frame = pd.DataFrame([_row(entry, outcomes) for entry in entries], columns=COLUMNS)
    return frame.astype(dict.fromkeys(RESULTS, float))  # Columns without any number, too.


def run_cell(workspace, cell):
    """Runs one cell. Returns its result with the name of the run, or a `Failure`."""
    # Keras numbers its objects: each run counts from 0, whatever ran before it in this process.
    # It also frees the memory of those before.
    keras.backend.clear_session()
    try:
        run = workspace.run(cell, wait=True)  # Two sweeps may share cells.
    except Exception as error:  # Whatever it is, the other cells go on, and the table shows it.
        _log.debug("%s failed", cell.label, exc_info=True)
        return Failure(" ".join(f"{type(error).__name__}: {error}".split()))
    return {"run": run.directory.name, **run.result}


def _row(entry, outcomes):
    cell, outcome = entry.cell, outcomes[entry.cell]
    failed = isinstance(outcome, Failure)
    names = [getattr(teacher, "model", teacher) for teacher in cell.teachers]
    return {
        "row": entry.row,
        "column": entry.column,
        "seed": cell.seed,
        "model": cell.model,
        "teacher": ",".join(names),
        "loss": cell.loss or "ce",
        "alpha": cell.alpha if cell.teachers else 0.0,
        "noise": cell.noise.label if cell.noise else "",
        "epochs": cell.recipe.epochs,
        **{name: None if failed else outcome.get(name) for name in RESULTS},
        "run": "" if failed else outcome["run"],
        "error": outcome.message if failed else "",
    }
