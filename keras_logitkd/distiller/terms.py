"""The terms of a Distiller's loss: on labels, on the teacher's logits, of feature methods.

A term has a name, a weight, and `value(batch)`: a scalar to be summed over the replicas, or None
where the batch has not what it is of and it weighs nothing.
"""

import dataclasses

import keras

from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.features.terms import value_of

_NEEDS = {
    "label": "the hard loss needs labels. Received: targets without labels",
    "teacher_logits": "distillation needs a teacher: pass one to Distiller, or targets "
    '{"label": ..., "teacher_logits": ...}. Received: neither',
}


@dataclasses.dataclass(frozen=True)
class LogitTerm:
    """A loss of the student's logits and a target.

    Args:
        name: in the logs.
        weight: of the term, a number; at 0 it is logged where the data is there.
        loss: a `keras.losses.Loss`.
        target: of the loss, an attribute of `Batch`: `"label"` or `"teacher_logits"`.
        alpha: of the distiller, for messages.
    """

    name: str
    weight: float
    loss: keras.losses.Loss
    target: str
    alpha: float

    def value(self, batch):
        """Returns the reduced loss of a batch, a scalar, or None; raises ValueError."""
        target = getattr(batch, self.target)
        if target is not None and batch.student_logits is not None:
            return self.loss(target, batch.student_logits, batch.sample_weight)
        if self.weight:
            raise ValueError(f"With alpha={self.alpha} {_NEEDS[self.target]}")
        return None


@dataclasses.dataclass(frozen=True)
class FeatureTerm:
    """The term of a feature method."""

    method: FeatureMethod

    @property
    def name(self):
        """In the logs."""
        return self.method.name

    @property
    def weight(self):
        """Of the term, a variable: it may change over the epochs."""
        return self.method.weight

    def value(self, batch):
        """Returns the term of a batch, a scalar, or None where features are left out."""
        return None if batch.student_taps is None else value_of(self.method, batch)


def total_of(groups, batch):
    """Returns (total, {name: value}) of a batch.

    Args:
        groups: lists of terms. The terms of a group are added up before the groups are.
        batch: a `Batch`.
    """
    values, parts = {}, []
    for terms in groups:
        found = [(term, term.value(batch)) for term in terms]
        found = [(term, value) for term, value in found if value is not None]
        values |= {term.name: value for term, value in found}
        shares = [term.weight * value for term, value in found if _weighs(term)]
        if shares:
            parts.append(sum(shares))
    return (sum(parts[1:], parts[0]) if parts else 0), values


def _weighs(term):
    """Whether a term is in the total; a variable is, whatever it is now."""
    return not isinstance(term.weight, float) or term.weight != 0
