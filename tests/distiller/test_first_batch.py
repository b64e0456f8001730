"""Models whose graph is not known are looked at once; nothing is added to a step."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller
from keras_logitkd.distiller.first_batch import looks_like_sigmoid, looks_like_softmax

RNG = np.random.default_rng(0)
X = RNG.standard_normal((64, 6)).astype(np.float32)
BINARY = keras.losses.BinaryCrossentropy(from_logits=True)


@keras.saving.register_keras_serializable(package="tests")
class Own(keras.Model):
    """A subclassed model that counts its calls."""

    def __init__(
        self, classes, activation=None, initializer="glorot_uniform", first=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.first, self.calls = first, []
        self.dense = keras.layers.Dense(classes, activation, kernel_initializer=initializer)

    def call(self, x, training=None):
        self.calls.append(training)
        x = x if self.first is None else self.first(x)
        return self.dense(x)


def own(*args, x=X, **kwargs):
    keras.utils.set_random_seed(0)
    model = Own(*args, **kwargs)
    model(x[:2])
    return model


def plain(classes):
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(classes)])


def labels(classes, loss):
    shape = (64, classes) if loss is BINARY else 64
    return RNG.integers(0, 2, shape)


def fit(role, model, classes, loss=None, x=X, other=None, **settings):
    models = {"teacher": other or plain(classes), "student": other or plain(classes), role: model}
    distiller = Distiller(**models)
    distiller.compile("sgd", loss, **settings)
    distiller.fit(x, labels(classes, loss), verbose=0)
    return distiller


@pytest.mark.parametrize("run_eagerly", [True, False])
@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize(
    ("classes", "activation", "loss", "what"),
    [
        (3, "softmax", None, "in [0, 1] that sum to 1"),
        (1, "sigmoid", BINARY, "in [0, 1] alone, by a sigmoid"),
        (4, "sigmoid", BINARY, "in [0, 1] alone, by a sigmoid"),
    ],
)
def test_probabilities_are_refused(role, classes, activation, loss, what, run_eagerly):
    model = own(classes, activation, name="mine")
    before = model.get_weights()
    with pytest.raises(ValueError, match="seems to return probabilities") as error:
        fit(role, model, classes, loss, run_eagerly=run_eagerly)
    kind = ', kind="sigmoid"' if loss is BINARY else ""
    instead = f", or pass keras_logitkd.from_probabilities(teacher{kind})"
    assert str(error.value) == (
        f"`{role}` must return logits, but it seems to return probabilities: leave its final "
        f"activation out{instead if role == 'teacher' else ''}. "
        f"Received: 'mine', which returns values {what}"
    )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize(
    ("classes", "options", "loss"),
    [
        (3, {}, None),
        (1, {}, BINARY),
        (4, {}, BINARY),
        (1, {"initializer": keras.initializers.Constant(1e-3)}, BINARY),  # near 0 at first
        (3, {"initializer": "zeros"}, None),
        (1, {"initializer": "zeros"}, BINARY),
        (3, {"activation": "sigmoid"}, None),  # strange logits, but no probabilities of classes
    ],
)
def test_logits_are_left_alone(role, classes, options, loss):
    distiller = fit(role, own(classes, **options), classes, loss)
    assert np.isfinite(distiller.evaluate(X, labels(classes, loss), verbose=0)[0])


@pytest.mark.parametrize("last", ["nested", "layer"])
def test_unknown_ends_of_known_graphs(last):
    inside = own(3, "softmax") if last == "nested" else keras.layers.Lambda(keras.ops.softmax)
    model = keras.Sequential([keras.Input((6,)), *([] if last == "nested" else [plain(3)]), inside])
    with pytest.raises(ValueError, match="`teacher` must return logits, but it seems"):
        fit("teacher", model, 3)


def test_one_look_and_no_more():
    model = own(3)
    model.calls.clear()
    distiller = fit("student", model, 3)
    assert sorted(map(str, model.calls)) == ["False", "True"]  # the look, and the trace
    distiller.fit(X, labels(3, None), epochs=3, verbose=0)
    assert len(model.calls) == 2
    function = distiller.train_function
    assert distiller.evaluate(X, labels(3, None), verbose=0)
    assert len(model.calls) == 3  # the trace of the test step
    distiller.set_teacher(own(3, "softmax"))
    with pytest.raises(ValueError, match="`teacher` must return logits"):
        distiller.fit(X, labels(3, None), verbose=0)
    assert distiller.train_function is not function


def test_models_of_known_graphs_are_not_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "keras_logitkd.distiller.first_batch.FirstBatch._answers", lambda *args: asked.append(args)
    )
    fit("student", plain(3), 3)
    assert not asked


@pytest.mark.slow
def test_the_steps_have_the_same_operations(monkeypatch):
    def operations():
        distiller = Distiller(own(3), own(3))
        distiller.compile("sgd")
        step = tf.function(distiller.train_step)
        graph = step.get_concrete_function((tf.constant(X), tf.constant(labels(3, None)))).graph
        return sorted(each.type for each in graph.get_operations())

    with_look = operations()
    monkeypatch.setattr("keras_logitkd.distiller.first_batch.FirstBatch.look", lambda *args: None)
    assert operations() == with_look


def test_whole_numbers_and_what_cannot_be_drawn(caplog):
    tokens = RNG.integers(0, 9, (64, 5))
    embed = keras.Sequential([keras.layers.Embedding(9, 4), keras.layers.Flatten()])
    other = keras.Sequential([keras.Input((5,), dtype="int64"), embed, keras.layers.Dense(3)])
    model = own(3, "softmax", first=embed, x=tokens)
    with pytest.raises(ValueError, match="`teacher` must return logits"):
        fit("teacher", model, 3, x=tokens, other=other)
    one = keras.Sequential([keras.Input((5,), dtype="int64"), embed, keras.layers.Dense(1)])
    binary = own(1, first=embed, x=tokens, initializer=keras.initializers.Constant(1e-3))
    fit("student", binary, 1, BINARY, x=tokens, other=one)

    class Picky(Own):
        def call(self, x, training=None):
            if tf.executing_eagerly() and len(x) > 2:
                raise ValueError("no such example\nas this")
            return super().call(x, training=training)

    picky = Picky(3)
    picky(X[:2])
    with caplog.at_level(logging.WARNING, logger="keras_logitkd"):
        fit("student", picky, 3)
    (message,) = caplog.messages
    assert message.startswith(f"Whether {picky.name!r} returns logits is not known: Exception")
    assert "\n" not in message


def test_the_look_under_a_strategy():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = own(3, "softmax")
        with pytest.raises(ValueError, match="`student` must return logits"):
            fit("student", model, 3)


def test_array_teachers_are_looked_at_once_on_real_data():
    def softmax(x):
        return np.exp(x[:, :3]) / np.exp(x[:, :3]).sum(-1, keepdims=True)

    with pytest.raises(ValueError, match="`teacher` must return logits.*Received: .*softmax"):
        fit("teacher", softmax, 3)
    with pytest.raises(ValueError, match="by a sigmoid"):
        fit("teacher", lambda x: 1 / (1 + np.exp(-x[:, :1])), 1, BINARY)
    distiller = Distiller(lambda x: np.abs(x[:, :1]).clip(0, 1), plain(1))
    distiller.compile("sgd", BINARY)
    distiller.train_on_batch(X[:8], np.ones((8, 1)))  # eight logits may be in [0, 1] by chance


def test_what_looks_like_probabilities():
    p = RNG.dirichlet(np.ones(5), 9)
    for dtype in ("float64", "float32", "float16"):
        assert looks_like_softmax(p.astype(dtype))
    assert looks_like_softmax(p.reshape(3, 3, 5))
    assert not looks_like_softmax(1.01 * p)
    assert not looks_like_softmax(p - 1e-3)
    assert not looks_like_softmax(np.ones((9, 1)))
    assert not looks_like_softmax(np.full((9, 5), np.nan))
    assert looks_like_sigmoid(p)
    assert not looks_like_sigmoid(0 * p)
    assert not looks_like_sigmoid(-p)
