"""From a trained network to a file that runs elsewhere, and what that file is worth.

Importing this imports neither Keras nor TensorFlow.
"""

import importlib

_HOMES = {"export": "exporting", "measure": "measuring"}

__all__ = [*_HOMES]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
