"""Teachers that predict probabilities: their logits, by which the Distiller compares."""

import numpy as np
from keras import ops

from keras_logitkd.networks import callables

_KINDS = ("softmax", "sigmoid")
_SUM_TOLERANCE = 1e-3


def from_probabilities(predict, kind="softmax"):
    """Returns a teacher, a callable from a batch to logits, of what predicts probabilities.

    With `kind="softmax"` the logits are z_k = log p_k, whose softmax is p; with `"sigmoid"`
    z_k = log p_k - log(1 - p_k), whose sigmoid is p. Logarithms are taken before anything is
    rounded, in the precision of the probabilities. Exact zeros stay exact: their logits are -inf
    (and those of ones by sigmoid inf), which a KL at finite temperatures takes and `"mse"` cannot.

    Args:
        predict: A fitted estimator with `predict_proba`, as those of scikit-learn and XGBoost, or
            a function from a batch, as the data has it, to probabilities of shape
            `(batch, ..., classes)`. It is called with NumPy arrays. A Keras layer or model, a
            `tf.Module` or a `tf.function` gets tensors and runs in the step. The classes are in
            the order of the labels; `estimator.classes_` says which an estimator has.
        kind: `"softmax"` where the classes exclude each other and their probabilities sum to 1;
            `"sigmoid"` where each is a probability of its own, also as `(batch,)` for one, or as
            a list of `(batch, 2)` for each label, as some estimators of several labels return it.
            Defaults to `"softmax"`.

    Returns:
        A callable from a batch to float32 logits, for `Distiller(teacher=...)`.

    Raises:
        ValueError: If there is nothing to call, or `kind` is unknown; and when it is called on
            arrays, if there are no probabilities of this kind.

    Example:

    >>> forest = sklearn.ensemble.RandomForestClassifier().fit(x, y)
    >>> distiller = Distiller(from_probabilities(forest), student, "kl:4")
    """
    function = getattr(predict, "predict_proba", predict)
    if not callable(function) or isinstance(predict, type):
        raise ValueError(
            "`predict` must be a fitted estimator with predict_proba or a function from a batch to "
            f"probabilities. Received: predict={predict!r}"
        )
    if kind not in _KINDS:
        raise ValueError(f"`kind` must be one of {_KINDS}. Received: kind={kind!r}")
    return FromProbabilities(function, kind)


class FromProbabilities:
    """See `from_probabilities`; with a layer that resizes the probabilities, or None."""

    def __init__(self, function, kind, resize=None):
        self.function, self.kind, self.resize = function, kind, resize
        self.in_graph = callables.runs_in_graph(function)
        self.__name__ = f"from_probabilities({callables.name_of(function)})"

    def resized(self, layer):
        """Returns the same with probabilities of other places, by a `ResizeLogits` layer."""
        return type(self)(self.function, self.kind, layer)

    def __call__(self, batch):
        if self.in_graph:
            found = ops.cast(callables.call(self.function, batch), "float32")
            if self.resize is not None:
                found = ops.minimum(self.resize(found), 1.0)
            rest = ops.log1p(-found) if self.kind == "sigmoid" else 0.0
            return ops.log(found) - rest
        found = self.function(batch)
        if self.kind == "sigmoid" and isinstance(found, list):
            found = [self._at_places(_checked_pair(np.asarray(each))) for each in found]
            return np.stack([np.diff(_log(each))[:, 0] for each in found], axis=-1)
        found = self._at_places(_checked(np.asarray(found), self.kind))
        if self.kind == "softmax":
            return _log(found)
        found = found[:, None] if found.ndim == 1 else found
        with np.errstate(divide="ignore"):
            return (np.log(found) - np.log1p(-found)).astype(np.float32)

    def _at_places(self, found):
        if self.resize is None:
            return found
        return np.minimum(ops.convert_to_numpy(self.resize(found)), 1.0)  # rounding may exceed it


def _log(probabilities):
    with np.errstate(divide="ignore"):
        return np.log(probabilities).astype(np.float32)


def _check_range(found):
    if not np.all((found >= 0) & (found <= 1)):
        raise ValueError(
            "`predict` must return probabilities, in [0, 1]. Received: values from "
            f"{np.min(found)} to {np.max(found)}"
        )


def _check_sums(found, what):
    sums = found.sum(-1, dtype=np.float64)
    if np.any(np.abs(sums - 1) > _SUM_TOLERANCE):
        raise ValueError(
            f"`predict` must return probabilities that sum to 1 over {what}. Received: sums from "
            f"{sums.min():.4g} to {sums.max():.4g}"
        )


def _checked_pair(found):
    """Returns the probabilities of no and yes of a label, or raises ValueError."""
    _check_range(found)
    if found.ndim != 2 or found.shape[1] != 2:
        raise ValueError(
            "`predict` must return probabilities of no and yes of each label, (batch, 2); leave "
            f"out labels that an estimator saw one value of. Received: shape {found.shape}"
        )
    _check_sums(found, "no and yes of a label")
    return found


def _checked(found, kind):
    """Returns probabilities, or raises ValueError where they are none."""
    _check_range(found)
    if kind == "softmax" and found.ndim < 2:
        raise ValueError(
            "`predict` must return probabilities of shape (batch, classes); for one probability an "
            f'example pass kind="sigmoid". Received: shape {found.shape}'
        )
    if kind == "softmax":
        what = 'the classes; for labels that do not exclude each other pass kind="sigmoid"'
        _check_sums(found, what)
    return found
