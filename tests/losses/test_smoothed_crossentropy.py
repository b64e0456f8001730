import keras
import numpy as np
import pytest

from keras_logitkd.losses.smoothed_crossentropy import SmoothedCrossentropy

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(6, 5)).astype("float32") * 4
LABELS = RNG.integers(0, 5, 6)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.7])
def test_value_is_equation_1(beta):
    targets = np.full((6, 5), beta / 4)
    targets[np.arange(6), LABELS] = 1 - beta
    log_p = LOGITS - np.log(np.exp(LOGITS.astype("float64")).sum(axis=-1, keepdims=True))
    expected = -(targets * log_p).sum(axis=-1).mean()
    assert float(SmoothedCrossentropy(beta)(LABELS, LOGITS)) == pytest.approx(expected, rel=1e-6)


def test_without_smoothing_is_keras_crossentropy():
    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights = np.array([0, 1, 2, 0.5, 1, 1], "float32")
    ours = SmoothedCrossentropy()(LABELS, LOGITS, weights)
    assert float(ours) == pytest.approx(float(keras_loss(LABELS, LOGITS, weights)), rel=1e-6)


def test_config_round_trip():
    loss = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(SmoothedCrossentropy(0.2))
    )
    assert loss.beta == 0.2


def test_beta_out_of_range():
    with pytest.raises(ValueError, match="Received: beta=1"):
        SmoothedCrossentropy(1)
