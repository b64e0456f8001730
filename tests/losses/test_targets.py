"""Losses of Keras as distillation losses: which compare logits, and which are refused."""

import keras
import pytest

from keras_logitkd import Distiller, losses

INSTEAD = {
    "BinaryCrossentropy": "bkl:1",
    "BinaryFocalCrossentropy": "bkl:1",
    "Dice": "bkl:1",
    "Tversky": "bkl:1",
    "Hinge": "bkl:0",
    "SquaredHinge": "bkl:0",
    "CategoricalCrossentropy": "kl:1",
    "CategoricalFocalCrossentropy": "kl:1",
    "CategoricalGeneralizedCrossEntropy": "kl:1",
    "CategoricalHinge": "kl:0",
    "KLDivergence": "kl:1",
    "SparseCategoricalCrossentropy": "kl:0",
    "Circle": "kl:0",
    "CTC": "kl:1",
    "Poisson": "mse",
    "MeanSquaredLogarithmicError": "mse",
}
OF_LOGITS = [
    "CosineSimilarity",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
]


def dense():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])


def test_every_loss_of_keras_is_one_or_the_other():
    known = {
        name
        for name, each in vars(keras.losses).items()
        if isinstance(each, type) and each is not keras.losses.Loss
    }
    assert known == {*INSTEAD, *OF_LOGITS}


@pytest.mark.parametrize("name", INSTEAD)
def test_losses_of_probabilities_or_labels_are_refused(name):
    loss = getattr(keras.losses, name)()
    config = keras.saving.serialize_keras_object(loss)
    for call in (
        lambda: losses.get(loss),
        lambda: losses.get(config),
        lambda: losses.SequentialLoss([("mse", 0), (loss, 2)]),
        lambda: Distiller(dense(), dense(), loss),
    ):
        with pytest.raises(ValueError, match=f"the targets of {name} must be ") as error:
            call()
        assert f'Pass "{INSTEAD[name]}" instead. Received: {loss.name!r}, a' in str(error.value)
        assert "\n" not in str(error.value)
    assert losses.get(INSTEAD[name])


def test_logits_are_no_targets_of_from_logits_either():
    # Case 4 of the outputs: from_logits is about the predictions.
    for loss in (
        keras.losses.BinaryCrossentropy(from_logits=True),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    ):
        with pytest.raises(ValueError, match="and the teacher gives logits"):
            Distiller(dense(), dense(), loss)


@pytest.mark.parametrize("name", OF_LOGITS)
def test_losses_between_logits_pass(name):
    loss = getattr(keras.losses, name)()
    assert losses.get(loss) is loss


def test_a_subclass_with_a_call_of_its_own_passes():
    class Plain(keras.losses.KLDivergence):
        pass

    class Converting(keras.losses.KLDivergence):
        def call(self, y_true, y_pred):
            return super().call(keras.ops.softmax(y_true), keras.ops.softmax(y_pred))

    with pytest.raises(ValueError, match="Received: 'kl_divergence', a Plain"):
        losses.get(Plain())
    loss = Converting()
    assert losses.get(loss) is loss
