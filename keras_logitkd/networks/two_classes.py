"""Classifiers of two classes: with a softmax of two logits, or with one logit in a sigmoid.

softmax(z0, z1) says of the second class what sigmoid(z1 - z0) does.
"""

import logging

import keras
import numpy as np
from keras import ops

from keras_logitkd.networks.shapes import compatible

_LOG = logging.getLogger(__name__)


def differ(theirs, ours):
    """Whether two shapes of logits are the same but for one having two logits, the other one."""
    return {*theirs[-1:], *ours[-1:]} == {1, 2} and compatible(theirs[:-1], ours[:-1])


def say(teacher, theirs):
    """Logs in one line that a teacher's logits are turned into those of its student.

    Args:
        teacher: name of the teacher.
        theirs: number of its logits, 2 or 1.
    """
    if theirs == 2:
        _LOG.warning("%s has two logits for the student's one: z1 - z0 teaches it", teacher)
    else:
        _LOG.warning("%s has one logit z for the student's two: -z/2, z/2 teach it", teacher)


def as_one(logits):
    """Returns z1 - z0 of logits (..., 2), a tensor or array (..., 1)."""
    return logits[..., 1:] - logits[..., :1]


def as_two(logits):
    """Returns logits (..., 2) of which as_one is the given (..., 1): a tensor or array.

    Their sum is 0, so that no shift of the student's is asked for. Infinite ones give a
    probability of 0 and a finite logit beside it.
    """
    of = np if isinstance(logits, np.ndarray) else ops
    is_infinite, half = of.isinf(logits), logits / 2
    first = of.where(is_infinite, -of.maximum(logits, 0.0), -half)
    second = of.where(is_infinite, of.minimum(logits, 0.0), half)
    return of.concatenate([first, second], axis=-1)


def fitted(logits, classes):
    """Returns a teacher's logits, of one or two classes, with as many as the student has."""
    if (logits.shape[-1], classes) == (2, 1):
        return as_one(logits)
    if (logits.shape[-1], classes) == (1, 2):
        return as_two(logits)
    return logits


def with_two_logits(model):
    """Returns a functional `keras.Model` with two logits for the one of a model of known graph."""
    say(model.name, 1)
    return keras.Model(model.inputs, as_two(model.outputs[0]), name=model.name)
