"""Numbers of the objectives: golden values, properties, precision, execution modes."""

import importlib.util
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_logitkd import losses

HERE = pathlib.Path(__file__).parent
GOLDEN = np.load(HERE / "golden" / "logit_kl.npz")
SOME_TEMPERATURES = [0.0, 1e-3, 0.3, 1.0, 4.0, 1e3, 1e7, math.inf]

quick = settings(max_examples=30, deadline=None)
finite_temperatures = st.floats(-3, 7).map(lambda power: 10.0**power)
temperatures = st.one_of(finite_temperatures, st.sampled_from([0.0, math.inf]))


@st.composite
def logit_pairs(draw, bound=1000):
    """Teacher and student logits; multiples of 1/64, so that shifts by integers are exact."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(2, 12)))
    entries = hnp.arrays(np.int32, shape, elements=st.integers(-64 * bound, 64 * bound))
    return tuple(draw(entries).astype(np.float32) / 64 for _ in range(2))


def value_and_gradient(teacher, student, temperature, scale="max"):
    student = tf.constant(student)
    with tf.GradientTape() as tape:
        tape.watch(student)
        value = losses.logit_kl(teacher, student, temperature, scale)
    return value.numpy(), tape.gradient(value, student).numpy()


def assert_exact(actual, expected, scale_of=None):
    """1e-5 relative, and 1e-6 absolute below 0.1: the promise of DESIGN.md."""
    size = np.abs(expected if scale_of is None else scale_of)
    error = np.abs(np.asarray(actual, np.float64) - expected)
    allowed = np.where(size < 0.1, 1e-6, 1e-5 * size)
    assert np.all(error <= allowed), f"{np.max(error / allowed):.3g} times the tolerance"


def numpy_kl(teacher, student, temperature):
    """The plain form of the divergence, good at moderate temperatures."""
    log_p, log_q = (
        z / temperature - np.log(np.sum(np.exp(z / temperature), axis=-1, keepdims=True))
        for z in (teacher.astype(np.float64), student.astype(np.float64))
    )
    return np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)


def random_pair(rows=4, classes=10, seed=0, spread=3.0):
    return (spread * np.random.default_rng(seed).standard_normal((2, rows, classes))).astype("f4")


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
@pytest.mark.parametrize("kind", ["spread_3", "spread_1000", "offset", "nearly_equal"])
def test_logit_kl_golden(kind, classes):
    case = {
        name: GOLDEN[f"{kind}/{classes}/{name}"]
        for name in ("teacher", "student", "kept", "values", "gradients")
    }
    for i, temperature in enumerate(GOLDEN["temperatures"]):
        value, gradient = value_and_gradient(case["teacher"], case["student"], temperature)
        assert value.dtype == gradient.dtype == np.float32
        assert_exact(value, case["values"][i])
        assert_exact(gradient[:, case["kept"]], case["gradients"][i])


def test_golden_file_is_what_its_script_makes():
    pytest.importorskip("mpmath")
    path = HERE / "golden" / "make_logit_kl.py"
    spec = importlib.util.spec_from_file_location("make_logit_kl", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    np.testing.assert_array_equal(GOLDEN["temperatures"], script.TEMPERATURES)
    for kind in script.KINDS:
        for name, array in script.golden_case(kind, 10).items():
            np.testing.assert_array_equal(GOLDEN[f"{kind}/10/{name}"], array)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_logit_kl_scales(temperature):
    teacher, student = random_pair()
    expected = numpy_kl(teacher, student, temperature)
    assert_exact(losses.logit_kl(teacher, student, temperature, "none"), expected)
    squared = losses.logit_kl(teacher, student, temperature, "squared")
    assert_exact(squared, temperature**2 * expected)
    largest = losses.logit_kl(teacher, student, temperature, "max")
    assert_exact(largest, max(temperature, temperature**2) * expected)


@pytest.mark.parametrize("scale", ["none", "squared"])
@pytest.mark.parametrize("temperature", [0.25, 4.0])
def test_logit_kl_scaled_gradient(temperature, scale):
    teacher, student = random_pair()
    _, gradient = value_and_gradient(teacher, student, temperature, scale)
    soft = [tf.nn.softmax(z.astype("f8") / temperature).numpy() for z in (student, teacher)]
    factor = {"none": 1 / temperature, "squared": temperature}[scale]
    assert_exact(gradient, factor * (soft[0] - soft[1]))


def test_logit_kl_infinite_temperature_squared_scale():
    teacher, student = random_pair()
    value, gradient = value_and_gradient(teacher, student, math.inf, "squared")
    assert_exact(value, 0.5 * np.var(student.astype("f8") - teacher, axis=-1))
    np.testing.assert_array_equal(gradient, value_and_gradient(teacher, student, math.inf)[1])


@quick
@given(logit_pairs(), temperatures, st.integers(-4096, 4096), st.integers(-4096, 4096))
def test_logit_kl_ignores_shifts(pair, temperature, teacher_shift, student_shift):
    teacher, student = pair
    value, gradient = value_and_gradient(teacher, student, temperature)
    moved = value_and_gradient(teacher + teacher_shift, student + student_shift, temperature)
    assert_exact(moved[0], value.astype("f8"))
    assert_exact(moved[1], gradient.astype("f8"))


@quick
@given(logit_pairs(), temperatures)
def test_logit_kl_is_not_negative_and_its_gradient_sums_to_zero(pair, temperature):
    value, gradient = value_and_gradient(*pair, temperature)
    assert np.all(value >= 0)
    size = np.max(np.abs(gradient), axis=-1)
    assert_exact(np.sum(gradient, axis=-1, dtype="f8"), 0 * size, scale_of=size)


@quick
@given(logit_pairs(), temperatures)
def test_logit_kl_is_zero_at_equality(pair, temperature):
    value, gradient = value_and_gradient(pair[0], pair[0], temperature)
    np.testing.assert_array_equal(value, 0)
    np.testing.assert_array_equal(gradient, 0)


@quick
@given(logit_pairs())
def test_logit_kl_infinite_temperature_is_mse_without_the_mean(pair):
    difference = pair[1].astype("f8") - pair[0]
    mse = losses.logit_mse(*pair).numpy().astype("f8")
    expected = 0.5 * np.var(difference, axis=-1)
    # 1/2 (MSE - mean^2) cancels in float32: the error allowed is that of its parts.
    assert_exact(0.5 * (mse - np.mean(difference, axis=-1) ** 2), expected, scale_of=mse)
    value, gradient = value_and_gradient(*pair, math.inf)
    assert_exact(value, expected)
    centred = difference - np.mean(difference, axis=-1, keepdims=True)
    assert_exact(gradient, centred / pair[0].shape[-1])


@quick
@given(logit_pairs(bound=30), st.floats(11, 300))
def test_logit_kl_large_temperature_is_the_limit(pair, power):
    value, gradient = value_and_gradient(*pair, 10.0**power)
    limit = value_and_gradient(*pair, math.inf)
    assert_exact(value, limit[0].astype("f8"))
    assert_exact(gradient, limit[1].astype("f8"))


@quick
@given(logit_pairs(), st.floats(-323, -4))
def test_logit_kl_small_temperature_gradient_is_the_limit(pair, power):
    # Without ties the largest logits lead by 1/64 at least: 156 temperatures.
    teacher, student = (np.round(z * 64) * (1 + np.arange(z.shape[-1]) / 4096) / 64 for z in pair)
    teacher, student = (np.float32(z + np.arange(z.shape[-1]) / 64) for z in (teacher, student))
    ordered = [np.sort(z, axis=-1) for z in (teacher, student)]
    if any(np.any(z[:, -1] - z[:, -2] < 1 / 128) for z in ordered):
        return
    value, gradient = value_and_gradient(teacher, student, 10.0**power)
    np.testing.assert_array_equal(gradient, value_and_gradient(teacher, student, 0.0)[1])
    # tau * KL tends to the student's lead of its own class over the teacher's.
    rows = np.arange(len(teacher))
    lead = ordered[1][:, -1].astype("f8") - student[rows, np.argmax(teacher, axis=-1)]
    assert_exact(value, lead)


@pytest.mark.parametrize("temperature", [1e-320, 1e-300, 1e-30, 1e-12, 1.0, 1e10, 1e300])
@pytest.mark.parametrize("size", [1e-38, 1e-3, 1.0, 1e15])
def test_logit_kl_is_finite_at_any_temperature(temperature, size):
    teacher, student = random_pair(spread=size)
    value, gradient = value_and_gradient(teacher, student, temperature)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(gradient))
    assert np.all(value >= 0)


@pytest.mark.parametrize("temperature", [0.0, 1e-320, 1e-3, 1.0, 1e5, 1e10, 1e300, math.inf])
def test_logit_kl_huge_logits(temperature):
    teacher, student = random_pair(spread=1e30)
    value, gradient = value_and_gradient(teacher, student, temperature)
    assert np.all(np.isfinite(gradient))
    # Up to 1e5 the value is tau times a logit; from 1e10 on it is beyond float32, and so inf.
    assert not np.any(np.isnan(value))
    assert np.all(np.isfinite(value)) == (temperature < 1e10)


@pytest.mark.parametrize("temperature", SOME_TEMPERATURES[1:])
@pytest.mark.parametrize("spoilt", [0, 1])
def test_logit_kl_shows_nan_logits(temperature, spoilt):
    pair = random_pair()
    pair[spoilt][1, 2] = math.nan
    value, _ = value_and_gradient(*pair, temperature)
    np.testing.assert_array_equal(np.isnan(value), [False, True, False, False])


@quick
@given(logit_pairs(), st.integers(-1000, 1000))
def test_logit_mse_is_numpy(pair, shift):
    teacher, student = pair
    difference = student.astype("f8") + shift - teacher
    squares = np.sum(difference**2, axis=-1)
    shifted = student + np.float32(shift)
    assert_exact(losses.logit_mse(teacher, shifted, "sum"), squares)
    assert_exact(losses.logit_mse(teacher, shifted, "mean"), squares / teacher.shape[-1])
    assert_exact(losses.logit_mse(teacher, teacher + np.float32(shift)), np.float64(shift) ** 2)


@pytest.mark.parametrize(("reduction", "divisor"), [("mean", 10), ("sum", 1)])
def test_logit_mse_gradient(reduction, divisor):
    teacher, student = random_pair()
    student = tf.constant(student)
    with tf.GradientTape() as tape:
        tape.watch(student)
        value = losses.logit_mse(teacher, student, reduction)
    expected = 2 * (student.numpy().astype("f8") - teacher) / divisor
    assert_exact(tape.gradient(value, student), expected)


def test_losses_are_the_same_bit_for_bit_in_every_execution_mode():
    teacher, student = (tf.constant(z) for z in random_pair(rows=7, classes=33))
    sequential = losses.SequentialLoss([("kl:3", 0), ("mse", 2)], reduction="none")

    def everything():
        results = []
        for loss in [
            *(losses.LogitKL(temperature, reduction="none") for temperature in SOME_TEMPERATURES),
            losses.LogitMSE(reduction="none"),
            losses.LogitMSE("sum", reduction="none"),
            sequential,
        ]:
            with tf.GradientTape() as tape:
                tape.watch(student)
                value = loss(teacher, student)
            results.append((value, tape.gradient(value, student)))
        return results

    eager = everything()
    assert all(np.any(gradient) for _, gradient in eager)
    for mode in ({}, {"jit_compile": True}):
        for ours, theirs in zip(eager, tf.function(everything, **mode)(), strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])
