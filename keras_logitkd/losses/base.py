"""What the losses on logits share: their base class, checks, and a gradient of their own.

Equation numbers are those of Kim et al., "Comparing Kullback-Leibler Divergence and Mean Squared
Error Loss in Knowledge Distillation", IJCAI 2021. Written in `keras.ops`: any backend.
"""

import math
import numbers

import keras
from keras import ops

from keras_logitkd.losses import divergence, refusals

SCALES = ("max", "squared", "none")  # factors of a divergence
CLASS_REDUCTIONS = ("mean", "sum")


class LogitLoss(keras.losses.Loss, keras.distillation.DistillationLoss):
    """Base of the objectives: a Keras loss of (teacher logits, student logits).

    Subclasses define `call(y_true, y_pred)`. An instance is a `keras.losses.Loss`, fits our
    `Distiller`, and is a `keras.distillation.DistillationLoss` as well.
    """

    # What to write in its place for a classifier that ends in sigmoids; None where it serves both.
    for_sigmoids = None

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """Computes the reduced loss, as `keras.distillation.Distiller` asks for it."""
        return self(teacher_outputs, student_outputs)


def with_gradient(value_and_gradient, teacher, student):
    """Returns the loss of logits from a function that gives its values and their gradient.

    Args:
        value_and_gradient: From teacher and student logits of shape `(..., classes)`, in the
            dtype of `divergence.wide`, to values `(...,)` and their slope `(..., classes)`.
        teacher, student: As `check_logits` returns them.

    Returns:
        A float32 tensor of shape `(...,)`, through which that gradient flows to the student.
    """

    @ops.custom_gradient
    def loss(teacher, student):
        value, slope = value_and_gradient(
            ops.cast(teacher, divergence.wide()), ops.cast(student, divergence.wide())
        )
        slope = ops.cast(slope, "float32")

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return ops.zeros_like(teacher), ops.expand_dims(upstream, axis=-1) * slope

        return ops.cast(value, "float32"), gradient

    return loss(ops.stop_gradient(teacher), student)


def check_logits(teacher_logits, student_logits):
    """Returns both as float32 tensors `(..., classes)`; ValueError where they do not fit.

    Sizes that are not known yet fit any other.
    """
    teacher = ops.cast(ops.convert_to_tensor(teacher_logits), "float32")
    student = ops.cast(ops.convert_to_tensor(student_logits), "float32")
    shapes = tuple(map(_known_shape, (teacher, student)))
    fits = None not in shapes and len(shapes[0]) == len(shapes[1]) >= 2
    if not fits or any(len({*sizes} - {None}) > 1 for sizes in zip(*shapes, strict=True)):
        raise ValueError(
            "Teacher and student logits must both have shape (..., classes), at least two axes, "
            "with the same examples and the same classes. "
            f"Received: teacher {shapes[0]}, student {shapes[1]}"
        )
    if None in (shapes[0][-1], shapes[1][-1]):
        # Where one of them had a single class at run time, it would be broadcast in silence.
        teacher = ops.reshape(teacher, ops.shape(student))
    return teacher, student


def check_classes(teacher, student):
    """Returns both logits, or raises ValueError where they are known to be of a single class."""
    if teacher.shape[-1] == 1 or student.shape[-1] == 1:
        raise ValueError(
            "A divergence of softmax distributions needs at least 2 classes: of one logit it is 0 "
            "whatever the student says. Pass bkl:T (LogitBernoulliKL) or mse for a logit that "
            f"stands for itself. Received: logits of shape {tuple(student.shape)}"
        )
    return teacher, student


def check_finite(teacher, loss, instead):
    """Returns a teacher's logits; infinite ones are refused, for a loss without a value there.

    As `check_probabilities` it looks at values: eagerly, or when a step of TensorFlow runs, see
    `refusals`. What is nan shows itself.

    Args:
        teacher: float32 tensor `(..., classes)`.
        loss, instead: what refuses them and what takes them, for the message.
    """
    return refusals.unless(
        lambda: ~ops.any(ops.isinf(teacher)),
        f"`teacher_logits` must be finite for {loss}: pass {instead}, which is exact where a "
        "probability is 0. Received: infinite logits",
        teacher,
    )


def check_probabilities(teacher):
    """Returns a teacher's logits, `(..., classes)`; refused where they say no probabilities."""
    return refusals.unless(
        lambda: ~ops.any(ops.isinf(ops.max(teacher, axis=-1))),
        "`teacher_logits` may hold -inf, a probability of 0, but must have a finite largest logit "
        "in each example: leave the others out or set their weight and logits to 0. Received: "
        "examples without one",
        teacher,
    )


def _known_shape(tensor):
    """The static shape as a tuple, or None where not even the rank is known."""
    return None if getattr(tensor.shape, "rank", 0) is None else tuple(tensor.shape)


def check_choice(argument, value, allowed):
    """Returns `value` if it is allowed, or raises ValueError."""
    if value not in allowed:
        raise ValueError(f"`{argument}` must be one of {allowed}. Received: {argument}={value!r}")
    return value


def check_temperature(temperature, scale="max"):
    """Returns a temperature as a float, or raises ValueError, also where a scale has no limit."""
    check_choice("scale", scale, SCALES)
    is_number = isinstance(temperature, numbers.Real) and not isinstance(temperature, bool)
    if not is_number or not temperature >= 0:
        raise ValueError(
            f"`temperature` must be a number in [0, inf]. Received: temperature={temperature!r}"
        )
    vanishes = (temperature == 0 and scale != "max") or (
        temperature == math.inf and scale == "none"
    )
    if vanishes:
        raise ValueError(
            f'`scale` must be "max" at temperature {temperature} (or "squared" at inf): with '
            f"another factor there is no useful limit. Received: scale={scale!r}"
        )
    return float(temperature)
