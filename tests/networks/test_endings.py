"""Taking a final softmax off, for every way of writing one."""

import keras
import numpy as np
import pytest

from keras_logitkd import Distiller, strip_softmax
from keras_logitkd.networks.endings import ends_in_softmax

X = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
layers = keras.layers


def dense_softmax():
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "tanh"), layers.Dense(5, activation="softmax")]
    )


def softmax_layer():
    return keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Softmax()])


def activation_layer():
    softmax = layers.Activation("softmax", dtype="float32")
    return keras.Sequential([keras.Input((6,)), layers.Dense(5), softmax])


def function_activation():
    inputs = keras.Input((6,))
    outputs = layers.Dense(5, use_bias=False, activation=keras.activations.softmax)(inputs)
    return keras.Model(inputs, outputs)


def softmax_operation():
    inputs = keras.Input((6,))
    return keras.Model(inputs, keras.ops.softmax(layers.Dense(5)(inputs)))


def nested():
    inputs = keras.Input((6,))
    return keras.Model(inputs, dense_softmax()(layers.Dense(6, "tanh")(inputs)))


def nested_twice():
    return keras.Sequential([keras.Input((6,)), layers.Dense(6), nested()])


def nested_softmax_layer():
    inputs = keras.Input((6,))
    return keras.Model(inputs, softmax_layer()(inputs), name="outer")


def branches():
    inputs = keras.Input((6,))
    first, second = layers.Dense(4, "tanh")(inputs), layers.Dense(4, "relu")(inputs)
    shared = layers.Dense(4)
    merged = layers.Add()([shared(first), shared(second)])
    merged = layers.Concatenate()([merged, first])
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(merged))


def shared_last_layer():
    inputs = keras.Input((6,))
    softmax = layers.Softmax()
    gate = softmax(layers.Dense(5)(inputs))
    return keras.Model(inputs, softmax(layers.Multiply()([gate, layers.Dense(5)(inputs)])))


def normalized():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(5, "softmax", kernel_regularizer="l2", name="probabilities"),
        ],
        name="mine",
    )


MODELS = [
    dense_softmax,
    softmax_layer,
    activation_layer,
    function_activation,
    softmax_operation,
    nested,
    nested_twice,
    nested_softmax_layer,
    branches,
    shared_last_layer,
    normalized,
]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


@pytest.mark.parametrize("make", MODELS)
def test_strip_softmax_keeps_probabilities_and_the_original(make):
    model = make()
    before = model(X, training=False).numpy()
    weights = [weight.numpy() for weight in model.weights]
    assert ends_in_softmax(model)
    stripped = strip_softmax(model)
    assert not ends_in_softmax(stripped)
    logits = stripped(X, training=False).numpy()
    assert np.max(np.abs(logits.sum(-1) - 1)) > 1e-2
    np.testing.assert_allclose(softmax(logits), before, rtol=1e-5, atol=1e-7)
    assert stripped.name == model.name
    assert ends_in_softmax(model)
    np.testing.assert_array_equal(model(X, training=False), before)
    for weight, value in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    for ours, theirs in zip(stripped.weights, weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)


@pytest.mark.parametrize("make", [dense_softmax, nested, branches])
def test_strip_softmax_makes_a_teacher(make):
    model = make()
    student = keras.Sequential([keras.Input((6,)), layers.Dense(5)])
    with pytest.raises(ValueError, match="strip_activation"):
        Distiller(model, student)
    distiller = Distiller(strip_softmax(model), student, "kl:1")
    distiller.compile("sgd", run_eagerly=True)
    log_p, log_q = np.log(model(X).numpy()), np.log(softmax(student(X).numpy()))
    expected = np.mean(np.sum(np.exp(log_p) * (log_p - log_q), -1))
    logs = distiller.evaluate(X, verbose=0, return_dict=True)
    assert logs["distillation_loss"] == pytest.approx(expected, rel=1e-4)


def test_strip_softmax_dict_inputs():
    inputs = {name: keras.Input((6,), name=name) for name in ("a", "b")}
    merged = layers.Subtract()([inputs["a"], inputs["b"]])
    model = keras.Model(inputs, layers.Dense(5, activation="softmax")(merged))
    batch = {"a": X, "b": X[::-1]}
    logits = strip_softmax(model)(batch).numpy()
    np.testing.assert_allclose(softmax(logits), model(batch), rtol=1e-5)


def test_strip_softmax_single_dict_input():
    inputs = {"image": keras.Input((6,), name="image")}
    model = keras.Model(inputs, layers.Dense(5, activation="softmax")(inputs["image"]))
    logits = strip_softmax(model)({"image": X}).numpy()
    np.testing.assert_allclose(softmax(logits), model({"image": X}), rtol=1e-5)


def test_strip_softmax_survives_saving(tmp_path):
    stripped = strip_softmax(normalized())
    stripped.save(tmp_path / "stripped.keras")
    loaded = keras.saving.load_model(tmp_path / "stripped.keras")
    np.testing.assert_allclose(loaded(X), stripped(X), rtol=1e-6)


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "log_softmax"])
def test_strip_softmax_returns_logit_models_as_they_are(activation):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation=activation)])
    assert not ends_in_softmax(model)
    assert strip_softmax(model) is model


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    "make", [Subclassed, lambda: keras.Sequential([layers.Dense(5, "softmax")]), lambda: None]
)
def test_strip_softmax_unknown_graph(make):
    with pytest.raises(ValueError, match="`model` must be a built Sequential or functional"):
        strip_softmax(make())


def test_ends_in_softmax_inside_is_not_at_the_end():
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, activation="softmax"), layers.Dense(5)]
    )
    assert not ends_in_softmax(model)
    assert not ends_in_softmax(Subclassed())
