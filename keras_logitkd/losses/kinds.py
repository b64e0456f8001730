"""The two kinds of classifiers: what their logits mean, and which losses go with them.

A softmax has one logit for each of at least two classes that exclude each other. Sigmoids have a
logit for each label, which stands for itself: one logit for a question of yes and no.
"""

from keras import ops

SOFTMAX, SIGMOID = KINDS = ("softmax", "sigmoid")

_BINARY = ("BinaryCrossentropy", "BinaryFocalCrossentropy")
_ONE_OF_MANY = (
    "SparseCategoricalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "SmoothedCrossentropy",
)


def kind_of(given=None, hard_loss=None, classes=None):
    """Returns the kind of a classifier, or None where nothing says it.

    Args:
        given: what the user says, of `KINDS`, or None.
        hard_loss: a `keras.losses.Loss`, or None while there is none.
        classes: number of logits, or None while it is not known.

    Raises:
        ValueError: If two of them say different things.
    """
    if given not in (None, *KINDS):
        raise ValueError(f"`kind` must be one of {KINDS}. Received: kind={given!r}")
    if classes == 1 and given == SOFTMAX:
        raise ValueError(
            "`kind` must be sigmoid for a student with one logit: a softmax of one logit is 1 "
            f"whatever the logit is. Received: kind={given!r}"
        )
    said = kind_said_by(hard_loss)
    if classes == 1 and said == SOFTMAX:
        raise ValueError(
            "`loss` of a student with one logit must be BinaryCrossentropy(from_logits=True): a "
            f"softmax of one logit is 1 whatever the logit is. Received: {_name(hard_loss)}"
        )
    if given and said and given != said:
        instead = "binary_crossentropy" if given == SIGMOID else "categorical_crossentropy"
        raise ValueError(
            f"`loss` must be one of a classifier of kind {given}, such as {instead}. "
            f"Received: {_name(hard_loss)}, which is of kind {said}"
        )
    return given or said or (SIGMOID if classes == 1 else None)


def kind_said_by(hard_loss):
    """Returns the kind of classifier that a hard loss is for, or None where it does not say."""
    names = [cls.__name__ for cls in type(hard_loss).__mro__]
    for kind, losses in ((SIGMOID, _BINARY), (SOFTMAX, _ONE_OF_MANY)):
        if any(name in losses for name in names):
            return kind
    return getattr(hard_loss, "kind", None)


def check_terms(kind, loss, methods=()):
    """Raises ValueError where a logit loss or a method is no term for a kind of classifier.

    Args:
        kind: of `KINDS`, or None while it is not known.
        loss: a `keras.losses.Loss`, or None.
        methods: feature methods; those of a softmax have `needs_softmax`.
    """
    if kind != SIGMOID:
        return
    if (instead := getattr(loss, "for_sigmoids", None)) is not None:
        raise ValueError(
            f"`distillation_loss` must not be a divergence of softmax distributions where the "
            "student ends in sigmoids (one logit, or a binary hard loss): over one logit it is 0, "
            f'over several it is blind to a common shift. Pass {instead!r}, or "mse". '
            f"Received: {loss.name!r}"
        )
    for method in methods:
        if getattr(method, "needs_softmax", False):
            raise ValueError(
                f"{method.name} needs a classifier that ends in a softmax of at least two classes. "
                "Received: a student that ends in sigmoids (one logit, or a binary hard loss)"
            )


def _name(loss):
    return type(loss).__name__


def agreement(teacher, student, kind):
    """Returns which places two classifiers agree on, a tensor of the shape of the places.

    Of a softmax it is whether the largest logit is that of the same class; of sigmoids the share
    of labels whose logits have equal signs.

    Args:
        teacher, student: logits `(..., classes)`.
        kind: of `KINDS`; None counts as a softmax.
    """
    if kind == SIGMOID:
        return ops.mean(ops.cast((teacher > 0) == (student > 0), "float32"), axis=-1)
    return ops.argmax(teacher, axis=-1) == ops.argmax(student, axis=-1)
