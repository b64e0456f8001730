"""The objectives in half precision, their gradients' destinations, and sample weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import losses

BESIDE = ("bkl:3", "kl:3,standardize=true", "kl:inf,standardize=true", "ttm:4,weighted=true")


def random_pair(rows=4, classes=10, seed=0, spread=3.0):
    return (spread * np.random.default_rng(seed).standard_normal((2, rows, classes))).astype("f4")


@pytest.mark.parametrize("loss", ["kl:0", "kl:0.01", "kl:3", "kl:1e6", "kl:inf", "mse", *BESIDE])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_losses_of_half_precision_logits_are_float32(loss, dtype):
    teacher, student = (tf.cast(z, dtype) for z in random_pair(spread=40.0))
    loss = losses.get(loss)
    results = []
    for teacher_dtype, student_dtype in [(dtype, dtype), ("float32", dtype), ("float32",) * 2]:
        logits = tf.cast(student, student_dtype)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(tf.cast(teacher, teacher_dtype), logits)
        gradient = tape.gradient(value, logits)
        assert value.dtype == tf.float32
        assert gradient.dtype == student_dtype
        assert np.all(np.isfinite(tf.cast(gradient, "float32")))
        results.append((value.numpy(), tf.cast(tf.cast(gradient, dtype), "float32").numpy()))
    for value, gradient in results[:-1]:
        np.testing.assert_array_equal(value, results[-1][0])
        np.testing.assert_array_equal(gradient, results[-1][1])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_losses_under_a_half_precision_policy_are_float32(policy):
    teacher, student = random_pair(spread=300.0)
    expected = (
        float(losses.LogitKL(3.0)(teacher, student)),
        float(losses.LogitMSE()(teacher, student)),
    )
    keras.config.set_dtype_policy(policy)
    actual = [loss(teacher, student) for loss in (losses.LogitKL(3.0), losses.LogitMSE())]
    assert [value.dtype for value in actual] == [tf.float32] * 2
    assert tuple(float(value) for value in actual) == expected


@pytest.mark.parametrize("loss", ["kl:0", "kl:3", "kl:inf", "mse", *BESIDE])
def test_losses_send_no_gradient_to_the_teacher(loss):
    teacher, student = (tf.constant(z) for z in random_pair())
    with tf.GradientTape() as tape:
        tape.watch([teacher, student])
        value = losses.get(loss)(teacher, student)
    to_teacher, to_student = tape.gradient(value, [teacher, student])
    assert to_teacher is None
    assert np.any(to_student)


@pytest.mark.parametrize("loss", [*map(losses.get, ("kl:3", "mse", "kl:0", *BESIDE))])
def test_losses_sample_weight_is_numpy(loss):
    teacher, student = random_pair()
    weight = np.array([0.5, 0.0, 2.0, 1.0], np.float32)
    each = np.asarray(loss.call(teacher, student), np.float64)
    assert float(loss(teacher, student)) == pytest.approx(np.mean(each), rel=1e-6)
    expected = pytest.approx(np.sum(weight * each) / 4, rel=1e-6)
    assert float(loss(teacher, student, weight)) == expected
    assert float(loss(teacher, student, weight[:, None])) == expected
