"""Modules under the names that they had in version 0.1: scripts and saved models name them.

A model file of Keras says in which module a class is, such as `keras_logitkd.networks.layers`.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys

_PACKAGE = "keras_logitkd"
MOVED = {
    "data.errors": "storage.errors",
    "divergence": "losses.divergence",
    "experiments.report": "experiments.table_report",
    "layers": "networks.layers",
    "logit_store": "storage.logit_store",
    "logits": "networks.endings",
    "training": "runs",
    "training.cell": "runs.spec.cell",
    "training.fit": "runs.job",
    "training.hard_loss": "losses.smoothed_crossentropy",
    "training.recipes": "runs.spec.recipes",
    "training.run_directory": "runs.directory.run_directory",
    "training.settings": "runs.spec.settings",
    "training.workspace": "runs.workspace",
}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module by its former name; it is the same object, not a copy."""

    def find_spec(self, name, path=None, target=None):
        root, _, rest = name.partition(".")
        if root != _PACKAGE or rest not in MOVED:
            # Python would find, and run again, a file of the new package below its former name.
            if name.startswith(f"{_PACKAGE}.training."):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        former = module.__name__.removeprefix(f"{_PACKAGE}.")
        sys.modules[module.__name__] = importlib.import_module(f"{_PACKAGE}.{MOVED[former]}")


def install():
    """Makes the former names importable; none of the modules is imported by this."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
