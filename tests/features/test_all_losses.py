"""What holds for every loss of the methods."""

import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.features import (
    ab,
    at,
    cc,
    dist,
    dkd,
    fitnets,
    ft,
    jacobian,
    nst,
    overhaul,
    pkt,
    reviewkd,
    rkd,
    sp,
    vid,
)

MARGIN = np.float32([-1, -0.5, -2])
RAW = np.full(3, vid.INITIAL_RAW_VARIANCE, np.float32)


def _labels(logits):
    return tf.range(tf.shape(logits)[0]) % 3


ON_MAPS = {
    "hint": fitnets.hint_loss,
    "at": at.attention_loss,
    "at paper": lambda t, s: at.attention_loss(t, s, "paper"),
    "jacobian": jacobian.jacobian_distance,
    "ft": ft.factor_loss,
    "ab": ab.boundary_loss,
    "overhaul": lambda t, s: overhaul.partial_l2(t, s, MARGIN),
    "sp": sp.similarity_loss,
    "pkt": pkt.pkt_loss,
    "nst": nst.selectivity_loss,
    "rkd distance": rkd.distance_loss,
    "rkd angle": rkd.angle_loss,
    "cc": cc.congruence_loss,
    "cc pairwise": lambda t, s: cc.pairwise_loss(*(tf.reshape(x, (-1, 48)) for x in (t, s))),
    "vid": lambda t, s: vid.gaussian_loss(t, s, RAW),
    "reviewkd": reviewkd.hierarchical_loss,
}
ON_LOGITS = {
    "dist": dist.dist_loss,
    "dkd": lambda t, s: dkd.dkd_loss(t, s, _labels(t)),
}
LOSSES = [
    *(pytest.param(loss, (4, 4, 3), id=name) for name, loss in ON_MAPS.items()),
    *(pytest.param(loss, (5,), id=name) for name, loss in ON_LOGITS.items()),
]
every_loss = pytest.mark.parametrize(("loss", "shape"), LOSSES)
NOT_ZERO_AT_EQUALITY = {"ab", "vid"}
DEPEND_ON_ORDER = {"cc pairwise", "dkd"}  # dkd: the labels here stay in place.


def without(names):
    chosen = [parameters for parameters in LOSSES if parameters.id not in names]
    return pytest.mark.parametrize(("loss", "shape"), chosen)


@every_loss
def test_finite_with_a_gradient_at_random_features(value_and_gradients, draw, loss, shape):
    value, to_teacher, to_student = value_and_gradients(
        loss, draw(6, *shape), draw(6, *shape, seed=1)
    )
    assert value.shape in ((), (6,))
    assert np.isfinite(value).all()
    assert np.isfinite(to_student).all()
    assert np.abs(to_student).max() > 0
    assert to_teacher is None or not np.any(to_teacher) or loss is ON_MAPS["cc pairwise"]


@every_loss
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("zero", ["teacher", "student", "both"])
def test_finite_at_zero_features(value_and_gradients, draw, loss, shape, batch, zero):
    teacher, student = draw(batch, *shape), draw(batch, *shape, seed=1)
    teacher = 0 * teacher if zero != "student" else teacher
    student = 0 * student if zero != "teacher" else student
    value, _, gradient = value_and_gradients(loss, teacher, student)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


@every_loss
def test_finite_for_one_example_and_for_equal_ones(value_and_gradients, draw, loss, shape):
    teacher, student = draw(4, *shape), draw(4, *shape, seed=1)
    equal = np.broadcast_to(student[:1], student.shape)
    for t, s in ((teacher[:1], student[:1]), (teacher, equal), (equal, student)):
        value, _, gradient = value_and_gradients(loss, t, np.array(s))
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()


@without(NOT_ZERO_AT_EQUALITY)
def test_zero_where_student_and_teacher_are_equal(value_and_gradients, draw, loss, shape):
    features = draw(6, *shape)
    value, _, gradient = value_and_gradients(loss, features, features)
    np.testing.assert_allclose(value, 0, atol=2e-6)
    np.testing.assert_allclose(gradient, 0, atol=2e-6)


@pytest.mark.parametrize("name", sorted(NOT_ZERO_AT_EQUALITY))
def test_equality_does_not_make_these_zero(draw, name):
    features = draw(6, 4, 4, 3)
    assert np.all(ON_MAPS[name](features, features).numpy() > 0.1)


@without(DEPEND_ON_ORDER)
def test_the_order_of_the_batch_does_not_count(draw, loss, shape):
    teacher, student = draw(6, *shape), draw(6, *shape, seed=1)
    order = np.array([3, 1, 5, 0, 2, 4])
    np.testing.assert_allclose(
        np.mean(loss(teacher[order], student[order])), np.mean(loss(teacher, student)), rtol=1e-5
    )


@every_loss
def test_a_last_batch_of_another_size_in_one_graph(draw, loss, shape):
    spec = tf.TensorSpec((None, *shape))
    compiled = tf.function(loss, input_signature=[spec, spec])
    for batch in (6, 5, 1):
        teacher, student = draw(batch, *shape), draw(batch, *shape, seed=1)
        np.testing.assert_allclose(
            compiled(teacher, student), loss(teacher, student), rtol=1e-5, atol=1e-6
        )


@every_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(draw, loss, shape, dtype):
    teacher, student = (tf.cast(draw(6, *shape, seed=seed), dtype) for seed in (0, 1))
    value = loss(teacher, student)
    assert value.dtype == tf.float32
    expected = loss(tf.cast(teacher, tf.float32), tf.cast(student, tf.float32))
    np.testing.assert_array_equal(value, expected)
