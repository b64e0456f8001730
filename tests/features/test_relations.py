"""What examples and places count: in methods with a value each, and in relations of examples."""

import logging

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_logitkd import features
from keras_logitkd.distiller.batch import Batch
from keras_logitkd.features import at, cc, pkt, relations, rkd, softened, sp
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.features.terms import value_of

# By name: the loss, and of how many examples a value is.
RELATIONS = {
    "sp": (sp.similarity_loss, 2),
    "pkt": (pkt.pkt_loss, 2),
    "rkd distance": (rkd.distance_loss, 2),
    "rkd angle": (rkd.angle_loss, 3),
    "cc": (lambda t, s, weights=None: cc.congruence_loss(t, s, weights=weights), 2),
}
PAIRWISE = {"cc pairwise": (cc.pairwise_loss, 2)}


def batch_of(teacher, student, mask=None, weight=None):
    taps = {"moving": {"a": tf.constant(teacher)}}
    ours = {"a": tf.constant(student)}
    return Batch(None, mask=mask, weight=weight, teacher_taps=taps, student_taps=ours)


@hypothesis.given(seed=st.integers(0, 2**31), counts=st.lists(st.integers(0, 3), min_size=4))
@hypothesis.settings(max_examples=8)
@pytest.mark.parametrize("name", RELATIONS)
def test_whole_weights_are_repetition(name, seed, counts):
    hypothesis.assume(len(counts) <= 6 and sum(count > 0 for count in counts) > 1)
    loss, order = RELATIONS[name]
    rng = np.random.default_rng(seed)
    teacher, student = (rng.normal(size=(len(counts), size)).astype(np.float32) for size in (4, 3))
    repeated = loss(np.repeat(teacher, counts, axis=0), np.repeat(student, counts, axis=0))
    expected = float(repeated) * (sum(counts) / len(counts)) ** order
    found = loss(teacher, student, weights=tf.constant(counts, tf.float32))
    assert float(found) == pytest.approx(expected, rel=2e-4, abs=1e-7)


@pytest.mark.parametrize("name", RELATIONS | PAIRWISE)
def test_weights_of_one_change_no_bit_and_of_zero_leave_out(name, value_and_gradients, draw):
    loss, _ = (RELATIONS | PAIRWISE)[name]
    teacher, student = draw(6, 4), draw(6, 4, seed=1)
    value, _, gradient = value_and_gradients(loss, teacher, student)
    same, _, same_gradient = value_and_gradients(
        lambda t, s: loss(t, s, weights=tf.ones(6)), teacher, student
    )
    assert same == value
    np.testing.assert_allclose(same_gradient, gradient, rtol=1e-5, atol=1e-9)
    weights = tf.constant([1.0, 0.5, 0.0, 2.0, 0.0, 1.0])
    values = []
    for factor in (1.0, -30.0, 1e4):
        changed = np.where(weights[:, None] > 0, student, factor * student)
        moved = np.where(weights[:, None] > 0, teacher, factor * teacher[::-1])
        value, _, gradient = value_and_gradients(
            lambda t, s: loss(t, s, weights=weights), moved, changed
        )
        values.append(value)
        np.testing.assert_array_equal(gradient[[2, 4]], 0)
        assert np.isfinite(gradient).all()
    assert values[0] == values[1] == values[2] > 0
    assert np.isfinite(loss(teacher, student, weights=tf.zeros(6)))


def test_consecutive_pairs_weigh_the_product(draw):
    teacher, student, weights = draw(5, 4), draw(5, 4, seed=1), np.abs(draw(5, seed=2))
    difference = np.abs(student - teacher)
    pairs = np.sum(difference[:-1] * difference[1:], axis=1) * weights[:-1] * weights[1:]
    found = cc.pairwise_loss(teacher, student, weights)
    assert float(found) == pytest.approx(np.sum(pairs) / 4, rel=1e-5)


@pytest.mark.parametrize("spec", ["sp", "pkt", "rkd", "cc", "cc:form=pairwise"])
@pytest.mark.parametrize("places", [(), (2, 3)])
def test_the_term_of_a_masked_batch_is_that_of_the_rest(spec, places, draw):
    method = features.get(spec, taps="a", seed=1)
    method.build([(None, 3)], [(None, 4)])
    teacher, student = draw(6, 4), draw(6, 3, seed=1)
    counts = np.array([1, 1, 1, 1, 0, 0], bool)
    mask, weight = np.zeros((6, *places), bool), np.ones((6, *places), np.float32)
    mask[counts], weight[~counts] = True, 7.0
    expected = value_of(method, batch_of(teacher[counts], student[counts]))
    found = value_of(method, batch_of(teacher, student, mask, weight))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_what_examples_count_by_their_places(draw):
    weight, values = np.abs(draw(4, 2, 3)), draw(4, seed=1)
    mask = np.ones((4, 2, 3), bool)
    mask[1], mask[2, 0], mask[3, 1, 1:] = False, False, False
    of_places = weight * values[:, None, None]
    for kept, weighed, expected in (
        (None, weight, np.mean(of_places)),
        (mask, None, np.mean(np.broadcast_to(values[:, None, None], mask.shape)[mask])),
        (mask, weight, np.mean(of_places[mask])),
    ):
        counted = relations.counted(Batch(None, mask=kept, weight=weighed))
        found = relations.mean(tf.constant(values), *counted)
        assert float(found) == pytest.approx(expected, rel=1e-5)
    assert relations.counted(Batch(None)) == (None, None)
    nothing = relations.counted(Batch(None, mask=np.zeros((4, 2), bool)))
    assert float(relations.mean(tf.ones((4, 4)), *nothing)) == 0


def test_a_value_counts_at_each_place_of_its_example_and_one_of_a_place_there(draw):
    mask = np.ones((4, 2, 3), bool)
    mask[0, 1], mask[2] = False, False
    weight = np.abs(draw(4, 2, 3, seed=2))
    method = features.get("at:taps=a")
    teacher, student = draw(4, 5, 6), draw(4, 5, 2, seed=1)
    each = np.asarray(at.attention_loss(teacher, student))
    expected = np.mean((weight * each[:, None, None])[mask])
    batch = batch_of(teacher, student, tf.constant(mask), tf.constant(weight))
    assert float(value_of(method, batch)) == pytest.approx(expected, rel=1e-5)
    logits = draw(2, 4, 2, 3, 5, seed=3).astype(float)
    p_t, p_s = (np.exp(z / 4) / np.exp(z / 4).sum(-1, keepdims=True) for z in logits)
    each = 16 * np.sum(p_t * np.log(p_t / p_s), axis=-1)
    batch.teacher_logits, batch.student_logits = tf.constant(logits, tf.float32)
    found = value_of(features.get(softened.SoftenedLogits()), batch)
    assert float(found) == pytest.approx(np.mean((weight * each)[mask]), rel=1e-5)


class OneValue(FeatureMethod):
    """A method that cannot tell examples apart, and takes no weights."""

    method = "one_value"

    def loss(self, teacher, student, batch):
        return tf.reduce_mean(tf.square(student[0] - teacher[0]))


def test_weights_that_do_not_act_are_said_once_when_a_step_is_traced(draw, caplog):
    method, taps = OneValue(taps="a"), (draw(4, 3), draw(4, 3, seed=1))
    step = tf.function(
        lambda weight: value_of(method, batch_of(*taps, weight=weight)), autograph=False
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            value = step(tf.ones(4))
        value_of(method, batch_of(*taps))
        value_of(features.get("sp:taps=a"), batch_of(*taps, weight=tf.ones(4)))
    assert float(value) == pytest.approx(np.mean((taps[1] - taps[0]) ** 2), rel=1e-5)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["Weights and masks do not act on one_value: it has one value a batch"]


def test_methods_that_presume_a_softmax():
    needing = {name for name in features.METHODS if features.get(name).needs_softmax}
    assert needing == {"dist", "dkd", "jacobian"}
    assert not features.get("jacobian:target=attention_max").needs_softmax
    assert features.get("jacobian:target=teacher_argmax").needs_softmax
    assert softened.SoftenedLogits.needs_softmax
