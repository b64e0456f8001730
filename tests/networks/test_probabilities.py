"""Logits of probabilities: exact zeros, precision, shapes, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_logitkd import from_probabilities
from keras_logitkd.networks.callables import runs_in_graph

X = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")


class Estimator:
    def __init__(self, answer):
        self.answer = answer

    def predict_proba(self, batch):
        return self.answer


@given(hnp.arrays(np.float64, (3, 4), elements=st.integers(0, 10).map(float)))
def test_softmax_of_the_logits_is_what_was_predicted(counts):
    counts[:, 0] += 1  # no row of zeros
    p = counts / counts.sum(-1, keepdims=True)
    logits = from_probabilities(Estimator(p))(X)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(np.isneginf(logits), p == 0)
    np.testing.assert_allclose(np.exp(logits.astype(np.float64)), p, rtol=1e-6)


@given(hnp.arrays(np.float64, (3, 4), elements=st.just(0.0) | st.floats(1e-300, 1)))
def test_sigmoid_of_the_logits_is_what_was_predicted(p):
    logits = from_probabilities(Estimator(p), kind="sigmoid")(X).astype(np.float64)
    np.testing.assert_array_equal(np.isneginf(logits), p == 0)
    np.testing.assert_array_equal(np.isposinf(logits), p == 1)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(1 / (1 + np.exp(-logits)), p, rtol=5e-5)  # 691 * 2^-24


def test_logarithms_are_taken_before_rounding():
    logits = from_probabilities(Estimator(np.array([[1e-300, 1.0]])))(X)
    assert logits[0, 0] == pytest.approx(-690.7755, rel=1e-6)
    logits = from_probabilities(Estimator(np.array([[1e-300], [1 - 1e-12]])), "sigmoid")(X)
    assert logits[:, 0] == pytest.approx([-690.7755, 27.631], rel=1e-4)


def test_one_probability_an_example_and_a_list_of_labels():
    one = from_probabilities(Estimator(np.array([0.5, 0.2])), kind="sigmoid")(X)
    np.testing.assert_allclose(one, [[0.0], [np.log(0.25)]], rtol=1e-6)
    pairs = [np.array([[0.5, 0.5], [0.8, 0.2]]), np.array([[1.0, 0.0], [0.0, 1.0]])]
    several = from_probabilities(Estimator(pairs), kind="sigmoid")(X)
    np.testing.assert_allclose(several, [[0.0, -np.inf], [np.log(0.25), np.inf]], rtol=1e-6)


def test_functions_are_called_on_the_batch():
    seen = []

    def predict(batch):
        seen.append(batch)
        return np.full((5, 2), 0.5)

    teacher = from_probabilities(predict)
    np.testing.assert_allclose(teacher(X), np.full((5, 2), np.log(0.5)), rtol=1e-6)
    assert seen[0] is X
    assert not runs_in_graph(teacher)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_networks_run_in_the_graph(kind):
    logits = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    model = keras.Sequential([logits, keras.layers.Activation(kind)])
    model.build((None, 4))
    for predict in (model, tf.function(lambda x: model(x, training=False))):
        teacher = from_probabilities(predict, kind)
        assert runs_in_graph(teacher)
        found, expected = teacher(X).numpy(), logits(X).numpy()
        if kind == "softmax":
            found, expected = (z - z.mean(-1, keepdims=True) for z in (found, expected))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    zeros = from_probabilities(tf.function(lambda x: tf.constant([[0.0, 1.0]])))(X)
    np.testing.assert_array_equal(zeros, [[-np.inf, 0.0]])


@pytest.mark.parametrize(
    ("found", "kind", "message"),
    [
        ([[0.5, 0.6]], "softmax", 'sum to 1 .*pass kind="sigmoid". Received: sums from 1.1 to 1.1'),
        ([0.5, 0.6], "softmax", r'one probability an example pass kind="sigmoid".*\(2,\)'),
        ([[-0.5, 1.5]], "softmax", r"in \[0, 1\]. Received: values from -0.5 to 1.5"),
        ([[-0.5, 1.5]], "sigmoid", r"in \[0, 1\]. Received: values from -0.5 to 1.5"),
        ([[np.nan, 1.0]], "softmax", r"in \[0, 1\]. Received: values from nan to nan"),
    ],
)
def test_what_is_no_probability(found, kind, message):
    with pytest.raises(ValueError, match=message) as error:
        from_probabilities(Estimator(np.array(found)), kind)(X)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([[-0.5, 1.5]], r"in \[0, 1\]. Received: values from -0.5 to 1.5"),
        ([[0.5, 0.6]], "sum to 1 over no and yes of a label. Received: sums from 1.1 to 1.1"),
        ([[1.0]], r"no and yes of each label, \(batch, 2\); .*Received: shape \(1, 1\)"),
        ([[0.2, 0.3, 0.5]], r"no and yes of each label, .*Received: shape \(1, 3\)"),
    ],
)
def test_what_is_no_probability_of_one_of_several_labels(label, message):
    answer = [np.array([[0.5, 0.5]]), np.array(label)]
    with pytest.raises(ValueError, match=message) as error:
        from_probabilities(Estimator(answer), "sigmoid")(X[:1])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("predict", [None, "forest", Estimator, object()])
def test_what_cannot_be_called(predict):
    with pytest.raises(ValueError, match="`predict` must be a fitted estimator") as error:
        from_probabilities(predict)
    assert f"Received: predict={predict!r}" in str(error.value)


def test_unknown_kind():
    with pytest.raises(ValueError, match="`kind` must be one of .*Received: kind='binary'"):
        from_probabilities(Estimator(X), "binary")
