"""One batch as the Distiller sees it: the data, then what the networks say of it."""

import dataclasses
import typing

import keras
from keras import ops

_KEYS = ("label", "teacher_logits", "index")


@dataclasses.dataclass
class Batch:
    """What a step knows of its examples; None where it does not.

    Attributes:
        inputs: the networks' inputs.
        label: the labels.
        index: the index of each example in its dataset, integers (batch,).
        sample_weight: as it was given: one weight an example, or a place.
        kind: of the classifier, see `losses.kinds`; None where nothing says it.
        mask, weight: of each place of the logits, see `networks.places`. `settle` fills them in.
        teacher_logits, student_logits: tensors (batch, ..., classes).
        teacher_taps: by the teacher's statistics, tensors by the name of their tap; None where the
            teacher did not run here.
        student_taps: tensors by the name of their tap; None where feature terms are left out.
        training: whether the student runs in training mode.
        teacher_gradient, student_gradient: of the scores with respect to the inputs.
    """

    inputs: typing.Any
    label: typing.Any = None
    index: typing.Any = None
    sample_weight: typing.Any = None
    kind: str | None = None
    mask: typing.Any = None
    weight: typing.Any = None
    teacher_logits: typing.Any = None
    student_logits: typing.Any = None
    teacher_taps: dict | None = None
    student_taps: dict | None = None
    training: bool = False
    teacher_gradient: typing.Any = None
    student_gradient: typing.Any = None

    @classmethod
    def of(cls, x, y, sample_weight=None):
        """Returns the batch of what Keras gives; ValueError if targets have unknown keys."""
        if isinstance(sample_weight, dict):  # Keras repeats them for each entry of the targets
            sample_weight = next(iter(sample_weight.values()))
        if not isinstance(y, dict):
            return cls(x, y, sample_weight=sample_weight)
        if unknown := set(y) - set(_KEYS):
            raise ValueError(
                f"Targets must be labels or a dictionary with the keys {_KEYS}. "
                f"Received unknown keys: {sorted(unknown)}"
            )
        logits = y.get("teacher_logits")
        return cls(
            x,
            y.get("label"),
            y.get("index"),
            sample_weight,
            teacher_logits=None if logits is None else ops.stop_gradient(logits),
        )

    @property
    def size(self):
        """Number of examples."""
        return ops.shape(keras.tree.flatten(self.inputs)[0])[0]

    @property
    def counted(self):
        """Number of examples, or of the places that a mask leaves."""
        return self.size if self.mask is None else ops.sum(ops.cast(self.mask, "int32"))
