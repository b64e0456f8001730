"""Dense and sequence logits in a step: masks, ignored labels and weights of places."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, losses
from keras_logitkd.features.dkd import dkd_loss

L = keras.layers
RNG = np.random.default_rng(0)
PLACES = (5, 4)
X = RNG.standard_normal((6, *PLACES, 8)).astype("f4")
Y = RNG.integers(0, 3, (6, *PLACES))
IGNORED = Y.copy()
IGNORED[:, 0], IGNORED[2] = 255, 255
COUNTED = IGNORED != 255
PER_IMAGE = RNG.random(6).astype("f4")
PER_PIXEL = RNG.random(Y.shape).astype("f4")
ALL = np.ones(Y.shape)
CLASS_WEIGHT = {0: 1.0, 2: 5.0}
OF_CLASSES = np.array([1.0, 1.0, 5.0])
HARD = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
IGNORING = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)


def network(seed, inputs=(*PLACES, 8), classes=3):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input(inputs), L.Dense(classes)])


TEACHER, STUDENT = network(1), network(2)
Z_T, Z_S = TEACHER(X).numpy().astype("f8"), STUDENT(X).numpy().astype("f8")
RIGHT = Z_S.argmax(-1) == Y
AGREES = Z_S.argmax(-1) == Z_T.argmax(-1)
LOG_P = Z_S - np.log(np.exp(Z_S).sum(-1, keepdims=True))
CROSS = -np.take_along_axis(LOG_P, Y[..., None], -1)[..., 0]
KL = np.asarray(losses.logit_kl(Z_T, Z_S, 2.0), "f8")


def expected(weight=ALL, counted=ALL):
    """Keras divides by the number of places that count, not by the sum of their weights."""
    weight = weight * counted
    return {
        "hard_loss": np.sum(weight * CROSS) / counted.sum(),
        "distillation_loss": np.sum(weight * KL) / counted.sum(),
        "agreement": np.sum(weight * AGREES) / weight.sum(),
        "accuracy": np.sum(counted * RIGHT) / counted.sum(),
        "weighted": np.sum(weight * RIGHT) / weight.sum(),
        "iou": iou(counted),
    }


def iou(counted):
    """Of the classes, from predictions and labels of the places that count."""
    found, told, counted = Z_S.argmax(-1), Y, counted.astype(bool)
    shares = []
    for k in range(3):
        both = np.sum((found == k) & (told == k) & counted)
        shares.append(both / np.sum(((found == k) | (told == k)) & counted))
    return np.mean(shares)


def compiled(loss=HARD, teacher=TEACHER, student=STUDENT, **settings):
    distiller = Distiller(teacher, student, "kl:2", 0.25)
    distiller.compile(
        keras.optimizers.SGD(0.0),
        loss=loss,
        metrics=["accuracy", keras.metrics.MeanIoU(3, sparse_y_pred=False, name="iou")],
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="weighted")],
        **{"run_eagerly": True, **settings},
    )
    return distiller


def assert_logs(logs, numbers):
    numbers = {"loss": 0.75 * numbers["hard_loss"] + 0.25 * numbers["distillation_loss"], **numbers}
    for name, value in numbers.items():
        assert float(np.ravel(logs[name])[-1]) == pytest.approx(value, rel=2e-5), name


@pytest.mark.parametrize("run_eagerly", [True, False])
@pytest.mark.parametrize("stored", [True, False])
def test_ignored_places_count_in_no_term_and_no_metric(stored, run_eagerly):
    distiller = compiled(IGNORING, None if stored else TEACHER, run_eagerly=run_eagerly)
    y = {"label": IGNORED, "teacher_logits": Z_T} if stored else IGNORED
    logs = distiller.fit(X, y, batch_size=6, verbose=0).history
    assert_logs(logs, expected(counted=COUNTED))
    if not run_eagerly:
        logs = distiller.evaluate(X, y, batch_size=6, verbose=0, return_dict=True)
        assert_logs(logs, expected(counted=COUNTED))


@pytest.mark.parametrize("form", [np.ravel, lambda w: w[:, None], lambda w: w[:, None, None, None]])
def test_a_weight_of_an_image_reaches_its_pixels(form):
    logs = compiled().evaluate(X, Y, 6, 0, sample_weight=form(PER_IMAGE), return_dict=True)
    assert_logs(logs, expected(np.broadcast_to(PER_IMAGE[:, None, None], Y.shape)))


@pytest.mark.parametrize("loss", [HARD, IGNORING])
@pytest.mark.parametrize("axis", [False, True])
def test_pixel_weights_and_class_weights(loss, axis):
    label, counted = (IGNORED, COUNTED) if loss is IGNORING else (Y, ALL)
    given = PER_PIXEL[..., None] if axis else PER_PIXEL
    label = label[..., None] if axis else label
    weight = PER_PIXEL * OF_CLASSES[Y]
    settings = {"sample_weight": given, "class_weight": CLASS_WEIGHT, "return_dict": True}
    assert_logs(compiled(loss).train_on_batch(X, label, **settings), expected(weight, counted))


@pytest.mark.parametrize("kind", ["dataset", "sequence", "one hot"])
def test_class_weights_of_places_from_any_data(kind):
    y = np.eye(3, dtype="f4")[Y] if kind == "one hot" else Y
    targets = {"label": y, "teacher_logits": Z_T.astype("f4")}
    if kind == "sequence":

        class Sequence(keras.utils.PyDataset):
            def __len__(self):
                return 1

            def __getitem__(self, index):
                return X, targets

        data = {"x": Sequence()}
    elif kind == "dataset":
        data = {"x": tf.data.Dataset.from_tensor_slices((X, targets)).batch(6)}
    else:
        data = {"x": X, "y": targets, "batch_size": 6}
    distiller = Distiller(None, STUDENT, "kl:2", 0.25)
    distiller.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    logs = distiller.fit(**data, class_weight=CLASS_WEIGHT, verbose=0).history
    numbers = expected(OF_CLASSES[Y])
    assert_logs(logs, {name: numbers[name] for name in ("hard_loss", "distillation_loss")})


def test_class_weights_change_from_fit_to_fit():
    distiller = compiled(run_eagerly=False)
    for class_weight, weight in ((None, ALL), (CLASS_WEIGHT, OF_CLASSES[Y]), (None, ALL)):
        logs = distiller.fit(X, Y, batch_size=6, class_weight=class_weight, verbose=0).history
        assert_logs(logs, expected(weight))


def sequences(width, seed, classes=3):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((None,)),
            L.Embedding(10, width, mask_zero=True),
            L.LSTM(width, return_sequences=True),
            L.Dense(classes),
        ]
    )


@pytest.mark.parametrize("masking", ["both", "teacher", "student"])
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_masks_of_layers(masking, run_eagerly):
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [4, 5, 6, 7]])
    label, counted = RNG.integers(0, 3, (3, 4)), tokens != 0
    teacher, student = sequences(6, 1), sequences(4, 2)
    if masking != "both":  # the other one has the same outputs, and says nothing of them
        model = student if masking == "teacher" else teacher
        teach = keras.Sequential([keras.Input((None,)), L.Embedding(10, 3)])
        teacher, student = (teacher, teach) if model is student else (teach, student)
    distiller = Distiller(teacher, student, "mse", 0.5)
    distiller.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"], run_eagerly=run_eagerly)
    logs = distiller.fit(tokens, label, batch_size=3, verbose=0).history
    z_t, z_s = teacher(tokens).numpy().astype("f8"), student(tokens).numpy().astype("f8")
    log_p = z_s - np.log(np.exp(z_s).sum(-1, keepdims=True))
    cross = -np.take_along_axis(log_p, label[..., None], -1)[..., 0]
    numbers = {
        "hard_loss": cross,
        "distillation_loss": np.mean((z_t - z_s) ** 2, -1),
        "agreement": z_t.argmax(-1) == z_s.argmax(-1),
        "accuracy": z_s.argmax(-1) == label,
    }
    for name, values in numbers.items():
        assert logs[name][0] == pytest.approx(np.mean(values[counted]), rel=2e-5), name


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("student_masks", [True, False])
def test_masks_reach_the_terms_of_methods(policy, student_masks):
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [4, 5, 6, 7]])
    label, counted = RNG.integers(0, 3, (3, 4)), tokens != 0
    keras.config.set_dtype_policy(policy)
    teacher, student = sequences(6, 1), sequences(4, 2)
    if not student_masks:
        student = keras.Sequential([keras.Input((None,)), L.Embedding(10, 3)])
    distiller = Distiller(teacher, student, None, features=["dkd:weight=1"])
    distiller.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    logs = distiller.train_on_batch(tokens, label, return_dict=True)
    z_t, z_s = (
        np.asarray(keras.ops.cast(model(tokens), "float32")) for model in (teacher, student)
    )
    assert logs["dkd"] == pytest.approx(
        np.mean(dkd_loss(z_t[counted], z_s[counted], label[counted])), rel=1e-4
    )


def test_what_is_ignored_moves_no_weight():
    results = []
    for rubbish in (0.0, 50.0):
        student = network(2)
        teacher_logits = np.where(COUNTED[..., None], Z_T, rubbish).astype("f4")
        distiller = Distiller(None, student, "kl:2", 0.5)
        distiller.compile(keras.optimizers.SGD(0.5), loss=IGNORING)
        distiller.fit(X, {"label": IGNORED, "teacher_logits": teacher_logits}, verbose=0)
        results.append(student.get_weights())
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_one_logit_a_pixel():
    teacher, student = network(1, classes=1), network(2, classes=1)
    label = (Y > 0).astype("i4")
    z_t, z_s = teacher(X).numpy().astype("f8")[..., 0], student(X).numpy().astype("f8")[..., 0]
    distiller = Distiller(teacher, student, "mse")
    distiller.compile("sgd", metrics=["accuracy"], run_eagerly=True)
    logs = distiller.test_on_batch(X, label, sample_weight=PER_PIXEL, return_dict=True)
    hard = np.mean(PER_PIXEL * (np.log1p(np.exp(z_s)) - label * z_s))
    assert logs["hard_loss"] == pytest.approx(hard, rel=1e-5)
    agrees = (z_t > 0) == (z_s > 0)
    assert logs["agreement"] == pytest.approx(np.sum(PER_PIXEL * agrees) / PER_PIXEL.sum())
    assert logs["accuracy"] == pytest.approx(np.mean((z_s > 0) == label))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_weight": np.ones((6, 3))}, r"`sample_weight` must be one for each example"),
        ({"sample_weight": np.ones((6, *PLACES, 3))}, "of its places, .* Received: shape"),
        ({"class_weight": {3: 1.0}}, "must name classes from 0 to 2. Received: 3"),
        ({"class_weight": {-1: 1.0}}, "must name classes from 0 to 2. Received: -1"),
    ],
)
def test_weights_that_fit_no_places(settings, message):
    with pytest.raises(ValueError, match=message):
        compiled().train_on_batch(X, Y, **settings)


def test_class_weights_of_several_labels_are_refused():
    distiller = Distiller(TEACHER, STUDENT, "mse", kind="sigmoid")
    distiller.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="for several labels pass `sample_weight`"):
        distiller.train_on_batch(X, np.eye(3)[Y], class_weight={1: 2.0})


def test_unlabelled_then_labelled():
    """Case 5: a step that was traced without labels has built no metrics."""
    distiller = Distiller(TEACHER, STUDENT)
    distiller.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"])
    distiller.fit(X, verbose=0)
    distiller.evaluate(X, verbose=0)
    logs = distiller.fit(X, Y, verbose=0).history
    assert logs["accuracy"][0] == pytest.approx(RIGHT.mean())
    assert distiller.evaluate(X, Y, verbose=0, return_dict=True)["accuracy"] == logs["accuracy"][0]
