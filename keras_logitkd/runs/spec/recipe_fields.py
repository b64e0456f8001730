"""The fields of a recipe, one row each.

A row that is added before `recipes` is imported is an attribute of every recipe, an option of every
command that trains, and in a run's name and config.json where it is not its default.
"""

import dataclasses

from keras_logitkd.data import class_weights
from keras_logitkd.data.views import registry
from keras_logitkd.storage.fields import AT_LEAST_0, AT_LEAST_1, FRACTION, POSITIVE, Field


def _shares(value):
    return all(0 < share < 1 for share in value)


def _none_or_at_least_1(value):
    return value is None or value >= 1


def _none_or_positive(value):
    return value is None or all(part > 0 for part in value)


def _none_or_positive_number(value):
    return value is None or value > 0


_HEAD = "Epochs before these in which the last layer alone trains."
_HEAD_RATE = "Learning rate of --head-epochs. [default: --learning-rate]"
_FROZEN = "Whether batch normalization keeps the statistics and scales it came with."
_DROPS = "When the learning rate drops, as fractions of the epochs."
_FACTOR = "What a drop multiplies the learning rate by."
_SMOOTHING = "Weight of the other classes in the labels (Eq. 1)."
_HELD_OUT = "Fraction of the training set that is held out."
_EXAMPLES = "Training examples that are used, the same share of each class. [default: all]"
_WEIGHT = "What each class counts in the loss: balanced, or a JSON or CSV file of class and weight."
_MEAN = "Mean per channel over 255. [default: measured]"
_STD = "Standard deviation per channel over 255. [default: measured]"

# How a network is trained.
TRAINING = [
    Field("epochs", int, "Passes over the training set.", dataclasses.MISSING, *AT_LEAST_1),
    Field("batch_size", int, "Examples per step.", 128, *AT_LEAST_1),
    Field("learning_rate", float, "Learning rate of SGD at the start.", 0.1, *POSITIVE),
    Field("lr_drops", tuple[float, ...], _DROPS, (0.5, 0.75), "fractions in (0, 1)", _shares),
    Field("lr_drop_factor", float, _FACTOR, 0.1, *POSITIVE),
    Field("momentum", float, "Momentum of SGD.", 0.9, *FRACTION),
    Field("nesterov", bool, "Whether the momentum is Nesterov's.", True),
    Field("weight_decay", float, "L2 on the kernels, in PyTorch's sense.", 5e-4, *AT_LEAST_0),
    Field("label_smoothing", float, _SMOOTHING, 0.0, *FRACTION),
    Field("head_epochs", int, _HEAD, 0, *AT_LEAST_0),
    Field(
        "head_learning_rate", float | None, _HEAD_RATE, None, "positive", _none_or_positive_number
    ),
    Field("freeze_batch_norm", bool, _FROZEN, False),
]
# Which examples of its data, how their pixels are scaled and what their classes count: with the
# views what a teacher by name shares with its student.
DATA = [
    Field("validation", float, _HELD_OUT, 0.1, *FRACTION),
    Field("examples", int | None, _EXAMPLES, None, "at least 1", _none_or_at_least_1),
    Field("mean", tuple[float, ...] | None, _MEAN, None),
    Field("std", tuple[float, ...] | None, _STD, None, "positive", _none_or_positive),
    Field(
        "class_weight",
        str | None,
        _WEIGHT,
        None,
        "balanced or a JSON object of class to weight",
        class_weights.is_canonical,
    ),
]
TEACHER = Field("teacher", str, "The usual teacher.", "wrn-28-4")


def rows():
    """Returns the `Field`s of a recipe in their order, those of views' operations among them."""
    return [*TRAINING, *registry.recipe_fields(), *DATA, TEACHER]


def shared_with_teachers():
    """Returns the names of the fields that say what an example looks like and which are used."""
    return tuple(row.name for row in (*registry.recipe_fields(), *DATA))
