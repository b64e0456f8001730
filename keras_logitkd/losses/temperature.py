"""Temperatures that move: by a schedule, or because somebody assigns another."""

import math

import keras

from keras_logitkd.losses import divergence
from keras_logitkd.losses.base import LogitLoss
from keras_logitkd.losses.schedules import Schedule, Scheduled, moves


class Temperature(Scheduled):
    """A temperature in [0, inf], as Python knows it and as compiled steps read it.

    Where a step is traced in a graph of TensorFlow, it reads a variable, which follows the value.
    Otherwise it gets the number. At 0 and inf there are other formulas: what was traced there, or
    between them, stays there.

    Args:
        schedule: a `Schedule`.

    Attributes:
        value: the temperature now, a float.
    """

    def __init__(self, schedule):
        super().__init__(schedule)
        self._variable, self._traced = None, None
        # One that is made while a graph is traced would be gone before the graph.
        if keras.backend.backend() == "tensorflow" and not _is_tracing(None):
            self._variable = keras.Variable(
                divergence.within_range(self.value),
                trainable=False,
                dtype=divergence.wide(),
                autocast=False,
                name="temperature",
            )

    def read(self, logits):
        """Returns what a loss of some logits computes with: a float, or a tensor in (0, inf)."""
        if not _is_tracing(logits):
            return self.value
        self._traced = self.value
        if self._variable is None or _limit(self.value) is not None:
            return self.value
        return keras.ops.convert_to_tensor(self._variable)

    def _receive(self, value):
        if self._traced is not None and _limit(value) != _limit(self._traced):
            raise ValueError(
                "`temperature` cannot move to or from 0 and inf, which have formulas of their own, "
                "once a step was compiled: make another loss. "
                f"Received: temperature={value} after {self._traced}"
            )
        if self._traced is not None and self._variable is None:
            raise ValueError(
                "`temperature` is a constant of the step that was compiled: make another loss, on "
                "TensorFlow and outside of what is compiled. "
                f"Received: temperature={value} after {self._traced}"
            )
        if self._variable is not None:
            self._variable.assign(divergence.within_range(value))


class SoftenedLoss(LogitLoss):
    """Base of the losses with a temperature, a number or a `Schedule` or the text of one.

    Assigning `temperature`, a number, takes effect in the next step, compiled or not, and ends a
    schedule. It raises ValueError where it cannot: to or from 0 and inf after a step was compiled,
    and on backends whose compiled steps hold it as a constant.

    `Distiller.fit` moves what goes by a schedule. Elsewhere call `set_epoch` or `set_steps`, for
    instance from `keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs:
    loss.set_epoch(epoch))`.

    A subclass defines `check_temperature`, which returns a number as a float or raises ValueError,
    and computes with `read_temperature`.
    """

    def __init__(self, temperature, name, reduction, dtype):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self._temperature = Temperature(self._schedule_of(temperature))

    def _schedule_of(self, temperature):
        if isinstance(temperature, Schedule) and not temperature.moves:
            temperature = temperature.first
        is_moving = isinstance(temperature, str) and moves(temperature)
        if not is_moving and not isinstance(temperature, Schedule):
            return Schedule(self.check_temperature(temperature))
        return Schedule.read(
            "temperature", temperature, "positive where it moves", lambda end: end > 0
        )

    def check_temperature(self, temperature):
        """Returns a number as a float, or raises ValueError where it is no temperature."""
        raise NotImplementedError

    @property
    def temperature(self):
        """The temperature now, a float."""
        return self._temperature.value

    @temperature.setter
    def temperature(self, number):
        self._temperature.assign(self.check_temperature(number))

    def read_temperature(self, logits):
        """Returns the temperature to compute with: a float, or a tensor that follows it."""
        return self._temperature.read(logits)

    @property
    def by_steps(self):
        """Whether the temperature goes by updates of the optimizer."""
        return self._temperature.by_steps

    def set_epoch(self, epoch, epochs=None):
        """Moves the temperature where an epoch (an int, counted from 0) of so many begins."""
        self._temperature.set_epoch(epoch, epochs)

    def set_steps(self, steps):
        """Moves the temperature where the optimizer has made so many updates."""
        self._temperature.set_steps(steps)

    def get_config(self):
        return {**super().get_config(), "temperature": self._temperature.schedule.text}


def _limit(temperature):
    """The limit that a temperature is, 0 or inf, or None."""
    return temperature if temperature in (0, math.inf) else None


def _is_tracing(tensor):
    """Whether a graph is traced instead of numbers computed."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return not tf.executing_eagerly()
    if backend == "jax":
        import jax

        return isinstance(tensor, jax.core.Tracer)
    return False
