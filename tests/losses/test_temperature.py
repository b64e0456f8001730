"""Temperatures that move: the next step follows, with the bits of the constant one."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from loss_values import pair

from keras_logitkd import losses

TEACHER, STUDENT = pair(6, 7)
SPECS = ["kl", "kl,standardize=true", "kl,scale=squared", "bkl", "ttm", "ttm,weighted=true"]
TAUS = [1e-3, 0.5, 1, 3, 1e3, 1e6]


def spec_at(spec, temperature):
    """The text of a loss at a temperature, such as kl:3,standardize=true."""
    name, comma, options = spec.partition(",")
    return f"{name}:{temperature}{comma}{options}"


class Steps:
    """A compiled step of a loss; counts how often it was traced."""

    def __init__(self, loss, **compiled):
        self.loss, self.traces, self.student = loss, 0, tf.constant(STUDENT)
        self.run = tf.function(self._step, **compiled)

    def _step(self):
        self.traces += 1
        with tf.GradientTape() as tape:
            tape.watch(self.student)
            value = self.loss(TEACHER, self.student)
        return value, tape.gradient(value, self.student)

    def __call__(self):
        return [each.numpy() for each in self.run()]


def constant(spec, temperature, **compiled):
    """A compiled step whose temperature is a number: that of a loss that is made in the graph."""
    term = spec_at(spec, temperature)
    return Steps(lambda teacher, student: losses.get(term)(teacher, student), **compiled)()


@pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}], ids=str)
@pytest.mark.parametrize("spec", SPECS)
def test_a_temperature_that_is_assigned_has_the_bits_of_a_constant(spec, compiled):
    steps = Steps(losses.get(spec_at(spec, 2)), **compiled)
    for temperature in TAUS[:: 1 if spec == "kl" else 3]:
        steps.loss.temperature = temperature
        for ours, theirs in zip(steps(), constant(spec, temperature, **compiled), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert steps.traces == 1


@pytest.mark.parametrize("spec", SPECS)
def test_eager_steps_are_those_of_a_constant(spec):
    loss = losses.get(spec_at(spec, "8..2@3"))
    moves = [(8, 0), (4, 2), (2, 3), (5, None)]
    moves += [(math.inf, None), (0, None)] if spec == "kl" else []
    for temperature, move in moves:
        if move is None:
            loss.temperature = temperature
        else:
            loss.set_epoch(move)
        assert loss.temperature == temperature
        expected = losses.get(spec_at(spec, temperature))(TEACHER, STUDENT)
        assert float(loss(TEACHER, STUDENT)) == float(expected)


def test_schedules_move_a_compiled_step_and_an_assignment_ends_them():
    steps = Steps(losses.LogitKL("cosine(8..2@4)"))
    values = []
    for epoch in (0, 2, 4):
        steps.loss.set_epoch(epoch)
        values.append(float(steps()[0]))
    expected = [float(losses.LogitKL(tau)(TEACHER, STUDENT)) for tau in (8, 5, 2)]
    assert values == pytest.approx(expected, rel=1e-6)
    steps.loss.temperature = 3
    steps.loss.set_epoch(0)
    expected = float(losses.LogitKL(3)(TEACHER, STUDENT))
    assert float(steps()[0]) == pytest.approx(expected, rel=1e-6)
    assert (steps.loss.temperature, steps.loss.get_config()["temperature"]) == (3.0, 3.0)
    assert steps.traces == 1


def test_only_its_own_unit_moves_a_schedule():
    by_steps, by_epochs = losses.LogitTTM("8..2@4steps"), losses.LogitTTM("8..2@4")
    for loss in (by_steps, by_epochs):
        loss.set_epoch(2)
    assert (by_steps.temperature, by_epochs.temperature) == (8, 5)
    for loss in (by_steps, by_epochs):
        loss.set_steps(4)
    assert (by_steps.temperature, by_epochs.temperature) == (2, 5)
    assert (by_steps.by_steps, by_epochs.by_steps) == (True, False)


@pytest.mark.parametrize(
    ("first", "then"), [(2, 0), (2, math.inf), (0, 2), (math.inf, 2), (0, math.inf)]
)
def test_limits_are_other_formulas_once_a_step_was_compiled(first, then):
    loss = losses.LogitKL(first)
    loss.temperature = then
    loss.temperature = first  # before anything was compiled
    steps = Steps(loss)
    before = steps()
    with pytest.raises(ValueError, match="`temperature` cannot move to or from 0 and inf") as error:
        loss.temperature = then
    assert "\n" not in str(error.value)
    assert loss.temperature == first
    for ours, theirs in zip(before, steps(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_loss_that_is_made_in_a_graph_is_constant_there():
    made = []

    @tf.function(reduce_retracing=False)
    def value(student):
        made[:] = [losses.LogitKL(3.0)]  # the one of the trace before is gone
        return made[0](TEACHER[: len(student)], student)

    for rows in (6, 5, 6):
        expected = float(losses.LogitKL(3.0)(TEACHER[:rows], STUDENT[:rows]))
        assert float(value(tf.constant(STUDENT[:rows]))) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="`temperature` is a constant of the step"):
        made[0].temperature = 2.0


@pytest.mark.parametrize("bad", [-1, math.nan, True, None, "8..2@3", "3"])
def test_what_is_assigned_must_be_a_number(bad):
    loss = losses.LogitBernoulliKL(3.0)
    with pytest.raises(ValueError, match="`temperature` must be a number in"):
        loss.temperature = bad
    assert loss.temperature == 3.0
    with pytest.raises(ValueError, match="`scale` must be"):
        losses.LogitKL(3.0, scale="none").temperature = 0


def test_stages_move_within_themselves():
    loss = losses.get("kl:8..2@0,mse@3,ttm:4..1@5")
    first, last = loss.stages[0][0], loss.stages[2][0]
    seen = []
    for epoch in range(8):
        loss.set_epoch(epoch, 8)
        seen.append((first.temperature, last.temperature))
    assert seen[:3] == [(8, 4), (5, 4), (2, 4)]
    assert seen[4:] == [(2, 4), (2, 4), (2, 2.5), (2, 1)]
    by_steps = losses.get("kl:8..2@4steps@0,mse@3")
    by_steps.set_steps(2)
    assert (by_steps.by_steps, by_steps.stages[0][0].temperature) == (True, 5)
    assert not losses.get("kl:3@0,mse@3").by_steps


def test_configs_hold_the_schedule():
    for make in (losses.LogitKL, losses.LogitBernoulliKL, losses.LogitTTM):
        loss = make("8..2@20")
        loss.set_epoch(10)
        config = keras.saving.serialize_keras_object(loss)
        assert config["config"]["temperature"] == "8..2@20"
        twin = keras.saving.deserialize_keras_object(config)
        assert twin.temperature == 8
        twin.set_epoch(10)
        assert twin.temperature == loss.temperature == 5


def test_keras_distiller_follows_what_is_set():
    keras.utils.set_random_seed(1)
    networks = [keras.Sequential([keras.Input((6,)), keras.layers.Dense(7)]) for _ in range(2)]
    x, loss = np.random.default_rng(0).standard_normal((8, 6)).astype("f4"), losses.get("kl:8..2@2")
    distiller = keras.distillation.Distiller(*networks, loss, student_loss_weight=0.0)
    distiller.compile(
        keras.optimizers.SGD(0.0), loss=keras.losses.SparseCategoricalCrossentropy(True)
    )
    mover = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: loss.set_epoch(epoch))
    logs = distiller.fit(x, np.arange(8) % 7, epochs=3, verbose=0, callbacks=[mover]).history
    expected = [
        float(losses.LogitKL(tau)(*(network(x) for network in networks))) for tau in (8, 5, 2)
    ]
    assert logs["distillation_loss"] == pytest.approx(expected, rel=1e-5)
