"""The Distiller's numbers: the objective, what is logged, and what a step may change."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, losses

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6)).astype(np.float32)
Y = RNG.integers(0, 5, 12)


def network(hidden=8, weight_decay=0.0, extra=(), seed=0, classes=5):
    keras.utils.set_random_seed(seed)
    regularizer = keras.regularizers.L2(weight_decay) if weight_decay else None
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(hidden, activation="relu", kernel_regularizer=regularizer),
            *extra,
            keras.layers.Dense(classes, kernel_regularizer=regularizer),
        ]
    )


def compiled(teacher, student, loss="mse", alpha=1.0, learning_rate=0.1, **settings):
    distiller = Distiller(teacher, student, loss, alpha)
    settings = {"run_eagerly": True, **settings}
    distiller.compile(keras.optimizers.SGD(learning_rate, momentum=0.9), **settings)
    return distiller


def logits_of(model, x=X):
    return model(x, training=False).numpy().astype("f8")


def cross_entropy(logits, labels=Y):
    log_p = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels]


def expected_logs(teacher_logits, student, loss="mse", alpha=1.0, decayed=()):
    logits = logits_of(student)
    hard = np.mean(cross_entropy(logits))
    kd = np.mean(losses.get(loss).call(teacher_logits.astype("f4"), logits.astype("f4")))
    penalty = sum(factor * np.sum(kernel.numpy().astype("f8") ** 2) for factor, kernel in decayed)
    return {
        "loss": (1 - alpha) * hard + alpha * kd + penalty,
        "hard_loss": hard,
        "distillation_loss": kd,
        "agreement": np.mean(np.argmax(teacher_logits, -1) == np.argmax(logits, -1)),
        "accuracy": np.mean(np.argmax(logits, -1) == Y),
    }


def variables_of(model):
    return [variable.numpy() for variable in model.variables]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("alpha", "run_eagerly"), [(0, True), (0.3, True), (0.3, False), (1, True)]
)
def test_logs_are_numpy_in_fit_evaluate_and_train_on_batch(alpha, run_eagerly):
    teacher, student = network(16, seed=1), network(8, weight_decay=0.02, seed=2)
    distiller = compiled(
        teacher, student, "kl:3", alpha, 0.0, metrics=["accuracy"], run_eagerly=run_eagerly
    )
    kernels = [layer.kernel for layer in student.layers]
    expected = expected_logs(
        logits_of(teacher), student, "kl:3", alpha, [(0.02, kernel) for kernel in kernels]
    )
    assert abs(expected["hard_loss"] - expected["distillation_loss"]) > 0.1
    # Batches of 5, 5 and 2: the mean over the examples, not over the batches.
    fit = distiller.fit(X, Y, batch_size=5, verbose=0, validation_data=(X, Y)).history
    logs = [
        {name: values[0] for name, values in fit.items() if not name.startswith("val_")},
        {name[4:]: values[0] for name, values in fit.items() if name.startswith("val_")},
        distiller.evaluate(X, Y, batch_size=5, verbose=0, return_dict=True),
        distiller.train_on_batch(X, Y, return_dict=True),
        distiller.test_on_batch(X, Y, return_dict=True),
    ]
    distiller.reset_metrics()
    for each in logs:
        assert set(each) == set(expected)
        for name, value in expected.items():
            assert float(each[name]) == pytest.approx(value, rel=1e-5), name


def test_activity_regularization_is_counted_once_per_step():
    activity = keras.layers.ActivityRegularization(l2=0.1)
    teacher, student = network(16, seed=1), network(8, weight_decay=0.02, extra=[activity])
    distiller = compiled(teacher, student, learning_rate=0.0)
    kernels = [(0.02, layer.kernel) for layer in student.layers if layer.weights]
    expected = expected_logs(logits_of(teacher), student, decayed=kernels)["loss"]
    hidden = logits_of(student.layers[0])
    expected += 0.1 * np.sum(hidden**2) / len(X)
    for _ in range(2):
        logs = distiller.fit(X, Y, batch_size=12, verbose=0).history
        assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_train_step_alpha_one_ignores_labels():
    teacher, results = network(16, seed=1), []
    for labels in (Y, (Y + 1) % 5, None):
        student = network(weight_decay=0.01)
        distiller = compiled(teacher, student, "kl:2", metrics=None)
        logs = distiller.fit(X, labels, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        assert ("hard_loss" in logs) == (labels is not None)
        results.append(variables_of(student))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_train_step_alpha_zero_is_plain_training():
    plain = network(weight_decay=0.01, extra=[keras.layers.BatchNormalization()])
    student = network(weight_decay=0.01, extra=[keras.layers.BatchNormalization()])
    plain.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    distiller = compiled(network(16, seed=1), student, alpha=0)
    for model in (plain, distiller):
        model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(variables_of(student), variables_of(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_train_step_is_one_step_down_the_gradient():
    teacher, student = network(16, seed=1), network(weight_decay=0.01)
    before = [weight.numpy().astype("f8") for weight in student.trainable_weights]
    teacher_logits = logits_of(teacher).astype("f4")
    with tf.GradientTape() as tape:
        logits = student(X)
        hard = tf.nn.sparse_softmax_cross_entropy_with_logits(Y, logits)
        squares = tf.reduce_mean(tf.square(logits - teacher_logits))
        total = 0.7 * tf.reduce_mean(hard) + 0.3 * squares + sum(student.losses)
    gradients = tape.gradient(total, [weight.value for weight in student.trainable_weights])
    compiled(teacher, student, "mse", 0.3).train_on_batch(X, Y)
    for old, weight, gradient in zip(before, student.trainable_weights, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), old - 0.1 * gradient, rtol=1e-5, atol=1e-7)


@keras.saving.register_keras_serializable(package="tests")
class Counter(keras.layers.Layer):
    """Counts its calls, also those inside a compiled step."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="int32")

    def call(self, inputs):
        self.calls.assign_add(1)
        return inputs


@pytest.mark.parametrize("loss", ["mse", "kl:3", losses.SequentialLoss([("kl", 0), ("mse", 1)])])
def test_train_step_runs_each_network_once(loss):
    counters = Counter(), Counter()
    teacher, student = (network(extra=[counter]) for counter in counters)
    distiller = compiled(teacher, student, loss, 0.5, run_eagerly=False)
    start = [int(counter.calls) for counter in counters]
    distiller.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    assert [int(counter.calls) - at for counter, at in zip(counters, start, strict=True)] == [6, 6]


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_train_step_moves_batch_statistics_once(alpha):
    student = network(extra=[keras.layers.BatchNormalization(momentum=0.9)])
    compiled(network(16, seed=1), student, alpha=alpha).train_on_batch(X, Y)
    hidden = logits_of(network().layers[0])
    normalization = student.layers[1]
    np.testing.assert_allclose(normalization.moving_mean, 0.1 * hidden.mean(0), rtol=1e-5)
    expected = 0.9 + 0.1 * hidden.var(0)
    np.testing.assert_allclose(normalization.moving_variance, expected, rtol=1e-5)


@pytest.mark.parametrize("trainable", [True, False])
def test_fit_leaves_the_teacher_bit_identical(trainable):
    extra = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=3)]
    teacher = network(16, extra=extra, seed=1, weight_decay=0.1)
    teacher.trainable = trainable
    flags = [layer.trainable for layer in teacher._flatten_layers()]
    before = variables_of(teacher)
    assert len(before) > len(teacher.weights)  # the dropout's seed state as well
    student = network(weight_decay=0.0)
    distiller = compiled(teacher, student, learning_rate=0.0, run_eagerly=False)
    logs = distiller.fit(X, Y, epochs=2, verbose=0).history
    distiller.evaluate(X, Y, verbose=0)
    assert_same(variables_of(teacher), before)
    assert [layer.trainable for layer in teacher._flatten_layers()] == flags
    # Inference mode: the same number without dropout, and without the teacher's L2.
    expected = expected_logs(logits_of(teacher), student)
    assert logs["loss"][0] == pytest.approx(expected["loss"], rel=1e-5)
    assert not {id(v) for v in teacher.variables} & {id(v) for v in distiller.variables}


def test_evaluate_and_predict_change_only_metrics():
    extra = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=3)]
    student = network(extra=extra)
    distiller = compiled(network(16, seed=1), student, alpha=0.5, run_eagerly=False)
    distiller.fit(X, Y, verbose=0)
    before = variables_of(student), variables_of(distiller.optimizer)
    distiller.evaluate(X, Y, verbose=0)
    predicted = distiller.predict(X, verbose=0)
    assert_same(variables_of(student), before[0])
    assert_same(variables_of(distiller.optimizer), before[1])
    np.testing.assert_allclose(predicted, logits_of(student), rtol=1e-5, atol=1e-6)


def test_ensemble_averages_logits():
    teachers = [network(hidden, seed=hidden) for hidden in (3, 5, 7)]
    student = network()
    mean = np.mean([logits_of(teacher) for teacher in teachers], axis=0)
    logs = compiled(teachers, student, "kl:2", 0.4, 0.0).evaluate(X, Y, verbose=0, return_dict=True)
    expected = expected_logs(mean, student, "kl:2", 0.4)
    for name in logs:
        assert logs[name] == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.parametrize("wrap", [list, tuple])
def test_ensemble_of_one_is_the_model(wrap):
    results = []
    for teacher in (network(16, seed=1), wrap([network(16, seed=1)])):
        student = network()
        compiled(teacher, student, "kl:2", 0.4).fit(X, Y, batch_size=4, shuffle=False, verbose=0)
        results.append(variables_of(student))
    assert_same(*results)


def test_sequential_loss_switches_in_fit():
    teacher, student = network(16, seed=1), network()
    distiller = compiled(teacher, student, "kl:3@0,mse@2", 1.0, 0.0, run_eagerly=False)
    kl, mse = (expected_logs(logits_of(teacher), student, name)["loss"] for name in ("kl:3", "mse"))
    assert abs(kl - mse) > 0.1
    logs = distiller.fit(X, Y, epochs=4, verbose=0, validation_data=(X, Y)).history
    for name in ("loss", "distillation_loss", "val_loss", "val_distillation_loss"):
        np.testing.assert_allclose(logs[name], [kl, kl, mse, mse], rtol=1e-5)
    for first, expected in [(0, [kl]), (1, [kl, mse]), (2, [mse]), (7, [mse])]:
        epochs = first + len(expected)
        logs = distiller.fit(X, Y, initial_epoch=first, epochs=epochs, verbose=0).history
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["none", "one", "list", "CallbackList"])
def test_sequential_loss_switches_with_any_callbacks(kind):
    student, seen = network(), []
    distiller = compiled(network(16, seed=1), student, "kl:3@0,mse@1", 1.0, 0.0)
    recorder = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    callbacks = {
        "none": None,
        "one": recorder,
        "list": [recorder],
        "CallbackList": keras.callbacks.CallbackList(
            [recorder], add_history=True, model=distiller, epochs=2
        ),
    }[kind]
    distiller.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
    assert seen == ([] if kind == "none" else [0, 1])
    logs = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    expected = expected_logs(logits_of(network(16, seed=1)), student, "mse")
    assert logs["loss"] == pytest.approx(expected["loss"], rel=1e-5)
