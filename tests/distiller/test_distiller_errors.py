"""Bad input to the Distiller: a ValueError that names the argument and what was received."""

import math

import keras
import numpy as np
import pytest

from keras_logitkd import Distiller, losses

X = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
Y = np.array([0, 1, 2, 3])


def network(classes=5, inputs=(6,), activation=None, name=None):
    layers = [keras.Input(inputs), keras.layers.Dense(classes, activation=activation)]
    return keras.Sequential(layers, name=name)


def ending_in_softmax(kind):
    inputs = keras.Input((6,))
    if kind == "dense":
        return network(activation="softmax", name="culprit")
    if kind == "layer":
        outputs = keras.layers.Softmax()(network()(inputs))
    elif kind == "activation":
        outputs = keras.layers.Activation("softmax", dtype="float32")(network()(inputs))
    else:
        outputs = network(activation="softmax")(inputs)
    return keras.Model(inputs, outputs, name="culprit")


def message_of(*args, **kwargs):
    with pytest.raises(ValueError, match="`") as error:
        Distiller(*args, **kwargs)
    return str(error.value)


@pytest.mark.parametrize("kind", ["dense", "layer", "activation", "nested"])
@pytest.mark.parametrize("role", ["teacher", "student", "ensemble"])
def test_softmax(role, kind):
    models = {"teacher": network(), "student": network()}
    model = ending_in_softmax(kind)
    if role == "ensemble":
        models["teacher"] = [network(), model]
    else:
        models[role] = model
    message = message_of(**models)
    role = "student" if role == "student" else "teacher"
    assert message.startswith(f"`{role}` must return logits")
    assert f"keras_logitkd.strip_activation({role})" in message
    assert "'culprit'" in message


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize(
    ("activation", "advice"),
    [
        ("sigmoid", "pass keras_logitkd.strip_activation({role})"),
        ("log_softmax", "pass keras_logitkd.strip_activation({role})"),
        ("sparsemax", "a sparsemax has no logits; train a model that ends in a linear layer"),
        ("hard_sigmoid", "a hard_sigmoid has no logits; train a model that ends in a linear layer"),
    ],
)
@pytest.mark.parametrize("behind", [keras.layers.Identity, lambda: keras.layers.Reshape((5,))])
def test_outputs_that_are_no_logits(role, activation, advice, behind):
    model = network(activation=activation, name="culprit")
    model.add(behind())
    models = {"teacher": network(), "student": network(), role: model}
    assert message_of(**models) == (
        f"`{role}` must return logits, but it ends in a {activation}: {advice.format(role=role)}. "
        "Received: model 'culprit'"
    )


@pytest.mark.parametrize("ensemble", [False, True])
def test_class_count_mismatch(ensemble):
    teacher = network(7, name="big")
    message = message_of([network(), teacher] if ensemble else teacher, network(name="small"))
    assert "`teacher`" in message
    assert "class count" in message
    assert "'big' with (7,)" in message
    assert "'small' with (5,)" in message


def test_input_shape_mismatch():
    message = message_of(network(inputs=(8,), name="big"), network(name="small"))
    assert "input shape" in message
    assert "'big' with (8,)" in message
    assert "'small' with (6,)" in message


def test_input_shape_unknown_sizes_match():
    teacher = keras.Sequential(
        [keras.Input((None, 6)), keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(5)]
    )
    student = keras.Sequential([keras.Input((3, 6)), keras.layers.Flatten(), keras.layers.Dense(5)])
    distiller = Distiller(teacher, student)
    distiller.compile("sgd", run_eagerly=True)
    assert np.isfinite(distiller.train_on_batch(np.ones((4, 3, 6)), Y)[0])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="unbuilt_one")
        self.dense = keras.layers.Dense(5)

    def call(self, inputs):
        return self.dense(inputs)


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("make", [Subclassed, lambda: keras.Sequential([keras.layers.Dense(5)])])
def test_unbuilt_model(role, make):
    message = message_of(**{"teacher": network(), "student": network(), role: make()})
    assert message.startswith(f"`{role}` must be built")
    assert "Received: unbuilt model" in message


@pytest.mark.parametrize("student", [None, "wrn-16-2", keras.layers.Dense(5)])
def test_student_is_not_a_model(student):
    message = message_of(network(), student)
    assert message.startswith("`student` must be a keras.Model")
    assert f"Received: student={student!r}" in message


@pytest.mark.parametrize("teacher", ["wrn-28-4", [None], [network(), "x"], 3, [], ()])
def test_teacher_is_not_a_model(teacher):
    message = message_of(teacher, network())
    assert message.startswith("`teacher` must")
    assert "Received: " in message


@pytest.mark.parametrize("alpha", [1.5, -0.1, math.nan, math.inf, "1..1.5@3"])
def test_alpha_out_of_range(alpha):
    message = message_of(network(), network(), alpha=alpha)
    assert message == f"`alpha` must be a number in [0, 1]. Received: alpha={alpha!r}"


@pytest.mark.parametrize("alpha", [True, None, "x", "0..1@", "0..1@5steps)", [0.5]])
def test_alpha_is_no_number_and_no_schedule(alpha):
    message = message_of(network(), network(), alpha=alpha)
    assert message.startswith("`alpha` must be a number, or FIRST..LAST@EPOCHS such as 0..1@20")
    assert message.endswith(f"Received: alpha={alpha!r}")


@pytest.mark.parametrize("alpha", [0, 1, np.float32(0.5), np.float64(0.5), np.int64(1)])
def test_alpha_any_real_number(alpha):
    distiller = Distiller(network(), network(), alpha=alpha)
    assert type(distiller.alpha) is float
    assert distiller.alpha == float(alpha)


@pytest.mark.parametrize("loss", ["ce", "kl_divergence", None, 3, {}, losses.LogitMSE])
def test_distillation_loss_unknown(loss):
    message = message_of(network(), network(), loss)
    assert message.startswith("`distillation_loss` must be one of")
    assert f"Received: {loss!r}" in message


def test_distillation_loss_bad_temperature():
    assert "temperature=-1.0" in message_of(network(), network(), "kl:-1")


@pytest.mark.parametrize("reduction", ["none", None])
def test_distillation_loss_without_reduction(reduction):
    message = message_of(network(), network(), losses.LogitKL(reduction=reduction))
    assert message.startswith("`distillation_loss` must reduce over the batch")


@pytest.mark.parametrize("loss", ["mse", "crossentropy", 3, keras.losses.categorical_crossentropy])
def test_compile_unknown_loss(loss):
    distiller = Distiller(network(), network())
    with pytest.raises(ValueError, match=r"`loss` must be a keras\.losses\.Loss") as error:
        distiller.compile("sgd", loss)
    assert f"Received: loss={loss!r}" in str(error.value)


@pytest.mark.parametrize(
    "loss", [keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy]
)
def test_compile_loss_on_probabilities(loss):
    distiller = Distiller(network(), network())
    with pytest.raises(ValueError, match="`loss` must take logits") as error:
        distiller.compile("sgd", loss())
    assert f"Pass from_logits=True to {loss.__name__}" in str(error.value)
    assert "Received: from_logits=False" in str(error.value)


@pytest.mark.parametrize("reduction", ["none", None])
def test_compile_loss_without_reduction(reduction):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    with pytest.raises(ValueError, match="^`loss") as error:
        Distiller(network(), network()).compile("sgd", loss)
    assert str(error.value) == "`loss` must reduce over the batch. Received: reduction=None"


def test_compile_loss_weights():
    with pytest.raises(ValueError, match="^`loss") as error:
        Distiller(network(), network()).compile("sgd", loss_weights=[2.0])
    assert str(error.value) == (
        "`loss_weights` must be None: `alpha` and the weights of `features` weigh the terms. "
        "Received: loss_weights=[2.0]"
    )


@pytest.mark.parametrize("run_eagerly", [True, False])
@pytest.mark.parametrize(
    ("teacher", "alpha", "y", "match"),
    [
        (None, 0.5, Y, r"alpha=0\.5 distillation needs a teacher.*Received: neither"),
        (None, 1.0, {"label": Y}, r"alpha=1\.0 distillation needs a teacher"),
        ("online", 0.5, None, r"alpha=0\.5 the hard loss needs labels"),
        ("online", 0.5, {"teacher_logits": X[:, :5]}, r"alpha=0\.5 the hard loss needs labels"),
        ("online", 1.0, {"labels": Y, "logits": X}, r"unknown keys: \['labels', 'logits'\]"),
        ("online", 1.0, {"label": Y, "teacher_logits": X}, r"teacher \(.*6\), student \(.*5\)"),
    ],
)
def test_fit_with_missing_or_unknown_targets(teacher, alpha, y, match, run_eagerly):
    distiller = Distiller(network() if teacher else None, network(), alpha=alpha)
    distiller.compile("sgd", run_eagerly=run_eagerly)
    with pytest.raises(ValueError, match=match):
        distiller.fit(X, y, verbose=0)


def test_evaluate_without_teacher_and_labels():
    distiller = Distiller(None, network())
    distiller.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="needs labels"):
        distiller.evaluate(X, verbose=0)


def test_class_weight_without_labels():
    distiller = Distiller(None, network())
    distiller.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="`class_weight` needs labels"):
        distiller.fit(X, {"teacher_logits": X[:, :5]}, class_weight={0: 2.0}, verbose=0)


def test_set_teacher_checks_as_the_constructor_does():
    distiller = Distiller(None, network())
    for bad in (network(7), ending_in_softmax("dense"), Subclassed(), "x", []):
        with pytest.raises(ValueError, match="`teacher`"):
            distiller.set_teacher(bad)


def test_two_outputs_are_refused():
    inputs = keras.Input((6,))
    two = keras.Model(inputs, [keras.layers.Dense(3)(inputs), keras.layers.Dense(3)(inputs)])
    one = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="`teacher` must have one output"):
        Distiller(two, one)
    with pytest.raises(ValueError, match="`student` must have one output"):
        Distiller(one, two)
