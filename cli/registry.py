"""The commands of `logitkd`, one row each, in the order of its help."""

import importlib
import typing


class Command(typing.NamedTuple):
    """A row: a command of click, and where it is."""

    name: str  # also of the object in its module
    help: str
    module: str | None = None  # Defaults to the module of this package with its name.
    continued: str | None = None  # how it goes on after a signal: given `AGAIN`, or with `RESUME`

    def load(self):
        """Imports the command's module and returns the command."""
        module = self.module or f"keras_logitkd.cli.{self.name}"
        return getattr(importlib.import_module(module), self.name)


AGAIN, RESUME = "again", "--resume"
COMMANDS = [
    Command("train", "Train a network on hard labels.", continued=RESUME),
    Command("distill", "Distil a teacher into a student by matching logits.", continued=RESUME),
    Command("tune", "Search loss, temperature and alpha by validation accuracy.", continued=AGAIN),
    Command("sequential", "Distil along a chain of networks.", continued=AGAIN),
    Command("noise", "Distil from teachers that learned from wrong labels.", continued=AGAIN),
    Command("reproduce", "Run the paper's tables and figures.", continued=AGAIN),
    Command(
        "cache",
        "Compute teachers' logits ahead; list, verify, remove them.",
        continued=AGAIN,
    ),
    Command("evaluate", "Accuracy, loss, calibration and agreement of a model."),
    Command("export", "Write a network for phones, browsers, servers, and prove it."),
    Command("predict", "Name the classes of pictures."),
    Command("analyze", "Draw what distillation did: logits, calibration, classes."),
    Command("diagnose", "Say why a student is no better, and what to do."),
    Command("report", "Write one HTML page on a run, a sweep or a search."),
    Command("data", "List, show and import datasets."),
    Command("zoo", "List the models with their parameters and FLOPs."),
    Command("runs", "List past runs."),
]


def find(name):
    """Returns the `Command` of a name, or None."""
    return next((command for command in COMMANDS if command.name == name), None)
