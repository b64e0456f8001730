"""Keras's own losses whose targets are no logits: as distillation losses they make no sense."""

import keras

_PROBABILITIES = "probabilities or 0 and 1"
_CLASSES = "probabilities or one-hot labels"
_NUMBERS = "the numbers of classes"

# (what the targets must be, the spec that does the same for logits), by the name in keras.losses.
_TARGETS = {
    "BinaryCrossentropy": (_PROBABILITIES, "bkl:1"),
    "BinaryFocalCrossentropy": (_PROBABILITIES, "bkl:1"),
    "Dice": (_PROBABILITIES, "bkl:1"),
    "Tversky": (_PROBABILITIES, "bkl:1"),
    "Hinge": ("labels of -1 and 1", "bkl:0"),
    "SquaredHinge": ("labels of -1 and 1", "bkl:0"),
    "CategoricalCrossentropy": (_CLASSES, "kl:1"),
    "CategoricalFocalCrossentropy": (_CLASSES, "kl:1"),
    "CategoricalGeneralizedCrossEntropy": (_NUMBERS, "kl:1"),
    "CategoricalHinge": (_CLASSES, "kl:0"),
    "KLDivergence": ("probabilities", "kl:1"),
    "SparseCategoricalCrossentropy": (_NUMBERS, "kl:0"),
    "Circle": (_NUMBERS, "kl:0"),
    "CTC": ("sequences of labels", "kl:1"),
    "Poisson": ("rates of at least 0", "mse"),
    "MeanSquaredLogarithmicError": ("values of at least 0", "mse"),
}


def check_targets(loss):
    """Returns a loss, or raises ValueError where it would take a teacher's logits for what they
    are not. A subclass with a `call` of its own may know better, and passes.
    """
    for name, (targets, spec) in _TARGETS.items():
        refused = getattr(keras.losses, name, None)
        if refused is not None and isinstance(loss, refused) and _calls_as(loss, refused):
            raise ValueError(
                f"`distillation_loss` must be a loss between logits, but the targets of {name} "
                f'must be {targets}, and the teacher gives logits. Pass "{spec}" instead. '
                f"Received: {loss.name!r}, a {type(loss).__name__}"
            )
    return loss


def _calls_as(loss, cls):
    return type(loss).call is cls.call
