"""What the commands that run many cells share: the workspace, progress, and the last table."""

import logging
import math
import pathlib
import shlex
import sys
import time

import click

from keras_logitkd.cli import session, tables
from keras_logitkd.experiments import sweep
from keras_logitkd.experiments.cell_order import Failure


def sweep_workspace(given):
    """Returns the `Workspace` of a command's options; unfinished cells are continued."""
    given = {"views": None, **given, "resume": True, "seed": 0}
    workspace = session.workspace_of(given, progress=None)
    logging.getLogger("keras_logitkd").setLevel(logging.WARNING)  # Not a line for each found run.
    is_debugging = "--debug" in (click.get_current_context().obj or ())
    # Where tracebacks of failed cells go.
    logging.getLogger(sweep.__name__).setLevel(logging.DEBUG if is_debugging else logging.WARNING)
    return workspace


def running(given, name):
    """Returns how the cells of a table are run and where its report goes, as keyword arguments.

    `name` is that of the report's directory below results/, unless `--output` names one.
    """
    output = pathlib.Path(given["output"] or pathlib.Path("results") / name)
    return {"output": output, "jobs": given["jobs"], "progress": Progress()}


def command_line():
    """Returns the command as it was typed, for people to run it again."""
    return shlex.join(["logitkd", *sys.argv[1:]])


class Progress:
    """Prints a line on stderr for every cell that is done, with the time that is left."""

    def __init__(self):
        self._started = time.monotonic()

    def __call__(self, done, total, cell, outcome):
        if isinstance(outcome, Failure):
            text = f"FAILED, {outcome.message}"
        else:
            text = f"{tables.percent(outcome['test_accuracy'])} in {outcome['seconds']:,.0f} s"
        minutes = (time.monotonic() - self._started) / done * (total - done) / 60
        click.echo(f"[{done}/{total}] {cell.label}: {text}; {minutes:,.0f} min left", err=True)


def print_report(report, as_json):
    """Prints means over seeds, verdicts and files. Returns the exit code: 1 if a cell failed."""
    failed = int((report.frame["error"] != "").sum())
    cells = [
        {
            "row": row,
            "column": column,
            "mean": _finite(values["mean"]),
            "std": _finite(values["std"]),
            "n": int(values["n"]),
        }
        for (row, column), values in report.summary.iterrows()
    ]
    if as_json:
        claims = [_claim(verdict) for verdict in report.verdicts]
        files = {what: str(path) for what, path in report.files.items()}
        tables.print_json({"cells": cells, "claims": claims, "failed": failed, "files": files})
    else:
        columns = ("row", "column", "test accuracy", "standard deviation", "n")
        tables.print_table(columns, [_texts(cell) for cell in cells])
        for verdict in report.verdicts:
            click.echo(verdict.sentence())
        for what, path in report.files.items():
            click.echo(f"{what}: {path}")
    if failed:
        total = len(report.frame)
        click.echo(f"{failed} of {total} cells failed; run again to try them again", err=True)
    return 1 if failed else 0


def _claim(verdict):
    difference = verdict.difference
    return {
        "claim": verdict.claim.text,
        "outcome": verdict.outcome,
        "difference": _finite(difference.mean),
        "half_width": _finite(difference.half_width),
        "n": difference.n,
    }


def _finite(number):
    """A number, or None where JSON has none for it."""
    return float(number) if math.isfinite(number) else None


def _texts(cell):
    mean, std = tables.percent(cell["mean"]), tables.percent(cell["std"])
    return (cell["row"], cell["column"], mean, std, str(cell["n"]))
