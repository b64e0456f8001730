"""Teachers that are no Keras models: estimators, functions of arrays, functions of tensors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

from keras_logitkd import Distiller, from_probabilities

X, Y = load_wine(return_X_y=True)
X = ((X - X.mean(0)) / X.std(0)).astype("float32")


def network(seed=0, classes=3, inputs=13):
    keras.utils.set_random_seed(seed)
    hidden = keras.layers.Dense(8, "relu")
    return keras.Sequential([keras.Input((inputs,)), hidden, keras.layers.Dense(classes)])


def compiled(teacher, student=None, loss="kl:2", **settings):
    distiller = Distiller(teacher, student or network(), loss, alpha=0.9)
    distiller.compile(keras.optimizers.Adam(0.02), **settings)
    return distiller


@pytest.fixture(scope="module")
def estimator():
    return LogisticRegression(C=0.1).fit(X, Y)


def test_an_estimator_teaches_as_its_logits_in_the_targets_do(estimator):
    logits = np.log(estimator.predict_proba(X)).astype("float32")
    live, stored = compiled(from_probabilities(estimator)), compiled(None)
    targets = {"label": Y, "teacher_logits": logits}
    ours = live.fit(X, Y, epochs=3, shuffle=False, verbose=0).history
    theirs = stored.fit(X, targets, epochs=3, shuffle=False, verbose=0).history
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5, err_msg=name)
    for one, other in zip(live.student.weights, stored.student.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_student_learns_an_estimator(estimator):
    distiller = compiled(from_probabilities(estimator), loss="kl:1")
    distiller.fit(X, Y, epochs=30, verbose=0)
    logs = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    ours = np.argmax(distiller.predict(X, verbose=0), -1)
    assert logs["agreement"] == pytest.approx(np.mean(ours == estimator.predict(X)))
    assert logs["agreement"] > 0.95
    assert logs["distillation_loss"] < 0.1


def in_numpy(batch):
    assert isinstance(batch, np.ndarray)
    first, bias, second, last = network(1).get_weights()
    return np.maximum(batch @ first + bias, 0) @ second + last


@pytest.mark.parametrize("run_eagerly", [True, False])
@pytest.mark.parametrize("kind", ["arrays", "tensors", "ensemble", "eager tensors"])
def test_functions_give_the_numbers_of_the_model(kind, run_eagerly):
    model = network(1)
    teacher = {
        "arrays": in_numpy,
        "tensors": tf.function(model),
        "ensemble": [in_numpy, model],
        "eager tensors": lambda x: model(x).numpy(),
    }[kind]
    before = model.get_weights()
    ours, theirs = (compiled(each, run_eagerly=run_eagerly) for each in (teacher, model))
    expected = theirs.evaluate(X, Y, verbose=0, return_dict=True)
    found = ours.evaluate(X, Y, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-5)
    for distiller in (ours, theirs):
        distiller.train_on_batch(X, Y)
    assert len(ours.variables) == len(theirs.variables)
    assert len(ours.trainable_variables) == 4
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_xla_is_left_out_with_a_warning():
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        distiller = compiled(in_numpy, jit_compile=True)
    assert not distiller.jit_compile
    distiller = compiled(network(1), jit_compile=True)
    assert distiller.jit_compile
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        distiller.set_teacher(in_numpy)
    assert np.isfinite(distiller.train_on_batch(X, Y)[0])


def test_batches_that_are_dictionaries():
    inputs = {name: keras.Input((13,), name=name) for name in ("a", "b")}
    logits = keras.layers.Dense(3)(keras.layers.Subtract()([inputs["a"], inputs["b"]]))
    student = keras.Model(inputs, logits)
    seen = []

    def teacher(batch):
        seen.append({name: value.shape for name, value in batch.items()})
        return batch["a"][:, :3]

    distiller = compiled(teacher, student, loss="mse")
    x = {"a": X[:8], "b": X[8:16]}
    logs = distiller.evaluate(x, Y[:8], verbose=0, return_dict=True)
    assert seen == [{"a": (8, 13), "b": (8, 13)}]
    expected = np.mean(np.square(student(x).numpy() - X[:8, :3]))
    assert logs["distillation_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_subclassed_student_says_its_shape():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    student = Own()
    student(X[:1])
    logs = compiled(lambda x: x[:, :3], student, "mse").fit(X, Y, verbose=0).history
    assert np.isfinite(logs["loss"][0])


def failing(batch):
    raise KeyError("no such example")


@pytest.mark.parametrize(
    ("teacher", "error", "message"),
    [
        (
            lambda x: x[:, :4],
            ValueError,
            r"student's shape \(batch, 3\): pass keras_logitkd.adapt\(teacher, classes=\[...\]\). "
            r"Received: shape \(32, 4\)",
        ),
        (
            lambda x: x[:5, :3],
            ValueError,
            r"student's shape \(batch, 3\). Received: shape \(5, 3\)",
        ),
        (lambda x: x[:, 0], ValueError, r"shape \(batch, 3\). Received: shape \(32,\)"),
        (lambda x: x[:, :3] * np.nan, ValueError, "must return numbers. Received: nan from"),
        (failing, KeyError, "no such example"),
        (tf.function(lambda x: x[:, :4]), ValueError, r"student's shape \(batch, 3\)"),
    ],
)
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_what_goes_wrong_in_a_callable_is_told_as_it_was(teacher, error, message, run_eagerly):
    distiller = compiled(teacher, run_eagerly=run_eagerly)
    for method in (distiller.fit, distiller.evaluate):
        with pytest.raises(error, match=message):
            method(X, Y, verbose=0)
    for method in (distiller.train_on_batch, distiller.test_on_batch):
        with pytest.raises(error, match=message.replace("32", "178")):
            method(X, Y)


def test_estimators_themselves_are_refused_with_what_to_pass(estimator):
    with pytest.raises(ValueError, match=r"pass keras_logitkd\.from_probabilities\(teacher\)"):
        Distiller(estimator, network())
    with pytest.raises(ValueError, match="`teacher` must be a keras.Model, a callable"):
        Distiller(LogisticRegression, network())


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("at:taps=pool", "Features can be taken from Sequential and functional models only"),
        ("jacobian", "jacobian needs a teacher with gradients: .*which gets arrays"),
    ],
)
def test_features_need_a_network(method, message):
    with pytest.raises(ValueError, match=message):
        Distiller(lambda x: x[:, :3], network(), None, 0.0, features=method)


def test_saving_leaves_the_callable_out(tmp_path, estimator):
    distiller = compiled(from_probabilities(estimator))
    distiller.fit(X, Y, verbose=0)
    distiller.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), distiller.predict(X, verbose=0))
    loaded.set_teacher(from_probabilities(estimator))
    theirs = loaded.fit(X, Y, shuffle=False, verbose=0).history
    ours = distiller.fit(X, Y, shuffle=False, verbose=0).history
    for name, values in ours.items():
        np.testing.assert_allclose(theirs[name], values, rtol=1e-6, err_msg=name)
