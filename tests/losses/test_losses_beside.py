"""Numbers of the losses beside the paper's: Bernoulli KL, standardised KL, TTM and WTTM."""

import importlib.util
import math
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_values import pair, value_and_gradient

from keras_logitkd import losses

HERE = pathlib.Path(__file__).parent
GOLDEN = np.load(HERE / "golden" / "beside.npz")
CASES = sorted({name.rpartition("/")[0] for name in GOLDEN if "/" in name})
TEXTS = ["bkl:{}", "kl:{},standardize=true", "ttm:{}", "ttm:{},weighted=true"]
BY_GOLDEN = dict(zip(("bkl", "kl_standardized", "ttm", "wttm"), TEXTS, strict=True))
SMALLEST = 1.2e-38  # normal number of float32

quick = settings(max_examples=30, deadline=None)
temperatures = st.one_of(
    st.floats(-3, 6).map(lambda power: 10.0**power), st.sampled_from([0.0, math.inf])
)


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    teacher, student, values, gradients = (
        GOLDEN[f"{case}/{name}"] for name in ("teacher", "student", "values", "gradients")
    )
    for i, temperature in enumerate(GOLDEN["temperatures"]):
        if np.isnan(values[i]).all():  # refused
            continue
        loss = BY_GOLDEN[case.partition("/")[0]].format(temperature)
        value, gradient = value_and_gradient(loss, teacher, student)
        assert value.dtype == gradient.dtype == np.float32
        np.testing.assert_allclose(value, values[i], rtol=1e-6, atol=SMALLEST)
        np.testing.assert_allclose(gradient, gradients[i], rtol=1e-6, atol=SMALLEST)


def test_golden_file_is_what_its_script_makes(monkeypatch):
    pytest.importorskip("mpmath")
    monkeypatch.syspath_prepend(HERE / "golden")
    spec = importlib.util.spec_from_file_location("make_beside", HERE / "golden/make_beside.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    np.testing.assert_array_equal(GOLDEN["temperatures"], script.TEMPERATURES)
    for loss in script.LOSSES:
        for kind in script.KINDS:
            for name, array in script.golden_case(loss, kind, 10).items():
                np.testing.assert_array_equal(GOLDEN[f"{loss}/{kind}/10/{name}"], array)


@quick
@given(st.integers(0, 9999), temperatures, st.sampled_from([1.0, 30.0, 1000.0]))
def test_bernoulli_kl_is_the_softmax_kl_of_z_and_0(seed, temperature, spread):
    teacher, student = pair(5, 3, seed=seed, spread=spread)
    value, gradient = value_and_gradient(f"bkl:{temperature},label_reduction=sum", teacher, student)
    zero = np.zeros_like(teacher)
    pairs = (np.stack([zero, logits], axis=-1) for logits in (teacher, student))
    expected = value_and_gradient(f"kl:{temperature}", *pairs)
    np.testing.assert_allclose(value, expected[0].sum(axis=-1), rtol=1e-6, atol=1e-15)
    np.testing.assert_allclose(gradient, expected[1][..., 1], rtol=1e-6, atol=1e-15)


def test_bernoulli_kl_limits_by_hand():
    teacher, student = np.float32([[2.0, -1.0, 0.0, 3.0]]), np.float32([[-3.0, 4.0, 0.0, 1.0]])
    value, gradient = value_and_gradient("bkl:inf,label_reduction=sum", teacher, student)
    np.testing.assert_allclose(value, [(25 + 25 + 0 + 4) / 8], rtol=1e-6)
    np.testing.assert_allclose(gradient, (student - teacher) / 4, rtol=1e-6)
    value, gradient = value_and_gradient("bkl:0,label_reduction=sum", teacher, student)
    np.testing.assert_array_equal(value, [3 + 4])
    np.testing.assert_array_equal(gradient, [[-1, 1, 0, 0]])
    mean, _ = value_and_gradient("bkl:0", teacher, student)
    np.testing.assert_array_equal(mean, [7 / 4])


def test_bernoulli_kl_of_one_logit_by_hand():
    value, gradient = value_and_gradient("bkl:1", [[0.0]], [[math.log(3.0)]])  # 1/2 and 3/4
    np.testing.assert_allclose(value, [0.5 * math.log(4 / 3)], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0.25]], rtol=1e-6)
    for scale, factor in (("none", 1.0), ("squared", 0.25), ("max", 0.5)):
        value, _ = value_and_gradient(f"bkl:0.5,scale={scale}", [[0.0]], [[0.5 * math.log(3.0)]])
        np.testing.assert_allclose(value, [factor * 0.5 * math.log(4 / 3)], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0, 0.01, 1, 4, 1e6])
def test_bernoulli_kl_takes_probabilities_of_0_and_1(temperature):
    teacher, student = np.float32([[math.inf, -math.inf]]), np.float32([[1.5, 0.5]])
    value, gradient = value_and_gradient(f"bkl:{temperature}", teacher, student)
    tau, z = max(temperature, 1e-12), student.astype("f8")[0]
    # -log sigmoid(z) for the first, -log(1 - sigmoid(z)) for the second.
    each = np.logaddexp(0, np.array([-1, 1]) * z / tau) * max(tau, tau**2)
    slope = (np.array([-1, 1]) / (1 + np.exp(np.clip(np.array([1, -1]) * z / tau, -700, 700)))) / 2
    np.testing.assert_allclose(value, [each.mean()], rtol=1e-6)
    np.testing.assert_allclose(gradient[0], max(tau, 1) * slope, rtol=1e-6, atol=SMALLEST)


@quick
@given(st.integers(0, 9999), st.integers(3, 12), st.sampled_from([0.1, 1.0, 1e3]))
def test_standardised_kl_at_infinity_is_1_minus_the_correlation(seed, classes, spread):
    teacher, student = pair(4, classes, seed=seed, spread=spread)
    value, _ = value_and_gradient("kl:inf,standardize=true", teacher, student)
    rho = [np.corrcoef(t, s)[0, 1] for t, s in zip(teacher.astype("f8"), student, strict=True)]
    np.testing.assert_allclose(value, 1 - np.array(rho), rtol=1e-6, atol=1e-12)


@quick
@given(st.integers(0, 9999), temperatures, st.integers(-4, 4), st.integers(-512, 512))
def test_standardised_kl_ignores_scale_and_shift(seed, temperature, power, shift):
    # Multiples of 1/64, so that shifts and powers of 2 are exact.
    teacher, student = np.round(64 * pair(4, 6, seed=seed)) / 64
    loss, scale = f"kl:{temperature},standardize=true", np.float32(2.0**power)
    value, gradient = value_and_gradient(loss, teacher, student)
    moved = value_and_gradient(loss, scale * teacher - shift, scale * student + shift)
    np.testing.assert_allclose(moved[0], value, rtol=1e-6)
    np.testing.assert_allclose(scale * moved[1], gradient, rtol=1e-5, atol=1e-7)
    # Nothing is to be gained along the student's logits, nor by adding to all of them.
    size = np.abs(gradient).max(axis=-1, initial=1e-30)
    assert np.all(np.abs(gradient.astype("f8").sum(axis=-1)) <= 1e-6 * size)
    assert np.all(np.abs((gradient.astype("f8") * student).sum(axis=-1)) <= 1e-4 * size)


@pytest.mark.parametrize("temperature", [0.0, 1e-3, 1.0, 4.0, 1e6, math.inf])
def test_standardised_kl_of_equal_logits_counts_as_uniform(temperature):
    loss, scores = f"kl:{temperature},standardize=true", np.float32([[-1.0, 0.0, 1.0]])
    scores /= np.std(scores)
    flat, zero = np.full((1, 3), 0.1, "f4"), np.zeros((1, 3), "f4")
    value, gradient = value_and_gradient(loss, flat, flat)
    assert (value.tolist(), gradient.tolist()) == ([0.0], [[0.0, 0.0, 0.0]])
    value, gradient = value_and_gradient(loss, flat, 5 * scores + 2)
    np.testing.assert_allclose(
        value, losses.logit_kl(zero, scores, temperature), rtol=1e-5, atol=1e-7
    )
    assert np.all(np.isfinite(gradient))
    # A student of equal logits is led towards its teacher's, and so away from there.
    value, gradient = value_and_gradient(loss, 5 * scores + 2, flat)
    np.testing.assert_allclose(
        value, losses.logit_kl(scores, zero, temperature), rtol=1e-5, atol=1e-7
    )
    assert gradient[0, 0] > 0 > gradient[0, 2]
    assert np.all(np.isfinite(gradient))


def test_standardised_kl_needs_three_classes_and_finite_logits():
    teacher, student = pair(4, 2)
    with pytest.raises(ValueError, match="at least 3 classes.*Pass kl:T without it. Received: 2"):
        losses.get("kl:3,standardize=true")(teacher, student)
    teacher, student = pair(4, 3)
    teacher[1, 2] = -math.inf
    with pytest.raises(ValueError, match="must be finite for standardize=True: pass kl:T"):
        losses.get("kl:3,standardize=true")(teacher, student)
    with pytest.raises(ValueError, match="must be finite for bkl:inf: pass bkl:T"):
        losses.get("bkl:inf")(teacher, student)


@quick
@given(st.integers(0, 9999), st.floats(-2, 3).map(lambda power: 10.0**power))
def test_ttm_softens_the_teacher_alone(seed, temperature):
    teacher, student = pair(4, 6, seed=seed)
    value, gradient = value_and_gradient(f"ttm:{temperature}", teacher, student)
    p, q = (tf.nn.softmax(z).numpy() for z in (teacher.astype("f8") / temperature, student))
    np.testing.assert_allclose(gradient, q - p, rtol=1e-5, atol=1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.where(p > 0, p * (np.log(p) - np.log(q)), 0).sum(axis=-1)
    np.testing.assert_allclose(value, kl, rtol=1e-5, atol=1e-6)
    weight = np.sum(tf.nn.softmax(teacher.astype("f8")).numpy() ** (1 / temperature), axis=-1)
    weighted = value_and_gradient(f"ttm:{temperature},weighted=true", teacher, student)
    np.testing.assert_allclose(weighted[0], weight * value, 1e-5, SMALLEST)
    np.testing.assert_allclose(weighted[1], weight[:, None] * gradient, 1e-5, SMALLEST)


def test_ttm_at_1_is_kl_and_at_0_the_crossentropy():
    teacher, student = pair(4, 6)
    expected = value_and_gradient("kl:1", teacher, student)
    for loss in ("ttm:1", "ttm:1,weighted=true"):
        for ours, theirs in zip(value_and_gradient(loss, teacher, student), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    value, _ = value_and_gradient("ttm:0", teacher, student)
    hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    np.testing.assert_allclose(value, hard(teacher.argmax(axis=-1), student), rtol=1e-6)


def test_ttm_excludes_what_the_teacher_excludes():
    teacher, student = np.float32([[0.0, 0.0, -math.inf]]), np.ones((1, 3), "f4")
    for temperature in (1e-3, 1, 4, math.inf):  # 1/2, 1/2, 0 at every temperature
        value, gradient = value_and_gradient(f"ttm:{temperature}", teacher, student)
        np.testing.assert_allclose(value, [math.log(1.5)], rtol=1e-6)
        np.testing.assert_allclose(gradient, [[-1 / 6, -1 / 6, 1 / 3]], rtol=1e-6)
    weighted, _ = value_and_gradient("ttm:inf,weighted=true", teacher, student)
    np.testing.assert_allclose(weighted, [2 * math.log(1.5)], rtol=1e-6)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("spread", [3.0, 1000.0])
def test_half_precision_logits_give_finite_float32(text, dtype, spread):
    teacher, student = (tf.cast(z, dtype) for z in pair(8, 10, spread=spread))
    for temperature in (0.0, 1e-3, 1.0, 4.0, 1e6, math.inf):
        if temperature == 0 and "weighted" in text:
            continue
        with tf.GradientTape() as tape:
            tape.watch(student)
            value = losses.get(text.format(temperature))(teacher, student)
        gradient = tape.gradient(value, student)
        assert (value.dtype, gradient.dtype) == (tf.float32, dtype)
        assert np.isfinite(value)
        assert np.all(np.isfinite(tf.cast(gradient, "float32")))


@pytest.mark.parametrize("text", TEXTS)
def test_the_same_bits_in_every_execution_mode(text):
    teacher, student = (tf.constant(z) for z in pair(7, 10, spread=20.0))
    each = [losses.get(text.format(tau)) for tau in (1e-3, 0.3, 1.0, 4.0, 1e3, math.inf)]

    def everything():
        results = []
        for loss in each:
            with tf.GradientTape() as tape:
                tape.watch(student)
                value = loss.call(teacher, student)
            results += [value, tape.gradient(value, student)]
        return results

    eager = everything()
    for mode in ({}, {"jit_compile": True}):
        for ours, theirs in zip(eager, tf.function(everything, **mode)(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("temperature", [1e-320, 1e-30, 1e-3, 4.0, 1e30, 1e300])
def test_any_temperature_is_finite_and_nan_shows(text, temperature):
    teacher, student = pair(4, 6)
    value, gradient = value_and_gradient(text.format(temperature), teacher, student)
    assert np.all(value >= 0)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(gradient))
    for spoilt in (0, 1):
        logits = pair(4, 6)
        logits[spoilt][1, 2] = math.nan
        value, _ = value_and_gradient(text.format(temperature), *logits)
        np.testing.assert_array_equal(np.isnan(value), [False, True, False, False])


def test_what_these_losses_cannot_be():
    for make, message in (
        (lambda: losses.LogitTTM(0, weighted=True), "`temperature` must be above 0 with weighted"),
        (lambda: losses.LogitTTM(4, weighted="x"), "`weighted` must be True or False. Received"),
        (lambda: losses.LogitTTM(-1), "`temperature` must be a number in"),
        (lambda: losses.LogitBernoulliKL(math.nan), "`temperature` must be a number in"),
        (lambda: losses.LogitBernoulliKL(0, scale="none"), "`scale` must be"),
        (lambda: losses.LogitBernoulliKL(label_reduction="x"), "`label_reduction` must be one of"),
        (lambda: losses.LogitKL(3, standardize=1), "`standardize` must be True or False"),
        (lambda: losses.LogitKL(math.inf, "none", standardize=True), "`scale` must be"),
        (lambda: losses.get("ttm:4,weight=true"), "An option of ttm must be one of weighted"),
        (lambda: losses.get("bkl:x"), "`temperature` must be a number in"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(ValueError, match="at least 2 classes.*Pass bkl:T"):
        losses.logit_ttm(np.zeros((4, 1), "f4"), np.zeros((4, 1), "f4"))
