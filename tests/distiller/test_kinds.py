"""Classifiers that end in sigmoids or in a softmax: which terms and labels fit them."""

import keras
import numpy as np
import pytest

from keras_logitkd import Distiller, losses
from keras_logitkd.losses.kinds import SIGMOID, SOFTMAX, kind_of
from keras_logitkd.losses.smoothed_crossentropy import SmoothedCrossentropy
from keras_logitkd.networks import two_classes

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6)).astype("f4")
ONE_OF_THREE = RNG.integers(0, 3, 12)
OF_LOGITS = {"from_logits": True}
BINARY = keras.losses.BinaryCrossentropy(**OF_LOGITS)
FOCAL = keras.losses.BinaryFocalCrossentropy(**OF_LOGITS)
SPARSE = keras.losses.SparseCategoricalCrossentropy(**OF_LOGITS)
ONE_HOT = keras.losses.CategoricalCrossentropy(**OF_LOGITS)


def network(classes, seed=0, subclassed=False):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(classes, name="head")])
    if not subclassed:
        return model

    class Wrapped(keras.Model):
        def call(self, inputs):
            return model(inputs)

    wrapped = Wrapped()
    wrapped(X)
    return wrapped


def of(model):
    return model(X).numpy().astype("f8")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def bernoulli(teacher, student, tau):
    p, q = sigmoid(teacher / tau), sigmoid(student / tau)
    terms = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return max(tau, tau**2) * np.mean(terms)


def logs(distiller, y, loss=None, **compiled):
    distiller.compile(keras.optimizers.SGD(0.0), loss=loss, run_eagerly=True, **compiled)
    return distiller.evaluate(X, y, verbose=0, return_dict=True)


# --- case 1: one logit


@pytest.mark.parametrize("loss", [BINARY, None, "binary_crossentropy"])
@pytest.mark.parametrize("column", [True, False])
@pytest.mark.parametrize("subclassed", [True, False])
def test_one_logit(loss, column, subclassed):
    teacher, student = network(1, 1), network(1, 2, subclassed)
    labels = (X[:, :1] > 0).astype("f4")
    distiller = Distiller(teacher, student, "bkl:4")
    found = logs(distiller, labels if column else labels[:, 0], loss, metrics=["accuracy"])
    z_t, z_s = of(teacher), of(student)
    assert found["distillation_loss"] == pytest.approx(bernoulli(z_t, z_s, 4.0), rel=1e-5)
    hard = np.mean(np.log1p(np.exp(z_s)) - labels * z_s)
    assert found["hard_loss"] == pytest.approx(hard, rel=1e-5)
    assert found["agreement"] == pytest.approx(np.mean((z_t > 0) == (z_s > 0)))
    if not subclassed or loss is not None:  # else Keras reads the name before a logit is seen
        assert found["accuracy"] == pytest.approx(np.mean((z_s > 0) == (labels > 0)))


def test_one_logit_is_trained_by_its_teacher():
    teacher, student = network(1, 1), network(1, 2)
    distiller = Distiller(teacher, student, "bkl:4")
    distiller.compile(keras.optimizers.Adam(0.1), loss=BINARY)
    history = distiller.fit(X, (X[:, :1] > 0).astype("f4"), epochs=60, verbose=0).history
    assert history["distillation_loss"][-1] < 0.01 * history["distillation_loss"][0]
    assert history["agreement"][-1] == 1.0
    assert np.mean((of(teacher) > 0) == (of(student) > 0)) == 1.0


@pytest.mark.parametrize(
    ("loss", "instead"),
    [
        ("kl:4", "bkl:4"),
        ("kl:inf", "bkl:inf"),
        ("ttm:2", "bkl:2"),
        ("kl:3@0,mse@5", "bkl:3@0,mse@5"),
    ],
)
def test_a_softmax_divergence_of_sigmoids_is_refused(loss, instead):
    with pytest.raises(ValueError, match=f"Pass '{instead}'"):
        Distiller(network(1, 1), network(1, 2), loss)
    distiller = Distiller(network(5, 1), network(5, 2), loss)
    with pytest.raises(ValueError, match=f"Pass '{instead}'"):
        distiller.compile("sgd", loss=BINARY)
    with pytest.raises(ValueError, match=f"Pass '{instead}'"):
        Distiller(network(5, 1), network(5, 2), loss, kind=SIGMOID)
    with pytest.raises(ValueError, match=f"Pass '{instead}'"):  # when its one logit is seen
        logs(Distiller(network(1, 1), network(1, 2, subclassed=True), loss), X[:, :1] > 0)


@pytest.mark.parametrize("method", ["dkd", "dist"])
def test_a_method_of_softmaxes_is_refused(method):
    distiller = Distiller(network(5, 1), network(5, 2), "mse", features=[method])
    with pytest.raises(ValueError, match=f"{method} needs a classifier that ends in a softmax"):
        distiller.compile("sgd", loss=BINARY)


# --- case 2: several labels


@pytest.mark.parametrize("said", ["loss", "focal", "kind"])
@pytest.mark.parametrize("loss", ["mse", "bkl:2"])
def test_several_labels(said, loss):
    teacher, student = network(5, 1), network(5, 1)
    student.get_layer("head").bias.assign_add([0, 0, 0, 0, 3.0])
    labels = RNG.integers(0, 2, (12, 5)).astype("f4")
    kind = SIGMOID if said == "kind" else None
    hard = {"loss": BINARY, "focal": FOCAL, "kind": None}[said]
    found = logs(Distiller(teacher, student, loss, kind=kind), labels, hard, metrics=["accuracy"])
    z_t, z_s = of(teacher), of(student)
    expected = 9 / 5 if loss == "mse" else bernoulli(z_t, z_s, 2.0)
    assert found["distillation_loss"] == pytest.approx(expected, rel=1e-5)
    agrees = np.mean((z_t > 0) == (z_s > 0))
    assert 0.8 <= agrees < 1
    assert found["agreement"] == pytest.approx(agrees)
    assert found["accuracy"] == pytest.approx(np.mean((z_s > 0) == (labels > 0)))


def test_several_labels_are_not_taken_for_one_hot_ones():
    labels = RNG.integers(0, 2, (12, 5)).astype("f4")
    for run_eagerly in (True, False):
        distiller = Distiller(network(5, 1), network(5, 2))
        distiller.compile("sgd", run_eagerly=run_eagerly)
        with pytest.raises(ValueError, match='pass Distiller.*kind="sigmoid".*sum') as error:
            distiller.fit(X, labels, verbose=0)
        assert "\n" not in str(error.value)


# --- case 12: the default hard loss, and labels in the wrong form


@pytest.mark.parametrize("form", ["numbers", "column", "one hot"])
def test_the_default_hard_loss_follows_the_labels(form):
    student = network(3, 2)
    labels = {
        "numbers": ONE_OF_THREE,
        "column": ONE_OF_THREE[:, None],
        "one hot": np.eye(3)[ONE_OF_THREE],
    }[form]
    z = of(student)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    expected = -np.mean(log_p[np.arange(12), ONE_OF_THREE])
    found = logs(Distiller(network(3, 1), student), labels, metrics=["accuracy"])
    assert found["hard_loss"] == pytest.approx(expected, rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean(z.argmax(-1) == ONE_OF_THREE))


@pytest.mark.parametrize(
    ("loss", "labels", "classes", "message"),
    [
        (
            SPARSE,
            np.eye(3)[ONE_OF_THREE],
            3,
            r"Categorical.*\(from_logits=True\) for one-hot",
        ),
        (SmoothedCrossentropy(), np.eye(3)[ONE_OF_THREE], 3, "takes the numbers of the classes"),
        (ONE_HOT, ONE_OF_THREE, 3, r"SparseCategoricalCrossentropy\(from_logits=True\) for labels"),
        (BINARY, ONE_OF_THREE, 3, "a label, 0 or 1, for each logit"),
        (SPARSE, X[:, :1] > 0, 1, r"must be BinaryCrossentropy\(from_logits=True\)"),
        (ONE_HOT, X[:, :1] > 0, 1, r"must be BinaryCrossentropy\(from_logits=True\)"),
    ],
)
def test_labels_that_a_hard_loss_does_not_take(loss, labels, classes, message):
    with pytest.raises(ValueError, match=message):
        logs(Distiller(network(classes, 1), network(classes, 2)), labels, loss)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.Dice(),
        keras.losses.Tversky(),
        keras.losses.KLDivergence(),
        keras.losses.Poisson(),
        keras.losses.CategoricalGeneralizedCrossEntropy(),
    ],
)
def test_hard_losses_of_probabilities_are_refused(loss):
    distiller = Distiller(network(3, 1), network(3, 2))
    with pytest.raises(ValueError, match=f"{type(loss).__name__} takes probabilities"):
        distiller.compile("sgd", loss=loss)


# --- what says it


@pytest.mark.parametrize(
    ("given", "hard_loss", "classes", "kind"),
    [
        (None, None, 3, None),
        (None, None, None, None),
        (None, None, 1, SIGMOID),
        (None, BINARY, 5, SIGMOID),
        (None, FOCAL, None, SIGMOID),
        (None, SPARSE, 3, SOFTMAX),
        (SIGMOID, None, 5, SIGMOID),
        (SIGMOID, keras.losses.MeanSquaredError(), 5, SIGMOID),
        (SOFTMAX, ONE_HOT, 2, SOFTMAX),
    ],
)
def test_kind_of(given, hard_loss, classes, kind):
    assert kind_of(given, hard_loss, classes) == kind


@pytest.mark.parametrize(
    ("given", "hard_loss", "classes"),
    [
        ("both", None, 3),
        (SOFTMAX, None, 1),
        (None, SPARSE, 1),
        (SIGMOID, SPARSE, 3),
        (SOFTMAX, BINARY, 3),
    ],
)
def test_kinds_that_contradict(given, hard_loss, classes):
    with pytest.raises(ValueError, match="^`(kind|loss)`.*Received: "):
        kind_of(given, hard_loss, classes)


def test_the_kind_is_saved_where_it_was_given(tmp_path):
    distiller = Distiller(network(5, 1), network(5, 2), "bkl:2", kind=SIGMOID)
    distiller.compile("sgd")
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    assert loaded.get_config()["kind"] == SIGMOID
    assert loaded.check_kind(5) == SIGMOID
    assert "kind" not in Distiller(network(5, 1), network(5, 2)).get_config()


# --- two classes: one logit or two


def test_two_logits_teach_one(caplog):
    teacher, student = network(2, 1), network(1, 2)
    labels = (X[:, 0] > 0).astype("f4")
    distiller = Distiller(teacher, student, "bkl:2")
    assert "two logits for the student's one: z1 - z0" in caplog.text
    z, z_s = of(teacher), of(student)
    difference = z[:, 1:] - z[:, :1]
    expected = bernoulli(difference, z_s, 2.0)
    assert logs(distiller, labels)["distillation_loss"] == pytest.approx(expected, rel=1e-5)
    stored = Distiller(None, student, "bkl:2")
    found = logs(stored, {"label": labels, "teacher_logits": z.astype("f4")})
    assert found["distillation_loss"] == pytest.approx(expected, rel=1e-5)
    assert found["agreement"] == pytest.approx(np.mean((difference > 0) == (z_s > 0)))


@pytest.mark.parametrize("called", [False, True])
def test_one_logit_teaches_two(called):
    teacher, student = network(1, 1), network(2, 2)
    teach = (lambda x: teacher(x).numpy()) if called else teacher
    found = logs(Distiller(teach, student, "kl:2"), (X[:, 0] > 0).astype("i4"))
    z_t, z_s = of(teacher), of(student)
    expected = bernoulli(z_t, z_s[:, 1:] - z_s[:, :1], 2.0)
    assert found["distillation_loss"] == pytest.approx(expected, rel=1e-5)
    assert found["agreement"] == pytest.approx(np.mean((z_t[:, 0] > 0) == z_s.argmax(-1)))


def test_one_logit_does_not_teach_two_labels():
    distiller = Distiller(network(1, 1), network(2, 2), "mse")
    with pytest.raises(ValueError, match="a logit for each label of the student"):
        logs(distiller, RNG.integers(0, 2, (12, 2)), BINARY)


@pytest.mark.parametrize("z", [-3.0, 0.0, 2.5, np.inf, -np.inf])
def test_one_logit_as_two_and_back(z):
    pair = two_classes.as_two(np.array([[z]], "f4"))
    np.testing.assert_array_equal(two_classes.as_one(pair), [[z]])
    shifted = pair - pair.max()
    p = np.exp(shifted) / np.exp(shifted).sum()
    assert p[0, 1] == pytest.approx(sigmoid(np.float64(z)))
    if np.isfinite(z):
        assert pair.sum() == 0
    else:
        student = np.array([[0.3, -0.2]], "f4")
        assert np.isfinite(losses.logit_kl(pair, student, 2.0))
