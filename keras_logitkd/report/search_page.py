"""The page on a search for the objective."""

import csv
import shlex

from keras_logitkd.analysis.search_pictures import search_pictures
from keras_logitkd.report import page
from keras_logitkd.report.commands import command_of_search
from keras_logitkd.report.page import INTEGER, NUMBER, PERCENT, SECONDS, TEXT, Section, Table
from keras_logitkd.report.run_page import again
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.storage.atomic import read_json

_COLUMNS = (
    ("trial", INTEGER),
    ("status", TEXT),
    ("loss", TEXT),
    ("tau", NUMBER),
    ("alpha", NUMBER),
    ("epochs", INTEGER),
    ("validation_accuracy", PERCENT),
    ("seconds", SECONDS),
    ("teacher_seconds", SECONDS),
    ("validation_balanced_accuracy", PERCENT),  # where that was the objective
)


def search_page(path):
    """Returns the `Page` on the directory of a search.

    Args:
        path: a pathlib.Path with search.json, trials.csv and best.json.

    Raises:
        ValueError: If the search is not finished.
    """
    search, best = read_json(path / "search.json"), read_json(path / "best.json")
    if best is None:
        raise ValueError(
            f"The search {path} is not finished. Run the same `logitkd tune` again to go on"
        )
    rows = read_trials(path / "trials.csv")
    finished = [row for row in rows if row["status"] == "finished"]
    options = best["options"]
    tau = "" if options.get("tau") is None else f", tau {options['tau']}"
    accuracy = page.shown(best["search"]["validation_accuracy"], PERCENT)
    lead = (
        f"The best of {len(rows)} trials is {options['loss']}{tau} with alpha "
        f"{options['alpha']:g}: {accuracy} on the validation images. The test set was not read."
    )
    columns = [column for column in _COLUMNS if column[0] in rows[0]]
    table = Table(
        "Trials, by the accuracy on the held-out part of the training set after the last epoch",
        [(name.replace("_", " "), kind) for name, kind in columns],
        [[row[name] for name, _ in columns] for row in rows],
    )
    images = [page.picture_image(picture) for picture in search_pictures(finished)]
    train_best = shlex.join(["logitkd", "distill", "--config", str(path / "best.json")])
    sections = [
        Section("What was searched", facts=_facts(search, best)),
        Section("Trials", tables=[table], text=[_ONE_NUMBER]),
        *([Section("Pictures", images=images)] if images else []),
        Section("Train the best", code=[("Command", train_best)]),
        again(command_of_search(RunDirectory.at(path), search), best["search"].get("versions", {})),
    ]
    return page.Page("Search", path.name, lead, sections)


_ONE_NUMBER = (
    "A validation accuracy is one number: differences of the size of its standard error are none. "
    "Train the best over seeds before you believe it."
)


def read_trials(file):
    """Returns trials.csv as a list of dicts; what is missing is None, tau may be infinite."""
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    types = {name: {TEXT: str, INTEGER: int}.get(kind, float) for name, kind in _COLUMNS}
    return [
        {name: None if text == "" else types[name](text) for name, text in row.items()}
        for row in rows
    ]


def _facts(search, best):
    axis, alpha = search["tau_range"], search["alpha"]
    choices = ", ".join(search["tau_choices"])
    taus = [f"{axis[0]:g} to {axis[1]:g}"] if axis else []
    taus += [choices] if choices else []
    held_out = search["recipe"]["validation"]
    return [
        ("Dataset", search["dataset"]),
        ("Student", search["model"]),
        ("Teacher", search["teacher"]),
        ("Method", search["method"]),
        ("Objective", search.get("objective", "val_accuracy")),
        ("Losses", ", ".join(search["losses"])),
        ("Temperatures", "; ".join(taus) or "none"),
        ("alpha", f"{alpha[0]:g} to {alpha[1]:g}" if isinstance(alpha, list) else f"{alpha:g}"),
        ("Epochs", str(search["recipe"]["epochs"])),
        ("Held out", f"{100 * held_out:g}% of the training set"),
        ("Seed", str(search["seed"])),
        ("Time", f"{best['search']['seconds']:,.0f} s"),
        ("Failed", str(best["search"]["failed"])),
    ]
