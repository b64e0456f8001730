"""Knowledge distillation on logits for Keras, correct at every temperature.

Attributes are loaded when first used: importing the package imports neither Keras nor TensorFlow.
"""

import importlib

from keras_logitkd import moved

_HOMES = {
    "DistillationHyperModel": "tuning",
    "Distiller": "distiller",
    "FusedBatchNormalization": "networks.layers",
    "LogitStore": "storage.logit_store",
    "adapt": "networks.adapters",
    "from_probabilities": "networks.probabilities",
    "read_description": "runs.directory.description",
    "strip_activation": "networks.endings",
    "strip_softmax": "networks.endings",
    "to_stock": "networks.layers",
}
_MODULES = (
    "data",
    "deploy",
    "distiller",
    "features",
    "layers",
    "logit_store",
    "logits",
    "losses",
    "training",
    "tuning",
    "zoo",
)

__version__ = "0.1.0"
__all__ = [*_HOMES, *_MODULES, "__version__"]

moved.install()


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
