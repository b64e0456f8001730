"""Sample weights, class weights, and targets that carry the teacher's logits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6)).astype(np.float32)
Y = RNG.integers(0, 5, 12)
WEIGHTS = np.array([0, 2, 0.5, 1, 1, 0, 3, 1, 1, 0.25, 1, 2], np.float32)
CLASS_WEIGHTS = {0: 2.0, 1: 0.0, 2: 0.5, 4: 3.0}
OF_CLASSES = np.array([CLASS_WEIGHTS.get(label, 1.0) for label in Y], np.float32)


def network(hidden=8, seed=0):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((6,)), keras.layers.Dense(hidden, "relu"), keras.layers.Dense(5)]
    return keras.Sequential(layers)


TEACHER, STUDENT = network(16, seed=1), network(seed=2)
Z_T, Z_S = (model(X).numpy() for model in (TEACHER, STUDENT))
TARGETS = {"label": Y, "teacher_logits": Z_T}


def compiled(teacher=TEACHER, student=STUDENT, alpha=0.3, learning_rate=0.0, **settings):
    distiller = Distiller(teacher, student, "mse", alpha)
    settings = {"run_eagerly": True, **settings}
    distiller.compile(keras.optimizers.SGD(learning_rate), **settings)
    return distiller


def expected_logs(weights, rows=slice(None), alpha=0.3):
    """Keras divides the weighted sum by the number of examples, not by the sum of weights."""
    logits, labels, weights = Z_S[rows].astype("f8"), Y[rows], weights[rows]
    log_p = logits - np.log(np.sum(np.exp(logits), -1, keepdims=True))
    hard = np.mean(-weights * log_p[np.arange(len(labels)), labels])
    kd = np.mean(weights * np.mean((logits - Z_T[rows]) ** 2, axis=-1))
    agrees = np.argmax(logits, -1) == np.argmax(Z_T[rows], -1)
    return {
        "loss": (1 - alpha) * hard + alpha * kd,
        "hard_loss": hard,
        "distillation_loss": kd,
        "agreement": np.sum(weights * agrees) / max(np.sum(weights), 1e-30),
    }


def assert_logs(logs, expected, prefix=""):
    for name, value in expected.items():
        logged = np.ravel(logs[prefix + name])[-1]
        assert float(logged) == pytest.approx(value, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("targets", ["labels", "dict"])
@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize("shape", [(12,), (12, 1)])
def test_sample_weight_acts_on_both_terms(targets, as_dataset, shape):
    y = Y if targets == "labels" else TARGETS
    distiller = compiled(TEACHER if targets == "labels" else None)
    weights = WEIGHTS.reshape(shape)
    if as_dataset:
        data = {"x": tf.data.Dataset.from_tensor_slices((X, y, weights)).batch(5)}
    else:
        data = {"x": X, "y": y, "sample_weight": weights, "batch_size": 5}
    expected = expected_logs(WEIGHTS)
    assert_logs(distiller.fit(**data, verbose=0).history, expected)
    assert_logs(distiller.evaluate(**data, verbose=0, return_dict=True), expected)
    if not as_dataset:
        logs = distiller.train_on_batch(X, y, sample_weight=weights, return_dict=True)
        assert_logs(logs, expected)


@pytest.mark.parametrize("targets", ["labels", "dict"])
@pytest.mark.parametrize("labels", ["sparse", "sparse column", "one hot"])
@pytest.mark.parametrize("as_dataset", [False, True])
def test_class_weight_acts_on_both_terms(targets, labels, as_dataset):
    label = {"sparse": Y, "sparse column": Y[:, None], "one hot": np.eye(5, dtype="f4")[Y]}[labels]
    y = label if targets == "labels" else {"label": label, "teacher_logits": Z_T}
    loss = "categorical_crossentropy" if labels == "one hot" else None
    distiller = compiled(TEACHER if targets == "labels" else None, loss=loss)
    if as_dataset:
        data = {"x": tf.data.Dataset.from_tensor_slices((X, y)).batch(5)}
    else:
        data = {"x": X, "y": y, "batch_size": 5}
    history = distiller.fit(**data, class_weight=CLASS_WEIGHTS, verbose=0).history
    assert_logs(history, expected_logs(OF_CLASSES))


@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize("shape", [(12,), (12, 1)])
def test_class_weight_and_sample_weight_of_dict_targets_multiply(as_dataset, shape):
    weights = WEIGHTS.astype("f8").reshape(shape)
    if as_dataset:
        data = {"x": tf.data.Dataset.from_tensor_slices((X, TARGETS, weights)).batch(5)}
    else:
        data = {"x": X, "y": TARGETS, "sample_weight": weights, "batch_size": 5}
    history = compiled(None).fit(**data, class_weight=CLASS_WEIGHTS, verbose=0).history
    assert_logs(history, expected_logs(WEIGHTS * OF_CLASSES))


@pytest.mark.parametrize("y", [Y, TARGETS], ids=["labels", "dict"])
def test_class_weight_of_train_on_batch(y):
    logs = compiled().train_on_batch(X, y, class_weight=CLASS_WEIGHTS, return_dict=True)
    assert_logs(logs, expected_logs(OF_CLASSES))


@pytest.mark.parametrize("y", [Y, TARGETS], ids=["labels", "dict"])
def test_class_weight_does_not_act_on_validation_split(y):
    settings = {"class_weight": CLASS_WEIGHTS, "validation_split": 0.5, "verbose": 0}
    history = compiled().fit(X, y, **settings).history
    assert_logs(history, expected_logs(OF_CLASSES, slice(0, 6)))
    assert_logs(history, expected_logs(np.ones(12), slice(6, 12)), "val_")


@pytest.mark.parametrize("y", [Y, TARGETS], ids=["labels", "dict"])
def test_sample_weight_of_zero_gives_zero_loss_and_no_update(y):
    student = network(seed=2)
    distiller = compiled(student=student, learning_rate=1.0)
    history = distiller.fit(X, y, sample_weight=np.zeros(12, "f4"), verbose=0).history
    assert_logs(history, {"loss": 0, "hard_loss": 0, "distillation_loss": 0, "agreement": 0})
    for before, after in zip(STUDENT.get_weights(), student.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_weight_of_zero_is_an_example_left_out():
    results = []
    for weights, rows in [(np.repeat([1, 0], [8, 4]), slice(None)), (np.ones(8), slice(8))]:
        student = network(seed=2)
        distiller = compiled(student=student, learning_rate=len(weights) / 10)
        distiller.train_on_batch(X[rows], Y[rows], sample_weight=weights.astype("f4"))
        results.append(student.get_weights())
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_dict_targets_train_as_the_teacher_online():
    results = []
    for teacher, y in [(TEACHER, Y), (None, TARGETS)]:
        student = network(seed=2)
        distiller = compiled(teacher, student, learning_rate=0.1, run_eagerly=False)
        keras.utils.set_random_seed(9)
        history = distiller.fit(X, y, batch_size=4, epochs=2, verbose=0).history
        results.append((history, student.get_weights()))
    # Logits of whole and of partial batches may differ in the last bit.
    for first, second in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert results[0][0] == results[1][0]


def test_dict_targets_take_the_place_of_the_teacher():
    other = network(4, seed=8)
    assert_logs(compiled(other).fit(X, TARGETS, verbose=0).history, expected_logs(np.ones(12)))


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_validation_data_dict_and_plain(run_eagerly):
    distiller = compiled(None, metrics=["accuracy"], run_eagerly=run_eagerly)
    expected = expected_logs(np.ones(12))
    history = distiller.fit(X, TARGETS, validation_data=(X, TARGETS), verbose=0).history
    assert_logs(history, expected)
    assert_logs(history, expected, "val_")
    history = distiller.fit(X, TARGETS, validation_data=(X, Y), verbose=0).history
    hard = expected["hard_loss"]
    accuracy = np.mean(np.argmax(Z_S, -1) == Y)
    assert_logs(history, {"loss": hard, "hard_loss": hard, "accuracy": accuracy}, "val_")
    assert not {"val_agreement", "val_distillation_loss"} & set(history)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_evaluate_without_teacher_logs_what_it_can(alpha):
    logs = compiled(None, alpha=alpha).evaluate(X, Y, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "hard_loss"}
    assert_logs(logs, dict.fromkeys(logs, expected_logs(np.ones(12))["hard_loss"]))


@pytest.mark.parametrize("y", [None, {"teacher_logits": Z_T}], ids=["none", "dict"])
@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_labels_may_be_missing_with_alpha_one(y, metrics):
    distiller = compiled(alpha=1.0, metrics=metrics)
    expected = expected_logs(np.ones(12), alpha=1.0)
    del expected["hard_loss"]
    history = distiller.fit(X, y, batch_size=5, verbose=0).history
    assert set(history) == set(expected)
    assert_logs(history, expected)
    assert_logs(distiller.evaluate(X, y, verbose=0, return_dict=True), expected)


def test_labels_may_be_missing_in_training_and_present_in_validation():
    distiller = compiled(alpha=1.0, metrics=["accuracy"])
    history = distiller.fit(X, validation_data=(X, Y), epochs=2, verbose=0).history
    expected = expected_logs(np.ones(12), alpha=1.0)
    expected["accuracy"] = np.mean(np.argmax(Z_S, -1) == Y)
    for name, value in expected.items():
        np.testing.assert_allclose(history[f"val_{name}"], [value] * 2, rtol=1e-5)
    assert not {"accuracy", "hard_loss"} & set(history)


@pytest.mark.parametrize("as_dataset", [False, True])
def test_a_teachers_infinite_logits(as_dataset):
    """Case 7: exact for KL at finite temperatures, refused by what has no value there."""
    logits = np.where(Z_T < -0.5, -np.inf, Z_T).astype("f4")
    assert np.isinf(logits).any()
    targets = {"label": Y, "teacher_logits": logits}
    for loss, refuses in (("kl:2", False), ("mse", True), ("kl:inf", True), ("mse@0,kl:2@9", True)):
        student = network(seed=2)
        distiller = Distiller(None, student, loss, 0.5)
        distiller.compile(keras.optimizers.SGD(0.1))
        data = {"x": X, "y": targets}
        if as_dataset:
            data = {"x": tf.data.Dataset.from_tensor_slices((X, targets)).batch(12)}
        if not refuses:
            distiller.fit(**data, verbose=0)
            assert all(np.all(np.isfinite(each)) for each in student.get_weights())
            continue
        with pytest.raises(ValueError, match="must be finite for .*kl:T with T in") as error:
            distiller.fit(**data, verbose=0)
        assert "\n" not in str(error.value)
        for before, after in zip(STUDENT.get_weights(), student.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
