"""The Distiller under mixed precision and Keras's ways of running a step."""

import keras
import numpy as np
import pytest

from keras_logitkd import Distiller, losses

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6)).astype(np.float32)
Y = RNG.integers(0, 5, 12)


def network(hidden=8, seed=0, dtype=None, **settings):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6,), dtype="float32"),
            keras.layers.Dense(hidden, activation="tanh", dtype=dtype, **settings),
            keras.layers.Dense(5, dtype=dtype),
        ]
    )


def compiled(teacher, student, loss="kl:3", alpha=0.3, optimizer=None, **settings):
    distiller = Distiller(teacher, student, loss, alpha)
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    distiller.compile(optimizer, metrics=["accuracy"], **settings)
    return distiller


def fitted(distiller, **settings):
    settings = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, **settings}
    history = distiller.fit(X, Y, **settings).history
    return history, distiller.student.get_weights()


def oracle(teacher, student, loss="kl:3", alpha=0.3):
    """Total loss of X, Y from the logits as the models return them."""
    z_t, z_s = (np.asarray(model(X, training=False), np.float32) for model in (teacher, student))
    wide = z_s.astype("f8")
    log_p = wide - np.log(np.sum(np.exp(wide), -1, keepdims=True))
    hard = -np.mean(log_p[np.arange(len(Y)), Y])
    return (1 - alpha) * hard + alpha * float(losses.get(loss)(z_t, z_s))


@pytest.fixture(scope="module")
def reference():
    """History and weights of the plain compiled run that other modes must repeat."""
    return fitted(compiled(network(16, seed=1), network()))


@pytest.mark.parametrize(
    "settings", [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 3}], ids=str
)
def test_fit_is_the_same_however_steps_are_run(settings, reference):
    history, weights = fitted(compiled(network(16, seed=1), network(), **settings))
    assert set(history) == set(reference[0])
    for name, values in reference[0].items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)
    for ours, theirs in zip(weights, reference[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_fit_is_reproducible(reference):
    history, weights = fitted(compiled(network(16, seed=1), network()))
    assert history == reference[0]
    for ours, theirs in zip(weights, reference[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_gradient_accumulation_is_one_large_batch():
    results = []
    for steps, batch_size in [(3, 4), (None, 12)]:
        optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=steps)
        distiller = compiled(
            network(16, seed=1), network(), optimizer=optimizer, run_eagerly=steps is None
        )
        results.append(fitted(distiller, batch_size=batch_size, epochs=1)[1])
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)
    assert np.max(np.abs(results[0][0] - network().get_weights()[0])) > 1e-3


def test_mixed_float16_scales_the_loss_and_trains_like_float32(reference):
    keras.config.set_dtype_policy("mixed_float16")
    teacher, student = network(16, seed=1), network()
    distiller = compiled(teacher, student)
    assert isinstance(distiller.optimizer, keras.optimizers.LossScaleOptimizer)
    assert student(X).dtype == "float16"
    expected = oracle(teacher, student)
    logs = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    history, weights = fitted(distiller)
    assert int(distiller.optimizer.step_counter) == 6  # no step was dropped for an overflow
    # The arithmetic of the networks is float16's: 10 bits.
    np.testing.assert_allclose(history["loss"], reference[0]["loss"], rtol=2e-3)
    for ours, theirs in zip(weights, reference[1], strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize(
    ("teacher_dtype", "student_dtype"),
    [
        ("mixed_bfloat16", "mixed_bfloat16"),
        ("float32", "float16"),
        ("float16", "float32"),
        ("float32", "mixed_float16"),
    ],
)
@pytest.mark.parametrize("loss", ["mse", "kl:0.01", "kl:inf", "bkl:3", "kl:3,standardize=true"])
def test_dtypes_of_teacher_and_student_may_differ(teacher_dtype, student_dtype, loss):
    teacher = network(16, seed=1, dtype=teacher_dtype)
    student = network(dtype=student_dtype)
    expected = oracle(teacher, student, loss)
    distiller = compiled(teacher, student, loss, run_eagerly=True)
    before = student.get_weights()
    logs = distiller.train_on_batch(X, Y, return_dict=True)
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-5)
    for old, new in zip(before, student.get_weights(), strict=True):
        assert np.all(np.isfinite(new))
        assert np.any(old != new)


def test_float32_student_sees_float32_inputs_under_a_half_precision_policy():
    teacher, student = network(16, seed=1), network()
    expected = oracle(teacher, student)
    keras.config.set_dtype_policy("mixed_float16")
    distiller = compiled(teacher, student, run_eagerly=True)
    logs = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_activity_regularization_of_a_half_precision_layer():
    keras.config.set_dtype_policy("mixed_float16")
    regularizer = keras.regularizers.L2(0.1)
    student = network(activity_regularizer=regularizer, kernel_regularizer=regularizer)
    teacher = network(16, seed=1)
    expected = oracle(teacher, student) + 0.1 * np.sum(student.weights[0].numpy() ** 2)
    hidden = np.asarray(student.layers[0](X), np.float64)
    expected += 0.1 * np.sum(hidden**2) / len(X)
    logs = compiled(teacher, student, run_eagerly=True).train_on_batch(X, Y, return_dict=True)
    assert float(logs["loss"]) == pytest.approx(expected, rel=2e-3)


class Subclassed(keras.Model):
    """A model whose graph of layers is unknown to Keras."""

    def __init__(self, units):
        super().__init__()
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.normalization = keras.layers.BatchNormalization()
        self.logits = keras.layers.Dense(5)

    def call(self, inputs, training=None):
        return self.logits(self.normalization(self.hidden(inputs), training=training))


def test_subclassed_teacher_and_student():
    teacher, student = Subclassed(16), Subclassed(8)
    for model in (teacher, student):
        model(X[:1])
    before = [v.numpy() for v in teacher.variables], [v.numpy() for v in student.variables]
    distiller = compiled(teacher, student, loss="mse", alpha=1.0)
    expected = oracle(teacher, student, "mse", 1.0)
    logs = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    fitted(distiller)
    for variable, value in zip(teacher.variables, before[0], strict=True):
        np.testing.assert_array_equal(variable, value)
    for variable, value in zip(student.variables, before[1], strict=True):
        assert np.any(variable.numpy() != value)
    assert distiller.evaluate(X, Y, verbose=0, return_dict=True)["loss"] < expected
