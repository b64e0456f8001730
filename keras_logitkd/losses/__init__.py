"""Objectives that match a student's logits to its teacher's.

Equation numbers are those of Kim et al., "Comparing Kullback-Leibler Divergence and Mean Squared
Error Loss in Knowledge Distillation", IJCAI 2021. Written in `keras.ops`: any backend.
"""

import math
import numbers

import keras
from keras import ops

from keras_logitkd.losses import divergence

_PACKAGE = "keras_logitkd"
_SCALES = ("max", "squared", "none")
_CLASS_REDUCTIONS = ("mean", "sum")
_NAMES = (
    'one of "mse", "kl", "kl:T" with T in [0, inf], stages such as "kl:3@0,mse@100", a loss, '
    "or a config of one"
)


def logit_kl(teacher_logits, student_logits, temperature=1.0, scale="max"):
    """Kullback-Leibler divergence between softened teacher and student distributions.

    Formula, with p(tau) = softmax(z / tau) and the factor of Eq. 7:

        max(tau, tau^2) * sum_k p^t_k (log p^t_k - log p^s_k)

    The limits are exact: at tau = inf (Eqs. 5 and 8) the value is half the variance over the
    classes of z^s - z^t; at tau = 0 (Eq. 6) the gradient is 1[argmax z^s = k] - 1[argmax z^t = k]
    and the value reported is 1 where the two argmax differ and 0 elsewhere.

    Value and gradient come from forms that do not cancel: with x = (d - E_{p^t}[d]) / tau and
    d = z^s - z^t, KL = log1p(E_{p^t}[expm1(x) - x]). They are evaluated in float64 where the
    backend has it, so that they are good to float32's precision for logits of any size and
    offset, and the same eagerly, in a graph and under XLA. No gradient flows to the teacher.

    Args:
        teacher_logits: Tensor of shape `(batch, classes)`.
        student_logits: Tensor of shape `(batch, classes)`.
        temperature: A float in [0, inf]. Defaults to 1.0.
        scale: Factor of the divergence: `"max"` is max(tau, tau^2), `"squared"` is tau^2
            (Hinton et al., 2015) and `"none"` is 1. Defaults to `"max"`. A limit that is
            identically zero or diverges under the scale asked for is refused.

    Returns:
        A float32 tensor of shape `(batch,)`, in nats times the scale.

    Raises:
        ValueError: If `temperature` is negative or nan, `scale` is unknown or has no limit at
            this temperature, or the class counts differ.
    """
    temperature = _check_temperature(temperature, scale)
    teacher, student = _check_logits(teacher_logits, student_logits)
    if temperature == math.inf:
        return _with_gradient(divergence.variance_limit, teacher, student)
    if temperature == 0:
        return _with_gradient(divergence.argmax_limit, teacher, student)
    return _with_gradient(
        lambda teacher, student: divergence.softened_kl(teacher, student, temperature, scale),
        teacher,
        student,
    )


def logit_mse(teacher_logits, student_logits, class_reduction="mean"):
    """Squared error between student and teacher logits.

    Formula: sum_k (z^s_k - z^t_k)^2 (Eq. 9), divided by the number of classes for `"mean"`.
    No gradient flows to the teacher.

    Args:
        teacher_logits: Tensor of shape `(batch, classes)`.
        student_logits: Tensor of shape `(batch, classes)`.
        class_reduction: `"mean"` is what the paper's published numbers used, `"sum"` is Eq. 9
            as printed. Defaults to `"mean"`.

    Returns:
        A float32 tensor of shape `(batch,)`.

    Raises:
        ValueError: If `class_reduction` is unknown or the class counts differ.
    """
    _check_choice("class_reduction", class_reduction, _CLASS_REDUCTIONS)
    teacher, student = _check_logits(teacher_logits, student_logits)
    reduce = ops.mean if class_reduction == "mean" else ops.sum
    difference = ops.cast(student, divergence.wide()) - ops.cast(
        ops.stop_gradient(teacher), divergence.wide()
    )
    return ops.cast(reduce(ops.square(difference), axis=-1), "float32")


class LogitLoss(keras.losses.Loss, keras.distillation.DistillationLoss):
    """Base of the objectives: a Keras loss of (teacher logits, student logits).

    Subclasses define `call(y_true, y_pred)`. An instance is a `keras.losses.Loss`, fits our
    `Distiller`, and is a `keras.distillation.DistillationLoss` as well.
    """

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """Computes the reduced loss, as `keras.distillation.Distiller` asks for it."""
        return self(teacher_outputs, student_outputs)


@keras.saving.register_keras_serializable(package=_PACKAGE)
class LogitKL(LogitLoss):
    """Softened Kullback-Leibler divergence of the student's logits from the teacher's.

    See `logit_kl` for the formula, the limits and the shapes.

    Args:
        temperature: A float in [0, inf]. Defaults to 4.0.
        scale: `"max"`, `"squared"` or `"none"`. Defaults to `"max"` (Eq. 7).
        reduction: Reduction over the batch. Defaults to `"sum_over_batch_size"`.
        name: Defaults to `"logit_kl"`.
        dtype: Defaults to `keras.config.floatx()`.

    Example:

    >>> loss = LogitKL(temperature=3.0)
    >>> value = loss(teacher_logits, student_logits)
    """

    def __init__(
        self,
        temperature=4.0,
        scale="max",
        reduction="sum_over_batch_size",
        name="logit_kl",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = _check_temperature(temperature, scale)
        self.scale = scale

    def call(self, y_true, y_pred):
        return logit_kl(y_true, y_pred, self.temperature, self.scale)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature, "scale": self.scale}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class LogitMSE(LogitLoss):
    """Squared error between the student's and the teacher's logits. See `logit_mse`.

    Args:
        class_reduction: `"mean"` or `"sum"` over the classes. Defaults to `"mean"`.
        reduction: Reduction over the batch. Defaults to `"sum_over_batch_size"`.
        name: Defaults to `"logit_mse"`.
        dtype: Defaults to `keras.config.floatx()`.
    """

    def __init__(
        self,
        class_reduction="mean",
        reduction="sum_over_batch_size",
        name="logit_mse",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.class_reduction = _check_choice("class_reduction", class_reduction, _CLASS_REDUCTIONS)

    def call(self, y_true, y_pred):
        return logit_mse(y_true, y_pred, self.class_reduction)

    def get_config(self):
        return {**super().get_config(), "class_reduction": self.class_reduction}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class SequentialLoss(LogitLoss):
    """One objective after another within a run, by epoch.

    `Distiller.fit` tells the loss each epoch. Elsewhere call `set_epoch` yourself, for instance
    from `keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: loss.set_epoch(epoch))`.

    Args:
        stages: `(loss, first epoch)` pairs, the first at epoch 0, in rising order. A loss may be
            anything that `get` accepts, but not a `SequentialLoss`.
        reduction: Reduction over the batch. Defaults to `"sum_over_batch_size"`.
        name: Defaults to `"sequential_loss"`.
        dtype: Defaults to `keras.config.floatx()`.

    Raises:
        ValueError: If the first epochs do not begin at 0 and rise.

    Example:

    >>> loss = SequentialLoss([(LogitKL(3.0), 0), (LogitMSE(), 100)])
    """

    def __init__(
        self,
        stages,
        reduction="sum_over_batch_size",
        name="sequential_loss",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.stages = _check_stages(stages)
        self._epoch = keras.Variable(0, dtype="int32", trainable=False, name="epoch")

    def set_epoch(self, epoch):
        """Chooses the stage that is active in `epoch` (an int, counted from 0)."""
        self._epoch.assign(epoch)

    def call(self, y_true, y_pred):
        starts = ops.convert_to_tensor([start for _, start in self.stages], dtype="int32")
        active = ops.sum(ops.cast(starts <= self._epoch.value, "int32")) - 1
        return ops.switch(active, [loss.call for loss, _ in self.stages], y_true, y_pred)

    def get_config(self):
        stages = [[keras.saving.serialize_keras_object(loss), at] for loss, at in self.stages]
        return {**super().get_config(), "stages": stages}


def get(identifier):
    """Returns the objective that an identifier names.

    Args:
        identifier: `"mse"`, `"kl"` (temperature 4), `"kl:3"`, `"kl:0.5"`, `"kl:inf"`, stages with
            their first epochs such as `"kl:3@0,mse@100"`, a config as
            `keras.saving.serialize_keras_object` makes it, or a loss of teacher and student
            logits, which is returned as it is.

    Returns:
        A `keras.losses.Loss` instance.

    Raises:
        ValueError: If nothing of that kind is named.
    """
    if isinstance(identifier, keras.losses.Loss):
        return identifier
    if isinstance(identifier, dict):
        loss = keras.saving.deserialize_keras_object(identifier)
        if isinstance(loss, keras.losses.Loss):
            return loss
    if isinstance(identifier, str) and "@" in identifier:
        stages = [part.rpartition("@") for part in identifier.split(",")]
        if all(start.isdecimal() for _, _, start in stages):
            return SequentialLoss([(loss, int(start)) for loss, _, start in stages])
    elif isinstance(identifier, str):
        kind, colon, temperature = identifier.partition(":")
        if kind == "mse" and not colon:
            return LogitMSE()
        if kind == "kl" and not colon:
            return LogitKL()
        if kind == "kl":
            return LogitKL(parse_temperature(temperature))
    raise ValueError(f"`distillation_loss` must be {_NAMES}. Received: {identifier!r}")


def parse_temperature(text):
    """Reads a temperature such as `"4"`, `"0.5"` or `"inf"` and checks its range."""
    try:
        temperature = float(text)
    except ValueError:
        temperature = text
    return _check_temperature(temperature, "max")


def _with_gradient(value_and_gradient, teacher, student):
    """Evaluates `value_and_gradient` in the wide dtype as a function with that gradient."""

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


def _check_logits(teacher_logits, student_logits):
    teacher = ops.cast(ops.convert_to_tensor(teacher_logits), "float32")
    student = ops.cast(ops.convert_to_tensor(student_logits), "float32")
    same_rank = len(teacher.shape) == len(student.shape) >= 2
    if not same_rank or teacher.shape[-1] != student.shape[-1]:
        raise ValueError(
            "Teacher and student logits must both have shape (batch, classes) with the same "
            f"classes. Received: teacher {tuple(teacher.shape)}, student {tuple(student.shape)}"
        )
    return teacher, student


def _check_temperature(temperature, scale):
    _check_choice("scale", scale, _SCALES)
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


def _check_stages(stages):
    pairs = isinstance(stages, list | tuple) and all(
        isinstance(stage, list | tuple) and len(stage) == 2 for stage in stages
    )
    if not pairs:
        raise ValueError(f"`stages` must be (loss, first epoch) pairs. Received: stages={stages!r}")
    starts = [start for _, start in stages]
    whole = all(isinstance(at, numbers.Real) and float(at).is_integer() for at in starts)
    if not whole or starts[:1] != [0] or sorted(set(starts)) != starts:
        raise ValueError(
            "`stages` must be (loss, first epoch) pairs that begin at epoch 0 and rise. "
            f"Received first epochs: {starts}"
        )
    stages = [(get(loss), start) for loss, start in stages]
    if any(isinstance(loss, SequentialLoss) for loss, _ in stages):
        raise ValueError("`stages` must not contain a SequentialLoss. Received one inside another")
    return [(loss, int(start)) for loss, start in stages]


def _check_choice(argument, value, allowed):
    if value not in allowed:
        raise ValueError(f"`{argument}` must be one of {allowed}. Received: {argument}={value!r}")
    return value
