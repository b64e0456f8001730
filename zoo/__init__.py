"""Classifiers that return logits, built by name.

Importing this module imports neither Keras nor TensorFlow: `build` does.
"""

import importlib

from keras_logitkd.zoo.registry import Architecture, build, list_models, parse_name

__all__ = [
    "Architecture",
    "build",
    "count_flops",
    "list_models",
    "parse_name",
    "torch_weights",
]


def __getattr__(name):
    if name == "count_flops":
        return importlib.import_module(f"{__name__}.flops").count_flops
    if name == "torch_weights":
        return importlib.import_module(f"{__name__}.torch_weights")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
