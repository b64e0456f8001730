"""The experiments of the paper by name, which is what `logitkd reproduce` calls them."""

import importlib

# The module of each, which has an `Experiment` named `EXPERIMENT`; imported when it is asked for.
EXPERIMENTS = {
    name: f"keras_logitkd.experiments.{name}"
    for name in (
        *("table2", "table3", "table4", "table5", "table6", "ensemble"),
        *("figure2", "figure3", "figure4", "figure5", "figure6"),
    )
}


def get(name):
    """Returns the `Experiment` of a name of `EXPERIMENTS`."""
    return importlib.import_module(EXPERIMENTS[name]).EXPERIMENT
