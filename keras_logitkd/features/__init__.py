"""Distillation of more than logits: features, relations, gradients. One module a method.

Importing this imports neither Keras nor TensorFlow: the names are known before that.
"""

from keras_logitkd.features.objective import Objective
from keras_logitkd.features.registry import METHODS, get
from keras_logitkd.losses.grammar import options_of, split_list

__all__ = ["METHODS", "Objective", "get", "options_of", "split_list"]
