"""Means over the places that count, as Keras's own losses reduce."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_logitkd.networks import places


def arrays(seed, shape):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape).astype("f4")
    return values, rng.random(shape) < 0.6, rng.random(shape).astype("f4")


class Values(keras.losses.Loss):
    """The first logit of each place."""

    def call(self, y_true, y_pred):
        return y_pred[..., 0]


@given(st.integers(0, 10**6), st.sampled_from([(5,), (3, 4), (2, 3, 2)]), st.booleans())
def test_the_mean_is_that_of_keras(seed, shape, weighted):
    values, mask, weight = arrays(seed, shape)
    weight = weight if weighted else None
    mask.flat[0] = True
    logits = places.with_mask(values[..., None], mask)
    expected = Values()(values, logits, weight)
    found = places.mean(values, mask, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    by_hand = np.sum(values * mask * (1 if weight is None else weight)) / mask.sum()
    np.testing.assert_allclose(found, by_hand, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        places.mean(values, None, weight), Values()(values, values[..., None], weight), atol=1e-6
    )


@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_a_value_of_an_example_is_that_of_each_of_its_places(seed, masked, weighted):
    _, mask, weight = arrays(seed, (3, 4, 2))
    mask.flat[0] = True
    counts = (mask if masked else None, weight if weighted else None)
    values = np.random.default_rng(seed).standard_normal(3).astype("f4")
    spread = np.broadcast_to(values[:, None, None], (3, 4, 2))
    np.testing.assert_allclose(
        places.mean(values, *counts), places.mean(spread, *counts), rtol=1e-4, atol=1e-6
    )


def test_nothing_that_counts_is_zero():
    assert float(places.mean(np.ones((2, 2), "f4"), np.zeros((2, 2), bool))) == 0.0


def test_a_mask_that_is_carried():
    mask = np.array([[True, False]])
    tensor = keras.ops.ones((1, 2, 3))
    assert places.mask_of(places.with_mask(tensor, mask)) is mask
    assert places.mask_of(tensor) is None


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_mask_common_to_some(count):
    masks = [np.array([True, True, False]), np.array([True, False, True])][:count]
    found = places.common([None, *masks])
    if count == 0:
        assert found is None
    else:
        np.testing.assert_array_equal(found, np.logical_and.reduce(masks))
