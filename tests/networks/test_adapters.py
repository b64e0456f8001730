"""Teachers of other classes, outputs, inputs and places than the student's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, adapt, from_probabilities, strip_activation
from keras_logitkd.features.teacher_models import teacher_with_taps
from keras_logitkd.networks.adapted import Adapted

layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 6)).astype("float32")
IMAGES = RNG.standard_normal((6, 4, 4, 2)).astype("float32")
CLASSES = [3, 0, 4]


def dense(classes=5, activation=None, inputs=6):
    return keras.Sequential(
        [keras.Input((inputs,)), layers.Dense(classes, activation, name="head")], name="net"
    )


def conv(side, classes=5, name="net", activation=None):
    return keras.Sequential(
        [
            keras.Input((side, side, 2)),
            layers.Conv2D(3, 3, name="c"),
            layers.ReLU(name="r"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.Dense(classes, activation, name="head"),
        ],
        name=name,
    )


def two_headed():
    inputs = keras.Input((6,))
    one, other = layers.Dense(3, name="first"), layers.Dense(5, "softmax", name="second")
    return keras.Model(inputs, {"a": one(inputs), "b": other(inputs)}, name="two")


class Own(keras.Model):
    """A subclassed model around another one, which may return a dictionary."""

    def __init__(self, inner, key=None):
        super().__init__(name="own")
        self.inner, self.key = inner, key

    def call(self, x):
        found = self.inner(x)
        return found if self.key is None else {self.key: found, "twice": 2 * found}


def own(inner, key=None, x=X):
    model = Own(inner, key)
    model(x)
    return model


def logits_in_step(teacher, student, x):
    """The teacher's logits as a training step in a graph has them."""
    distiller = Distiller(teacher, student)
    return tf.function(lambda x: distiller._teacher(x))(x).numpy()


def message(*args, **kwargs):
    with pytest.raises(ValueError, match="^`") as error:
        adapt(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


def softmax(z):
    e = np.exp(z.astype("float64") - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def kinds(model, x=X):
    """The same teacher of the same numbers, of every kind."""
    return {
        "graph": model,
        "subclassed": own(model, x=x),
        "tensors": tf.function(lambda x: model(x)),
        "arrays": lambda x: model(x).numpy(),
    }


@pytest.mark.parametrize("kind", ["graph", "subclassed", "tensors", "arrays"])
def test_classes_of_every_kind_of_teacher(kind):
    model = dense()
    teacher = adapt(kinds(model)[kind], classes=CLASSES)
    assert isinstance(teacher, keras.Model) == (kind == "graph")
    expected = model(X).numpy()[:, CLASSES]
    np.testing.assert_array_equal(teacher(X), expected)
    np.testing.assert_array_equal(logits_in_step(teacher, dense(3), X), expected)


def test_classes_are_the_distribution_given_these_classes():
    teacher = dense(activation="softmax")
    logits = adapt(strip_activation(teacher), classes=CLASSES)(X).numpy()
    given = teacher(X).numpy()[:, CLASSES]
    np.testing.assert_allclose(softmax(logits), given / given.sum(-1, keepdims=True), rtol=1e-5)


def test_classes_of_probabilities_keep_exact_zeros():
    p = np.array([[0.5, 0.25, 0.25, 0.0], [0.0, 0.2, 0.3, 0.5]])
    teacher = from_probabilities(lambda x: p)
    expected = np.array([[-np.inf, np.log(0.25)], [np.log(0.5), np.log(0.2)]], "float32")
    np.testing.assert_array_equal(adapt(teacher, classes=[3, 1])(X[:2]), expected)
    with pytest.raises(ValueError, match="`classes` must leave .* Received: 1 examples without"):
        adapt(from_probabilities(lambda x: p), classes=[3])(X[:2])
    labels = from_probabilities(lambda x: p, kind="sigmoid")  # none of them is a distribution
    np.testing.assert_array_equal(adapt(labels, classes=[3])(X[:2]), [[-np.inf], [0.0]])


@pytest.mark.parametrize("output", ["a", "first", 0])
def test_one_output_of_a_graph(output):
    model = two_headed()
    teacher = adapt(model, output=output)
    np.testing.assert_array_equal(teacher(X), model(X)["a"])
    Distiller(teacher, dense(3))
    other = adapt(model, output="b")
    with pytest.raises(ValueError, match="ends in a softmax"):
        Distiller(other, dense())
    logits = adapt(strip_activation(other), classes=CLASSES)(X).numpy()
    given = model(X)["b"].numpy()[:, CLASSES]
    np.testing.assert_allclose(softmax(logits), given / given.sum(-1, keepdims=True), rtol=1e-5)


def test_one_output_of_what_is_no_graph():
    inner = dense(3)
    expected = 2 * inner(X).numpy()
    for teacher, output in (
        (own(inner, "once"), "twice"),
        (lambda x: [inner(x).numpy(), 2 * inner(x).numpy()], 1),
    ):
        found = logits_in_step(adapt(teacher, output=output), dense(3), X)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"one of its outputs: 'once', 'twice'. Received: outp"):
        adapt(own(inner, "once"), output="thrice")(X)
    with pytest.raises(ValueError, match="several; it has one. Received: output=0 of adapt"):
        adapt(lambda x: x, output=0)(X)
    message = r"`output` must be picked once, and before `classes` and `size`. Rec.*output=1 of"
    for first in ({"output": 0}, {"classes": [0]}):
        with pytest.raises(ValueError, match=message):
            adapt(adapt(lambda x: x, **first), output=1)


def test_models_of_several_outputs_name_them():
    outputs = "0 = 'a' = 'first', 1 = 'b' = 'second'"
    for output in ("c", 2, True, None):
        assert message(two_headed(), output=output, classes=[0]) == (
            "`output` must name one of the outputs of 'two': "
            f"{outputs}. Received: output={output!r}"
        )
    with pytest.raises(ValueError, match=f"adapt.teacher, output=.... for one of {outputs}. Rec"):
        Distiller(two_headed(), dense(3))
    with pytest.raises(ValueError, match=r"keras.Model\(student.inputs, student.outputs\[index"):
        Distiller(dense(3), two_headed())


INPUTS = {
    "layer": lambda: layers.Resizing(2, 2, interpolation="nearest"),
    "layers": lambda: keras.Sequential(
        [layers.Rescaling(1.0), layers.Resizing(2, 2, interpolation="nearest")]
    ),
    "built": lambda: keras.Sequential(
        [keras.Input((4, 4, 2)), layers.Resizing(2, 2, interpolation="nearest")]
    ),
    "ops": lambda: lambda x: x[:, 1::2, 1::2],
    "tensorflow": lambda: lambda x: tf.image.resize(x, (2, 2), "nearest"),
}


def flat(side, classes=5):
    return keras.Sequential(
        [keras.Input((side, side, 2)), layers.Flatten(), layers.Dense(classes)], name="flat"
    )


@pytest.mark.parametrize("kind", ["graph", "subclassed", "arrays"])
@pytest.mark.parametrize("given", [*INPUTS])
def test_teacher_input(kind, given):
    model, small = flat(2), IMAGES[:, 1::2, 1::2]
    teacher = {
        "graph": model,
        "subclassed": own(model, x=small),
        "arrays": lambda x: model(x).numpy(),
    }[kind]
    adapted = adapt(teacher, teacher_input=INPUTS[given](), classes=CLASSES)
    assert isinstance(adapted, keras.Model) == (kind == "graph" and given == "built")
    expected = model(small).numpy()[:, CLASSES]
    np.testing.assert_allclose(adapted(IMAGES), expected, rtol=1e-5, atol=1e-6)
    found = logits_in_step(adapted, flat(4, 3), IMAGES)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_teacher_input_of_structures():
    inputs = {name: keras.Input((6,), name=name) for name in ("wide", "other")}
    both = layers.Concatenate()([inputs["wide"], inputs["other"]])
    student = keras.Model(inputs, layers.Dense(5)(both))
    model = dense()
    teacher = adapt(model, teacher_input=lambda batch: batch["wide"] + 1)
    found = logits_in_step(teacher, student, {"wide": X, "other": 0 * X})
    np.testing.assert_allclose(found, model(X + 1), rtol=1e-6)


def test_steps_learn_from_an_adapted_teacher():
    teacher, student = conv(6, 7), conv(4, 3, "student")
    before = teacher.get_weights()
    resize = layers.Resizing(6, 6)
    expected = teacher(tf.image.resize(IMAGES, (6, 6))).numpy()[:, [6, 0, 1]]
    distiller = Distiller(
        adapt(teacher, classes=[6, 0, 1], teacher_input=resize),
        student,
        alpha=0.5,
        features="at:taps=r:net.r,weight=1",
    )
    distiller.compile("sgd", run_eagerly=True)
    error = np.mean(np.square(student(IMAGES) - expected))
    logs = distiller.train_on_batch(IMAGES, np.arange(6) % 3, return_dict=True)
    assert logs["distillation_loss"] == pytest.approx(error, rel=1e-4)
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("tap", "waits"), [("r", True), ("net/r", True), ("net.pool", True), ("pool", False)]
)
def test_taps_of_an_adapted_teacher(tap, waits):
    teacher = conv(4)
    options = {"teacher_input": layers.Rescaling(2.0)} if waits else {}
    distiller = Distiller(adapt(teacher, classes=CLASSES, **options), conv(4, 3))
    (model,) = distiller._teacher.models
    x = 2 * IMAGES if waits else IMAGES
    inner = teacher.get_layer("r" if "r" in tap.split("/")[-1] else "gap")
    expected = keras.Model(teacher.inputs[0], inner.output)(x)
    for statistics in ("moving", "batch"):
        found = teacher_with_taps(model, [tap], statistics)(IMAGES, training=False)
        np.testing.assert_allclose(found[tap], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found["logits"], model(IMAGES))


def test_taps_inside_what_is_no_graph_are_refused():
    teacher = adapt(own(dense(3)), teacher_input=layers.Rescaling(2.0))
    with pytest.raises(ValueError, match="taken from Sequential and functional models only"):
        Distiller(teacher, dense(3), None, 0.0, features="at:taps=head")


def test_an_adapted_teacher_runs_the_faster_forward_pass():
    model = keras.Sequential(
        [
            keras.Input((4, 4, 128)),
            layers.Conv2D(128, 3, padding="same", name="wide"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    student = keras.Sequential(
        [keras.Input((4, 4, 128)), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    )
    x = RNG.standard_normal((2, 4, 4, 128)).astype("float32")
    for options in ({}, {"teacher_input": layers.Rescaling(1.0)}):
        distiller = Distiller(adapt(model, classes=CLASSES, **options), student)
        (fast,) = distiller._teacher.models
        inner = fast.get_layer(model.name) if options else fast
        assert type(inner.get_layer("wide")).__name__ == "_TwoRowConv2D"
        expected = model(x).numpy()[:, CLASSES]
        np.testing.assert_allclose(fast(x), expected, rtol=1e-3, atol=1e-4)


def test_wrong_inputs_are_refused_in_one_line():
    wanted = "must give what the teacher 'flat' takes, (2, 2, 2). Received: (3, 3, 2) from resizing"
    adapted = adapt(flat(2), teacher_input=layers.Resizing(3, 3, name="resizing"))
    for call in (lambda: Distiller(adapted, flat(4)), lambda: adapted(IMAGES)):
        with pytest.raises(ValueError, match="^`teacher_input` ") as error:
            call()
        assert str(error.value) == f"`teacher_input` {wanted}"
    in_numpy = adapt(flat(2), teacher_input=lambda x: np.asarray(x))
    with pytest.raises(ValueError, match="take tensors of the student's inputs, ") as error:
        Distiller(in_numpy, flat(4))
    assert "raises: Cannot convert a symbolic" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"input shape: pass keras_logitkd.adapt\(teacher, teach"):
        Distiller(flat(2), flat(4))


def places(side, classes=3):
    convolution = layers.Conv2D(classes, 1, strides=8 // side)
    return keras.Sequential([keras.Input((8, 8, 2)), convolution], name=f"places{side}")


def test_places_of_another_resolution():
    teacher, student = places(8, 5), places(4)
    images = RNG.standard_normal((2, 8, 8, 2)).astype("float32")
    with pytest.raises(ValueError, match="same shape of logits") as error:
        Distiller(teacher, student)
    assert "pass keras_logitkd.adapt(teacher, size=(4, 4), classes=[...]). R" in str(error.value)
    with pytest.raises(ValueError, match=r"\(batch, 4, 4, 3\): pass .*, size=\(4, 4\)\). Received"):
        distiller = Distiller(lambda x: np.zeros((len(x), 8, 8, 3)), student)
        distiller.compile("sgd")
        distiller.train_on_batch(images)
    expected = tf.image.resize(teacher(images), (4, 4), antialias=True).numpy()[..., CLASSES]
    for kind, each in kinds(teacher, images).items():
        adapted = adapt(each, classes=CLASSES, size=(4, 4))
        found = logits_in_step(adapted, student, images)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=kind)


def test_probabilities_are_resized_as_probabilities():
    p = RNG.dirichlet([1.0] * 3, (2, 4, 4))
    p[:, :2] = np.eye(3)[RNG.integers(0, 3, (2, 2, 4))]  # most of their means exclude a class
    means = p.reshape(2, 2, 2, 2, 2, 3).mean((2, 4))
    blocks = adapt(from_probabilities(lambda x: p), size=(2, 2))
    triangles = tf.image.resize(p, (2, 2), antialias=True).numpy()
    np.testing.assert_allclose(softmax(blocks(p)), triangles, atol=1e-6)
    assert np.abs(triangles - means).max() > 0.01  # a place is seen by its neighbours, too
    in_graph = adapt(from_probabilities(tf.function(lambda x: x)), size=(2, 2))
    np.testing.assert_allclose(softmax(in_graph(p).numpy()), triangles, atol=1e-6)
    labels = adapt(from_probabilities(lambda x: p, kind="sigmoid"), size=(5, 7))(p)
    expected = tf.image.resize(p, (5, 7), antialias=True).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-labels.astype("f8"))), expected, atol=1e-6)
    with pytest.raises(ValueError, match="`size` needs finite logits: pass .* Received: 1 inf"):
        adapt(lambda x: np.where(np.arange(16) == 5, -np.inf, 0).reshape(1, 4, 4, 1), size=(2, 2))(
            p
        )


def unsure(end):
    """Teachers whose end is not known, or what `adapt` makes of them would hide it."""
    model = dense(activation="softmax")
    return {
        "arrays": lambda x: model(x).numpy(),
        "tensors": tf.function(lambda x: model(x)),
        "subclassed": own(model),
        "lambda": keras.Sequential([keras.Input((6,)), dense(), layers.Lambda(keras.ops.softmax)]),
    }[end]


@pytest.mark.parametrize("options", [{}, {"teacher_input": layers.Rescaling(1.0)}])
@pytest.mark.parametrize("end", ["arrays", "tensors", "subclassed", "lambda"])
def test_probabilities_are_recognised_before_classes_are_picked(end, options):
    teacher = adapt(unsure(end), classes=CLASSES, **options)
    distiller = Distiller(teacher, dense(3))
    distiller.compile("sgd")
    with pytest.raises(ValueError, match=r"seems to return probabilities: .*that sum to 1"):
        distiller.train_on_batch(X, np.arange(6) % 3)


@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "sigmoid", "sparsemax"])
@pytest.mark.parametrize("waits", [False, True])
def test_endings_are_seen_through_adapters(activation, waits):
    options = {"teacher_input": layers.Rescaling(1.0)} if waits else {}
    teacher = adapt(dense(activation=activation), classes=CLASSES, **options)
    assert isinstance(teacher, Adapted) == waits
    students = [dense(3), own(dense(3))] if waits else [dense(3)]
    for student in students:
        with pytest.raises(ValueError, match=f"must return logits, but it ends in a {activation}"):
            Distiller(teacher, student)
    if activation == "sparsemax":
        return
    plain = dense()
    model = adapt(dense(activation=activation), **options)
    inner = model.teacher if waits else model
    inner.set_weights(plain.get_weights())
    stripped = strip_activation(adapt(model, classes=CLASSES))
    expected = plain(X).numpy()[:, CLASSES]
    found = logits_in_step(stripped, students[0], X)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_adapters_compose():
    model, student = flat(4, 7), flat(4, 2)
    waiting = adapt(model, teacher_input=layers.Rescaling(2.0))
    picked = adapt(waiting, classes=[6, 5, 4, 1])
    twice = adapt(picked, classes=[3, 0], teacher_input=lambda x: x + 1)
    at_once = adapt(adapt(model, classes=[6, 5, 4, 1]), classes=[3, 0])
    waiting_later = adapt(at_once, teacher_input=lambda x: 2 * (x + 1))
    expected = model(2 * (IMAGES + 1)).numpy()[:, [1, 6]]
    for teacher in (twice, waiting_later):
        np.testing.assert_allclose(teacher(IMAGES), expected, rtol=1e-5, atol=1e-6)
        found = logits_in_step(teacher, student, IMAGES)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert adapt(model) is model


def test_adapters_of_probabilities_and_of_several_outputs():
    model, small = flat(2, 7), IMAGES[:, 1::2, 1::2]
    step = layers.Resizing(2, 2, interpolation="nearest")
    probabilities = from_probabilities(adapt(flat_softmax(model), teacher_input=step))
    found = logits_in_step([probabilities, adapt(model, teacher_input=step)], flat(4, 7), IMAGES)
    z = model(small).numpy()
    np.testing.assert_allclose(found, (z + np.log(softmax(z))) / 2, rtol=1e-4, atol=1e-5)
    waiting = adapt(two_headed(), teacher_input=lambda x: x + 1)
    with pytest.raises(ValueError, match="for one of 0 = 'a', 1 = 'b'. Received: model 'two_ada"):
        Distiller(waiting, dense(3))
    headed = adapt(waiting, output="a")
    assert isinstance(headed, Adapted)
    np.testing.assert_array_equal(headed(X), headed.teacher(X + 1))


def flat_softmax(model):
    return keras.Sequential([keras.Input((2, 2, 2)), model, layers.Softmax()])


def test_adapted_models_are_saved_and_keep_the_digits_of_logits(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    head = layers.Dense(5, dtype="float32")
    model = keras.Sequential([keras.Input((6,)), head])
    teacher = adapt(model, classes=CLASSES)
    np.testing.assert_array_equal(teacher(X), head(X).numpy()[:, CLASSES])
    teacher.save(tmp_path / "teacher.keras")
    loaded = keras.saving.load_model(tmp_path / "teacher.keras")
    np.testing.assert_array_equal(loaded(X), teacher(X))


@pytest.mark.parametrize("classes", [[], [0, 0], [-1], [True], [1.0], "01", 2, {0, 1}, [[0]]])
def test_wrong_classes(classes):
    assert message(dense(), classes=classes) == (
        "`classes` must be a list of different integers >= 0, the teacher's classes in the "
        f"student's order. Received: classes={classes!r}"
    )


def test_classes_that_the_teacher_lacks():
    lacking = "`classes` must be below the number of the teacher's classes, 5. Received: classes=["
    assert message(dense(), classes=np.array([4, 5])) == f"{lacking}4, 5]"
    for kind, teacher in kinds(dense()).items():
        if kind != "graph":
            with pytest.raises(ValueError, match="below the number of the teacher's classes, 5"):
                adapt(teacher, classes=(0, 7))(X)


@pytest.mark.parametrize("size", [0, True, (4,), (4, 0), (2, 2, 2), "4", 2.0])
def test_wrong_sizes(size):
    assert message(places(8), size=size) == (
        "`size` must be (height, width), or a length for sequences, of integers >= 1. "
        f"Received: size={size!r}"
    )


def test_sizes_of_other_axes():
    assert message(dense(), size=(2, 2)).endswith(
        "Received: size=(2, 2) and logits of shape (None, 5)"
    )
    assert message(places(8), size=4).endswith(
        "Received: size=4 and logits of shape (None, 8, 8, 3)"
    )


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        (lambda: None, "adapt each of several teachers. Received: None"),
        (lambda: [dense()], "adapt each of several teachers. Received: [<Sequ"),
        (lambda: Own, "adapt each of several teachers. Received: <class"),
        (lambda: Own(dense()), "must be built, with its trained weights, to be adapted. Received"),
    ],
)
def test_what_cannot_be_adapted(teacher, expected):
    assert expected in message(teacher(), classes=[0])


def test_estimators_and_wrong_inputs():
    class Estimator:
        def predict_proba(self, batch):
            return batch

    assert "for an estimator pass keras_logitkd.from_probabilities(teacher). Received" in message(
        Estimator(), classes=[0]
    )
    assert message(dense(), teacher_input=3) == (
        "`teacher_input` must be a function or layer of the student's inputs. "
        "Received: teacher_input=3"
    )
