"""Distillation of more than logits: features, relations, gradients. One module a method.

Importing this imports neither Keras nor TensorFlow: the names are known before that.
"""

from keras_logitkd.features.objective import check, stages_of
from keras_logitkd.features.registry import METHODS, get, options_of, parse, split_list

__all__ = ["METHODS", "check", "get", "options_of", "parse", "split_list", "stages_of"]
