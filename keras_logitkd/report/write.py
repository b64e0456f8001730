"""Finds out what a directory is, and writes the page on it."""

import pathlib

from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.experiments.table_report import SWEEP_FILE
from keras_logitkd.report.page import render
from keras_logitkd.report.run_page import run_page
from keras_logitkd.report.search_page import search_page
from keras_logitkd.report.sweep_page import sweep_page
from keras_logitkd.storage.atomic import replacing

FILE = "report.html"


def write_page(what, output=None, runs_dir="runs", data_dir=None, cache=None, networks=True):
    """Writes one HTML file on a run, a sweep or a search; it loads nothing from elsewhere.

    Args:
        what: the directory of a run or of a search, or its name in `runs_dir`; or the output
            directory of a sweep.
        output: path of the file. Defaults to None: report.html in that directory.
        runs_dir: where runs of that name are. Defaults to "runs".
        data_dir: where TFDS datasets are. Defaults to what the run has recorded.
        cache: function from a runs directory to the `LogitCache` where stored logits are looked
            for. Defaults to None: nowhere.
        networks: whether pictures and diagnosis, which run the networks, are made. Defaults to
            True.

    Returns:
        The pathlib.Path of the file.

    Raises:
        ValueError: If there is no such directory, or what it holds is not finished.
        OSError: If the file cannot be written.
    """
    directory = _find(what, runs_dir)
    if (directory / "search.json").is_file():
        content = search_page(directory)
    elif (directory / SWEEP_FILE).is_file() or (directory / "table.csv").is_file():
        content = sweep_page(directory, networks=networks)
    else:
        run = open_run(directory, runs_dir, data_dir)
        content = run_page(run, cache and cache(directory.parent), networks)
    output = directory / FILE if output is None else pathlib.Path(output)
    with replacing(output) as partial:
        partial.write_text(render(content), encoding="utf-8")
    return output


def _find(what, runs_dir):
    marks = ("config.json", "search.json", SWEEP_FILE, "table.csv")
    for directory in (pathlib.Path(what), pathlib.Path(runs_dir) / what):
        if any((directory / mark).is_file() for mark in marks):
            return directory.resolve()
    raise ValueError(
        "A report must be of the directory of a run, a search or a sweep, or of the name of one in "
        f"{runs_dir}. Received: {what}"
    )
