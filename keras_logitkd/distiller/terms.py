"""The terms of a Distiller's loss: on labels, on the teacher's logits, of feature methods.

The value of a term is a function of a batch: a scalar to be summed over the replicas, or None where
the batch has not what it is of and it weighs nothing.
"""

import typing

from keras_logitkd.features.terms import value_of


class Term(typing.NamedTuple):
    """A summand of the loss."""

    name: str  # in the logs
    weight: object  # a number, with 0 the term is logged only, or a tensor, which may change
    value: typing.Callable


def logit_term(name, weight, loss, target, check_lack):
    """Returns the `Term` of a loss of the student's logits and a target.

    Args:
        name, weight: of the term.
        loss: a `keras.losses.Loss`.
        target: of the loss, an attribute of `Batch`: `"label"` or `"teacher_logits"`.
        check_lack: a function of target and weight that raises ValueError where a batch must not
            lack the target.
    """

    def value(batch):
        wanted = getattr(batch, target)
        if wanted is not None and batch.student_logits is not None:
            return loss(wanted, batch.student_logits, batch.weight)
        return check_lack(target, weight)

    return Term(name, weight, value)


def feature_term(method):
    """Returns the `Term` of a feature method, without a value where features are left out."""

    def value(batch):
        return None if batch.student_taps is None else value_of(method, batch)

    return Term(method.name, method.weight, value)


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
    """Whether a term is in the total; one of a weight that may change is, whatever it is now."""
    return not isinstance(term.weight, float) or term.weight != 0
