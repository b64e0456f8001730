"""Objectives that match a student's logits to its teacher's. One module a loss.

Names of losses are known without Keras, see `registry`; the losses are loaded when first used, or
at once where Keras is there already: what loads a saved model looks for them.
"""

import importlib
import sys

_HOMES = {
    "LogitLoss": "base",
    "logit_kl": "kl",
    "LogitKL": "kl",
    "parse_temperature": "kl",
    "logit_mse": "mse",
    "LogitMSE": "mse",
    "logit_bernoulli_kl": "bernoulli_kl",
    "LogitBernoulliKL": "bernoulli_kl",
    "logit_ttm": "ttm",
    "LogitTTM": "ttm",
    "SequentialLoss": "sequential",
    "get": "registry",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for each, home in _HOMES.items():
        globals()[each] = getattr(importlib.import_module(f"{__name__}.{home}"), each)
    return globals()[name]


if "keras" in sys.modules:
    __getattr__("LogitLoss")
