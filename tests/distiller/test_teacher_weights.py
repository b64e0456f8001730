"""Several teachers that count more or less."""

import keras
import numpy as np
import pytest

from keras_logitkd import Distiller
from keras_logitkd.networks import inference

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6)).astype(np.float32)
Y = RNG.integers(0, 5, 12)


def network(hidden=8, seed=0):
    keras.utils.set_random_seed(seed)
    hidden = keras.layers.Dense(hidden, "tanh")
    return keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(5)])


OTHERS = [network(3, seed=7), network(4, seed=9)]


@pytest.mark.parametrize("weights", [[3, 1], (0.75, 0.25), [1, 0], [1e308, 1e308]])
def test_teachers_are_weighed(weights):
    distiller = Distiller(OTHERS, network(), "mse", teacher_weights=weights)
    distiller.compile("sgd", run_eagerly=True)
    found = distiller.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
    logits = [teacher(X).numpy().astype("f8") for teacher in OTHERS]
    shares = np.asarray(weights) / max(weights)
    mean = np.average(logits, axis=0, weights=shares)
    expected = np.mean((distiller.student(X).numpy().astype("f8") - mean) ** 2)
    assert found == pytest.approx(expected, rel=1e-5)
    assert "teacher_weights" not in distiller.get_config()
    distiller.set_teacher(OTHERS[::-1], weights[::-1])
    again = distiller.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
    assert again == pytest.approx(expected, rel=1e-5)


def test_equal_weights_are_the_bits_of_none():
    three = [*OTHERS, network(5, seed=2)]
    found = inference.Ensemble(three, inference.shares_of(three, [0.1, 0.1, 0.1]))(X)
    np.testing.assert_array_equal(found, inference.Ensemble(three)(X))


@pytest.mark.parametrize(
    ("teacher", "weights"),
    [
        (OTHERS, [1]),
        (OTHERS, [1, 1, 1]),
        (OTHERS, [1, -1]),
        (OTHERS, [0, 0]),
        (OTHERS, [1, np.nan]),
        (OTHERS, [1, np.inf]),
        (OTHERS, [1, "1"]),
        (OTHERS, 0.5),
        (OTHERS[0], [1]),
        (None, [1]),
    ],
)
def test_weights_that_do_not_fit_are_one_line(teacher, weights):
    with pytest.raises(ValueError, match="`teacher_weights` must be a list of numbers") as error:
        Distiller(teacher, network(), teacher_weights=weights)
    assert "\n" not in str(error.value)
