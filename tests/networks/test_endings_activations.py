"""Endings other than a softmax, and what an activation is found behind."""

import keras
import numpy as np
import pytest

from keras_logitkd import strip_activation, strip_softmax
from keras_logitkd.networks.endings import NO_LOGITS, STRIPPABLE, ending_of, is_known

X = np.random.default_rng(0).standard_normal((7, 6)).astype(np.float32)
layers, ops = keras.layers, keras.ops

# In float64, by definition.
ACTIVATIONS = {
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True),
    "log_softmax": lambda z: z - np.log(np.exp(z).sum(-1, keepdims=True)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "log_sigmoid": lambda z: -np.log1p(np.exp(-z)),
}


def sequential(*stack, name=None):
    return keras.Sequential([keras.Input((6,)), layers.Dense(6, "tanh"), *stack], name=name)


def functional(function, *stack):
    inputs = keras.Input((6,))
    return keras.Model(inputs, function(sequential(*stack)(inputs)))


def frozen_norm_inside(a):
    inputs = keras.Input((6,))
    inner = sequential(layers.BatchNormalization(), layers.Dense(5, a))
    return keras.Model(inputs, inner(inputs, training=False))


def second_of_two_outputs(a):
    inputs = keras.Input((6,))
    logits = layers.Dense(5)(inputs)
    two = keras.Model(inputs, [layers.Dense(4)(inputs), layers.Activation(a)(logits)])
    return keras.Model(inputs, two(inputs)[1])


def two_inputs_inside(a):
    first, second = keras.Input((6,)), keras.Input((6,))
    difference = layers.Subtract()([first, second])
    inner = keras.Model([first, second], layers.Dense(5, a)(difference))
    inputs = keras.Input((6,))
    return keras.Model(inputs, inner([layers.Dense(6)(inputs), inputs]))


def steps(*inner):
    stack = [layers.Reshape((3, 2)), *map(layers.TimeDistributed, inner)]
    return sequential(*stack)


# Functions of an activation's name to models of X that end in it.
MODELS = {
    "argument": lambda a: sequential(layers.Dense(5, a)),
    "layer": lambda a: sequential(layers.Dense(5), layers.Activation(a)),
    "function": lambda a: sequential(layers.Dense(5, getattr(ops, a))),
    "operation": lambda a: functional(getattr(ops, a), layers.Dense(5)),
    "convolution": lambda a: sequential(layers.Reshape((3, 2)), layers.Conv1D(5, 2, activation=a)),
    "dropout": lambda a: sequential(layers.Dense(5, a), layers.Dropout(0.5), layers.Identity()),
    "noise": lambda a: sequential(layers.Dense(5, a), layers.GaussianNoise(1.0)),
    "reshape": lambda a: sequential(layers.Dense(5, a), layers.Reshape((1, 5))),
    "flatten": lambda a: sequential(layers.Reshape((1, 6)), layers.Dense(5, a), layers.Flatten()),
    "linear": lambda a: sequential(layers.Dense(5, a), layers.Activation("linear")),
    "reshape operation": lambda a: functional(
        lambda z: ops.cast(ops.reshape(z, (-1, 5)), "float32"), layers.Dense(5, a)
    ),
    "nested": lambda a: sequential(sequential(layers.Dense(5, a)), layers.Dropout(0.1)),
    "nested head": lambda a: sequential(
        layers.Dense(5), keras.Sequential([keras.Input((5,)), layers.Activation(a)])
    ),
    "nested nothing": lambda a: sequential(
        layers.Dense(5, a), keras.Sequential([keras.Input((5,)), layers.Dropout(0.5)])
    ),
    "frozen inside": frozen_norm_inside,
    "second of two outputs": second_of_two_outputs,
    "two inputs inside": two_inputs_inside,
    "steps": lambda a: steps(layers.Dense(5, a)),
    "steps of an activation": lambda a: steps(layers.Dense(5), layers.Activation(a)),
    "steps of a model": lambda a: steps(
        keras.Sequential([keras.Input((2,)), layers.Dense(5, a), layers.Dropout(0.5)])
    ),
}


@pytest.mark.parametrize("activation", STRIPPABLE)
@pytest.mark.parametrize("kind", MODELS)
def test_taken_off_exactly(kind, activation):
    model = MODELS[kind](activation)
    before = model(X, training=False).numpy()
    weights = [weight.numpy() for weight in model.weights]
    assert ending_of(model) == activation
    assert is_known(model)
    stripped = strip_activation(model)
    logits = stripped(X, training=False).numpy()
    assert ending_of(stripped) is None
    assert logits.shape == before.shape
    expected = ACTIVATIONS[activation](logits.astype(np.float64))
    np.testing.assert_allclose(before, expected, rtol=2e-6, atol=1e-6)
    assert np.max(np.abs(logits - before)) > 1e-2
    assert stripped.name == model.name
    assert strip_activation(stripped) is stripped
    np.testing.assert_array_equal(model(X, training=False), before)
    kept = stripped.weights
    for ours, theirs in zip(kept, weights[: len(kept)], strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)


def test_layers_of_the_model_keep_their_one_output():
    model = sequential(layers.Dense(5, "sigmoid"), layers.Dropout(0.5, name="last"))
    strip_activation(model)
    assert model.get_layer("last").output is model.outputs[0]


@pytest.mark.parametrize("activation", sorted({*NO_LOGITS} - {*STRIPPABLE}))
@pytest.mark.parametrize("kind", ["argument", "layer", "operation", "dropout", "nested", "steps"])
def test_hidden_logits_are_refused_by_name(kind, activation):
    model = MODELS[kind](activation)
    assert ending_of(model) == activation
    assert strip_softmax(model) is model
    with pytest.raises(ValueError, match=f"`model` must end in logits.*a {activation} has no"):
        strip_activation(model)


def test_recurrent_layers_are_refused_by_name():
    model = sequential(layers.Reshape((3, 2)), layers.SimpleRNN(5, "softmax", name="loop"))
    assert ending_of(model) == "softmax"
    with pytest.raises(ValueError, match="Received: SimpleRNN 'loop', which feeds"):
        strip_activation(model)


@pytest.mark.parametrize("activation", [None, "linear", "relu", "tanh"])
def test_other_endings_are_logits(activation):
    model = sequential(layers.Dense(5, "softmax"), layers.Dense(5, activation), layers.Dropout(0.5))
    assert ending_of(model) is None
    assert is_known(model)
    assert strip_activation(model) is model


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def call(self, inputs):
        return ops.softmax(inputs)


class Own(layers.Layer):
    def call(self, inputs):
        return ops.softmax(inputs)


@pytest.mark.parametrize(
    "last", [Subclassed, Own, lambda: layers.Lambda(lambda z: ops.softmax(z), output_shape=(6,))]
)
def test_unknown_makers_are_known_to_be_unknown(last):
    model = sequential(last())
    assert ending_of(model) is None
    assert not is_known(model)
    assert not is_known(Subclassed())
