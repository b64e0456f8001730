"""The objectives where logits are infinite, shapes unknown or of other ranks, and at tau = 0."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_values import pair, value_and_gradient

from keras_logitkd import losses
from keras_logitkd.losses import refusals

quick = settings(max_examples=30, deadline=None)
ALL = ["kl:0", "kl:0.01", "kl:3", "kl:inf", "mse", "mse:class_reduction=sum"]
ALL += ["bkl:0", "bkl:3", "bkl:inf", "ttm:4", "ttm:4,weighted=true"]
ALL += [f"kl:{tau},standardize=true" for tau in (0, 3, "inf")]
INF = np.float32(math.inf)


def numpy_kl(teacher, student, tau):
    """(max(tau, tau^2) KL, gradient) in float64, with 0 log 0 = 0."""
    p, q = (
        np.exp(z / tau - np.max(z / tau, axis=-1, keepdims=True))
        for z in (teacher.astype("f8"), student.astype("f8"))
    )
    p, q = p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0)
    return max(tau, tau**2) * terms.sum(axis=-1), max(1.0, tau) * (q - p)


@quick
@given(st.integers(0, 999), st.integers(2, 9), st.sampled_from([0.5, 1.0, 3.0, 50.0]))
def test_classes_that_the_teacher_excludes_count_as_0_log_0(seed, classes, tau):
    teacher, student = pair(5, classes, seed=seed)
    out = np.random.default_rng(seed).random(teacher.shape) < 0.4
    out[np.arange(5), np.argmax(teacher, axis=-1)] = False
    teacher = np.where(out, -INF, teacher)
    value, gradient = value_and_gradient(f"kl:{tau}", teacher, student)
    expected = numpy_kl(teacher, student, tau)
    # Near 0 the oracle itself has float64's rounding of probabilities near 1.
    rounding = 1e-15 * max(tau, tau**2)
    np.testing.assert_allclose(value, expected[0], rtol=1e-6, atol=rounding)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-6, atol=1e-7)


def test_logits_of_minus_infinity_by_hand():
    # Teacher (1/2, 1/2, 0), student (1/3, 1/3, 1/3): log 3/2.
    value, gradient = value_and_gradient("kl:1", [[0.0, 0.0, -INF]], [[1.0, 1.0, 1.0]])
    np.testing.assert_allclose(value, [math.log(1.5)], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-1 / 6, -1 / 6, 1 / 3]], rtol=1e-6)
    # A difference of 1e-6 on the classes that are left shows, though the third has e^-60 only:
    # kl promises 1e-6 there, the losses beside the paper's keep their digits.
    teacher, student = [[1.0, 2.0, -INF]], [[1.0 + 2**-20, 2.0, -60.0]]
    value, _ = value_and_gradient("ttm:1", teacher, student)
    p = 1 / (1 + math.e)
    np.testing.assert_allclose(value, [0.5 * p * (1 - p) * 2.0**-40], rtol=1e-5)
    # The student's own -inf: where the teacher has it too it is 0, elsewhere the value is inf.
    value, gradient = value_and_gradient("kl:2", [[0.0, 1.0, -INF]], [[0.0, 1.0, -INF]])
    assert (value.tolist(), gradient.tolist()) == ([0.0], [[0.0, 0.0, 0.0]])
    value, gradient = value_and_gradient("kl:1", [[0.0, 0.0, 0.0]], [[0.0, 0.0, -INF]])
    assert value.tolist() == [math.inf]
    np.testing.assert_allclose(gradient, [[1 / 6, 1 / 6, -1 / 3]], rtol=1e-6)


_KL = ["kl:0", "kl:1e-3", "kl:0.1", "kl:4", "kl:1e6"]


@pytest.mark.parametrize("loss", [*_KL, "bkl:0", "bkl:4", "ttm:0", "ttm:4", "ttm:inf"])
@pytest.mark.parametrize("mode", [None, {}, {"jit_compile": True}])
def test_no_nan_comes_of_minus_infinity(loss, mode):
    # A random forest's probabilities have zeros: case 7 of the outputs.
    rng = np.random.default_rng(1)
    probabilities = rng.multinomial(5, np.full(10, 0.1), size=64) / 5
    with np.errstate(divide="ignore"):
        teacher = tf.constant(np.log(probabilities).astype("f4"))
    student = tf.constant(rng.normal(0, 30, (64, 10)).astype("f4"))

    def step(teacher, student):
        with tf.GradientTape() as tape:
            tape.watch(student)
            value = losses.get(loss)(teacher, student)
        return value, tape.gradient(value, student)

    run = step if mode is None else tf.function(step, **mode)
    value, gradient = run(teacher, student)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient)


@pytest.mark.parametrize("loss", ["mse", "kl:inf", "kl:inf@0,mse@1"])
@pytest.mark.parametrize("infinity", [INF, -INF])
def test_infinite_logits_are_refused_where_the_loss_has_no_value(loss, infinity):
    teacher, student = pair(4, 3)
    teacher[2, 1] = teacher[3, 0] = infinity
    with pytest.raises(ValueError, match="must be finite for .*: pass kl:T with T in") as error:
        losses.get(loss)(teacher, student)
    assert str(error.value).endswith("Received: infinite logits")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("loss", ["kl:0", "kl:3"])
@pytest.mark.parametrize("infinity", [INF, -INF])
def test_an_example_without_probabilities_is_refused(loss, infinity):
    teacher, student = pair(4, 3)
    teacher[2] = infinity
    with pytest.raises(ValueError, match="finite largest logit.*Received: examples without"):
        losses.get(loss)(teacher, student)


@pytest.mark.parametrize("spoilt", [0, 1])
def test_logit_kl_at_zero_shows_nan_logits(spoilt):
    logits = pair(4, 10)
    logits[spoilt][1, 2] = math.nan
    value, _ = value_and_gradient("kl:0", *logits)
    np.testing.assert_array_equal(np.isnan(value), [False, True, False, False])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("mse", "must be finite for mse"),
        ("kl:inf", "must be finite for kl:inf"),
        ("kl:3,standardize=true", "must be finite for standardize=True"),
        ("bkl:inf", "must be finite for bkl:inf"),
        ("kl:3", "finite largest logit"),
        ("ttm:4", "finite largest logit"),
    ],
)
def test_a_compiled_step_refuses_what_has_no_value(loss, message):
    teacher, student = map(tf.constant, pair(4, 3))
    teacher = tf.tensor_scatter_nd_update(teacher, [[2]], [[-INF] * 3])
    compute = tf.function(lambda *logits: losses.get(loss).call(*logits))
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        compute(teacher, student)
    assert message in refusals.message_of(error.value)
    compiled = tf.function(compute, jit_compile=True)(teacher, student)  # XLA does not look
    np.testing.assert_array_equal(np.isfinite(compiled)[[0, 1, 3]], True)


def test_value_at_zero_is_the_lead_of_the_predicted_class():
    # Case 17 of the outputs.
    teacher, student = [[3.0, 1.0, 0.0], [0.0, 5.0, 1.0]], [[1.0, 3.5, 2.0], [0.0, 9.0, 8.0]]
    value, gradient = value_and_gradient("kl:0", teacher, student)
    np.testing.assert_array_equal(value, [2.5, 0.0])
    np.testing.assert_array_equal(gradient, [[-1, 1, 0], [0, 0, 0]])


@quick
@given(st.integers(0, 9999), st.integers(2, 12))
def test_value_at_zero_continues_the_small_temperatures(seed, classes):
    teacher, student = pair(4, classes, seed=seed)
    value, _ = value_and_gradient("kl:0", teacher, student)
    near, _ = value_and_gradient("kl:1e-6", teacher, student)
    # tau log K is what the smallest temperature may differ by.
    np.testing.assert_allclose(value, near, rtol=1e-6, atol=1e-6 * math.log(classes))


@pytest.mark.parametrize("loss", ALL)
@pytest.mark.parametrize("leading", [(6,), (3, 2), (1, 3, 2)])
def test_classes_are_the_last_axis(loss, leading):
    teacher, student = pair(6, 4)
    value, gradient = value_and_gradient(loss, teacher, student)
    shaped = value_and_gradient(loss, teacher.reshape(*leading, 4), student.reshape(*leading, 4))
    assert (shaped[0].shape, shaped[1].shape) == (leading, (*leading, 4))
    np.testing.assert_array_equal(shaped[0].ravel(), value)
    np.testing.assert_array_equal(shaped[1].reshape(6, 4), gradient)
    mean = float(losses.get(loss)(teacher.reshape(*leading, 4), student.reshape(*leading, 4)))
    assert mean == pytest.approx(np.mean(value, dtype="f8"), rel=1e-6)


@pytest.mark.parametrize("loss", [*ALL, "kl:0@0,mse@1"])
@pytest.mark.parametrize("known", [(None, None), (None, 4), (4, None)])
def test_classes_need_not_be_known_while_tracing(loss, known):
    specs = [tf.TensorSpec([None, classes]) for classes in known]
    loss = losses.get(loss)

    def step(teacher, student):
        with tf.GradientTape() as tape:
            tape.watch(student)
            value = loss.call(teacher, student)
        return value, tape.gradient(value, student)

    teacher, student = pair(6, 4)
    traced = tf.function(step, input_signature=specs)
    eager = step(tf.constant(teacher), tf.constant(student))
    for ours, theirs in zip(traced(teacher, student), eager, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    if known == (None, None):
        with pytest.raises(tf.errors.InvalidArgumentError):
            traced(teacher[:, :1], student)  # would be broadcast


def test_smoothed_crossentropy_of_unknown_classes_and_of_places():
    from keras_logitkd.losses.smoothed_crossentropy import SmoothedCrossentropy

    loss, labels, logits = SmoothedCrossentropy(0.1), np.arange(6) % 4, pair(6, 4)[0]
    expected = loss(labels, logits)
    traced = tf.function(
        loss.call, input_signature=[tf.TensorSpec([None], "int64"), tf.TensorSpec([None, None])]
    )
    np.testing.assert_allclose(np.mean(traced(labels, logits)), expected, rtol=1e-6)
    places = loss.call(labels.reshape(2, 3), keras.ops.reshape(logits, (2, 3, 4)))
    assert places.shape == (2, 3)
    np.testing.assert_allclose(np.mean(places), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", ["kl:3", "mse"])
@pytest.mark.parametrize("shape", [(1, 4), (6, 1, 4), (3, 4), (3, 2, 4)])
def test_examples_differ(loss, shape):
    with pytest.raises(ValueError, match="the same examples and the same classes.*Received: tea"):
        losses.get(loss).call(np.zeros(shape, "f4"), np.zeros((6, 4), "f4"))


def test_an_unknown_rank_is_refused():
    traced = tf.function(
        losses.LogitMSE().call, input_signature=[tf.TensorSpec(None), tf.TensorSpec([None, 4])]
    )
    with pytest.raises(ValueError, match="at least two axes.*Received: teacher None, student"):
        traced(*pair(6, 4))


@pytest.mark.parametrize("loss", ["kl:0", "kl:3", "kl:inf"])
def test_softmax_of_one_logit_is_refused(loss):
    with pytest.raises(ValueError, match="at least 2 classes.*Pass bkl:T.*Received: logits of"):
        losses.get(loss).call(np.zeros((6, 1), "f4"), np.ones((6, 1), "f4"))
