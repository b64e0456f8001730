"""Hard losses: what `compile(loss=...)` names, the default, and the labels that each needs."""

import keras
from keras import ops

from keras_logitkd.losses import refusals
from keras_logitkd.losses.kinds import SIGMOID, SOFTMAX, kind_said_by
from keras_logitkd.networks.shapes import compatible

_BY_NAME = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "binary_focal_crossentropy": keras.losses.BinaryFocalCrossentropy,
}
# Losses of Keras that have no from_logits and take probabilities.
_OF_PROBABILITIES = (
    keras.losses.CategoricalGeneralizedCrossEntropy,
    keras.losses.Dice,
    keras.losses.KLDivergence,
    keras.losses.MeanSquaredLogarithmicError,
    keras.losses.Poisson,
    keras.losses.Tversky,
)
_TOLERANCE = 1e-3  # of the sum of a label's probabilities


@keras.saving.register_keras_serializable(package="keras_logitkd")
class LabelCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits and labels in the form in which they come: the default hard loss.

    Of logits `(..., classes)`, labels `(...,)` are the numbers of classes, and labels `(...,
    classes)` are one-hot or probabilities. One logit, or `kind="sigmoid"`, makes it the binary
    cross-entropy, with labels in [0, 1] for each logit.

    Args:
        kind: `"softmax"`, `"sigmoid"`, or None: by the number of logits. Defaults to None.
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"label_crossentropy"`.
    """

    def __init__(
        self, kind=None, reduction="sum_over_batch_size", name="label_crossentropy", dtype=None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.kind = kind

    def call(self, y_true, y_pred):
        if self.kind == SIGMOID or y_pred.shape[-1] == 1:
            return keras.losses.binary_crossentropy(y_true, y_pred, from_logits=True)
        if not is_per_class(y_true, y_pred):
            return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        message = (
            "`loss` must be given for labels that are neither numbers of classes nor one-hot: pass "
            'Distiller(..., kind="sigmoid") or BinaryCrossentropy(from_logits=True) where several '
            "labels may hold at once. Received: labels whose sum over the classes is not 1"
        )
        y_true = refusals.unless(lambda: _sum_to_one(y_true), message, y_true)
        return keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=True)

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


def _sum_to_one(labels):
    return ops.max(ops.abs(ops.sum(labels, axis=-1) - 1.0)) <= _TOLERANCE


def hard_loss(loss, kind=None):
    """Returns the hard loss on logits that `compile(loss=...)` names, or raises ValueError.

    `kind` of the classifier is what is known before the loss is.
    """
    if loss is None:
        return LabelCrossentropy(kind)
    if isinstance(loss, str):
        if loss not in _BY_NAME:
            raise ValueError(
                f"`loss` must be a keras.losses.Loss on logits or one of {[*_BY_NAME]}. "
                f"Received: loss={loss!r}"
            )
        return _BY_NAME[loss](from_logits=True)
    if not isinstance(loss, keras.losses.Loss):
        raise ValueError(f"`loss` must be a keras.losses.Loss instance. Received: loss={loss!r}")
    name = type(loss).__name__
    if getattr(loss, "from_logits", True) is False:
        raise ValueError(
            "`loss` must take logits: the student returns them. Pass from_logits=True to "
            f"{name}. Received: from_logits=False"
        )
    if type(loss) in _OF_PROBABILITIES:
        raise ValueError(
            f"`loss` must take logits: the student returns them, and {name} takes probabilities. "
            "Pass a cross-entropy with from_logits=True, or a subclass whose call takes the "
            f"softmax or sigmoid first. Received: {name}"
        )
    if loss.reduction in (None, "none"):
        raise ValueError("`loss` must reduce over the batch. Received: reduction=None")
    return loss


def is_per_class(label, logits):
    """Whether labels have a value for each class, as one-hot ones; sizes must be known for that."""
    ranks = label.shape.rank, logits.shape.rank
    return None not in ranks and ranks[0] == ranks[1] and label.shape[-1] != 1


def check_labels(loss, label, logits):
    """Raises ValueError where labels are not in the form that a hard loss of Keras takes.

    Args:
        loss: the hard loss.
        label, logits: tensors of a batch.
    """
    name, shape = type(loss).__name__, tuple(label.shape) if label.shape.rank is not None else None
    if shape is None or not isinstance(loss, keras.losses.Loss):
        return
    numbers = name in ("SparseCategoricalCrossentropy", "SmoothedCrossentropy")
    if numbers and is_per_class(label, logits):
        raise ValueError(
            f"`loss` must be CategoricalCrossentropy(from_logits=True) for one-hot labels: {name} "
            f"takes the numbers of the classes. Received: labels of shape {shape} for logits of "
            f"shape {tuple(logits.shape)}"
        )
    per_class = name.startswith("Categorical") and kind_said_by(loss) == SOFTMAX
    if per_class and not is_per_class(label, logits):
        raise ValueError(
            f"`loss` must be SparseCategoricalCrossentropy(from_logits=True) for labels that are "
            f"the numbers of classes: {name} takes one-hot ones. Received: labels of shape {shape} "
            f"for logits of shape {tuple(logits.shape)}"
        )
    if kind_said_by(loss) == SIGMOID and not compatible(shape, tuple(logits.shape)):
        raise ValueError(
            f"{name} takes a label, 0 or 1, for each logit. Received: labels of shape {shape} for "
            f"logits of shape {tuple(logits.shape)}; for numbers of classes pass "
            "SparseCategoricalCrossentropy(from_logits=True)"
        )
