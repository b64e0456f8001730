"""The methods beyond Table 3 in a Distiller: what they compute, train and leave alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, features, zoo
from keras_logitkd.features import cc, dist, dkd, nst, pkt, rkd, sp, vid
from keras_logitkd.features.taps import tapped

SHAPE, CLASSES = (16, 16, 3), 4
NAMES = ["dist", "dkd", "sp", "pkt", "nst", "rkd", "cc", "cc:form=pairwise", "vid", "reviewkd"]
GROUPS = ("g1", "g2", "g3")


def networks():
    keras.utils.set_random_seed(0)
    return zoo.build("wrn-10-2", SHAPE, CLASSES), zoo.build("wrn-10-1", SHAPE, CLASSES)


def examples(count=6):
    rng = np.random.default_rng(1)
    images = rng.normal(size=(count, *SHAPE)).astype(np.float32)
    return images, rng.integers(0, CLASSES, count)


def compiled(teacher, student, method, rate=0.01):
    distiller = Distiller(teacher, student, None, alpha=0.0, features=method)
    distiller.compile(
        keras.optimizers.SGD(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    return distiller


def of_taps(loss, taps):
    """A method's term as the sum of its loss over taps, in inference mode."""

    def term(teacher, student, images, labels):
        theirs, ours = (
            tapped(network, taps)(images, training=False) for network in (teacher, student)
        )
        return sum(np.mean(loss(theirs[tap], ours[tap])) for tap in taps)

    return term


def of_logits(loss):
    return lambda teacher, student, images, labels: np.mean(
        loss(teacher(images, training=False), student(images, training=False), labels)
    )


TERMS = {
    "dist": of_logits(lambda t, s, y: dist.dist_loss(t, s, 4.0)),
    "dkd": of_logits(lambda t, s, y: dkd.dkd_loss(t, s, y, 4.0, 1.0, 8.0)),
    "sp": of_taps(sp.similarity_loss, ["g3"]),
    "pkt": of_taps(pkt.pkt_loss, ["pool"]),
    "nst": of_taps(nst.selectivity_loss, GROUPS),
    "rkd": of_taps(lambda t, s: 25 * rkd.distance_loss(t, s) + 50 * rkd.angle_loss(t, s), ["pool"]),
    "cc": of_taps(cc.congruence_loss, ["pool"]),
}


@pytest.mark.parametrize("name", TERMS)
def test_the_term_is_the_loss_of_the_named_taps(name):
    (teacher, student), (images, labels) = networks(), examples()
    distiller = compiled(teacher, student, name)
    logs = distiller.evaluate(images, labels, batch_size=len(images), verbose=0, return_dict=True)
    expected = TERMS[name](teacher, student, images, labels)
    assert logs[name] == pytest.approx(expected, rel=1e-4)
    (method,) = distiller.features
    total = logs["hard_loss"] + float(method.weight) * expected
    assert logs["loss"] == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_trains_the_student_and_the_auxiliary_layers_only(name):
    (teacher, student), (images, labels) = networks(), examples()
    taught = [variable.numpy() for variable in teacher.variables]
    parameters = student.count_params()
    distiller = compiled(teacher, student, features.get(name, seed=0, weight=1.0))
    (method,) = distiller.features
    before = [weight.numpy() for weight in (*student.weights, *method.trainable_weights)]
    for _ in range(2):
        distiller.train_on_batch(images, labels)
    after = [weight.numpy() for weight in (*student.weights, *method.trainable_weights)]
    for old, new, weight in zip(
        before, after, (*student.weights, *method.trainable_weights), strict=True
    ):
        assert np.isfinite(new).all(), weight.path
        assert np.any(old != new), weight.path
    for old, variable in zip(taught, teacher.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)
    assert student.count_params() == parameters


@pytest.mark.parametrize("name", NAMES)
def test_a_last_batch_of_one_is_finite(name):
    (teacher, student), (images, labels) = networks(), examples(5)
    distiller = compiled(teacher, student, features.get(name, seed=0))
    history = distiller.fit(images, labels, batch_size=4, epochs=1, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize("name", NAMES)
def test_configs_make_equal_methods(name):
    method = features.get(name)
    again = features.get(keras.saving.serialize_keras_object(method))
    assert type(again) is type(method)
    assert again.get_config() == method.get_config()


@pytest.mark.parametrize("name", ["dist", "dkd"])
def test_stored_logits_are_enough_for_methods_on_logits(name):
    (teacher, student), (images, labels) = networks(), examples()
    live, stored = compiled(teacher, student, name), compiled(None, student, name)
    targets = {"label": labels, "teacher_logits": teacher(images, training=False).numpy()}
    expected = live.evaluate(images, labels, batch_size=6, verbose=0, return_dict=True)
    logs = stored.train_on_batch(images, targets, return_dict=True)
    assert logs[name] > 0
    assert expected[name] > 0


def test_dkd_needs_labels():
    (teacher, student), (images, _) = networks(), examples()
    distiller = Distiller(teacher, student, "mse", alpha=1.0, features="dkd")
    distiller.compile("sgd")
    targets = {"teacher_logits": teacher(images, training=False).numpy()}
    with pytest.raises(ValueError, match="dkd needs the label of each example"):
        distiller.train_on_batch(images, targets)


def test_weights_of_dkd_and_reviewkd_rise_over_twenty_epochs():
    for name, last in (("dkd", 1.0), ("reviewkd", 5.0)):
        schedule = features.get(name).schedule
        for epoch in (0, 1, 9, 18, 19, 200):
            assert schedule.at(epoch) == pytest.approx(last * min((epoch + 1) / 20, 1))


def of_pair(name):
    """A method built for wrn-16-2 from wrn-28-4 at 32x32."""
    method = features.get(name)
    shapes = {"g1": (32, 1), "g2": (16, 2), "g3": (8, 4)}

    def shape(tap, width):
        if tap == "pool":
            return (None, 64 * width)
        size, factor = shapes[tap[:2]]
        return (None, size, size, 16 * factor * width)

    method.build(
        [shape(tap, 2) for tap in method.student_taps],
        [shape(tap, 4) for tap in method.teacher_taps],
    )
    return method


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("vid", 215_488),
        ("reviewkd", 860_038),
        ("cc:form=pairwise", 128 * (128 + 1) + 256 * 128 + 128),
        ("cc", 0),
        ("sp", 0),
    ],
)
def test_parameters_of_the_auxiliary_layers(name, parameters):
    method = of_pair(name)
    assert sum(np.prod(weight.shape) for weight in method.trainable_weights) == parameters


def test_variances_of_vid_start_at_five_and_move():
    (teacher, student), (images, labels) = networks(), examples()
    distiller = compiled(teacher, student, features.get("vid", seed=0), rate=0.1)
    (method,) = distiller.features
    for raw in method.raw_variances:
        np.testing.assert_allclose(vid.variance(raw), 5, rtol=1e-6)
    held = {id(variable) for variable in distiller.trained_variables}
    assert all(id(raw) in held for raw in method.raw_variances)
    distiller.train_on_batch(images, labels)
    for raw in method.raw_variances:
        assert np.all(vid.variance(raw).numpy() != 5)


def test_vid_term_from_its_own_layers():
    (teacher, student), (images, labels) = networks(), examples()
    distiller = compiled(teacher, student, features.get("vid", seed=0))
    (method,) = distiller.features
    theirs, ours = (tapped(network, GROUPS)(images) for network in (teacher, student))
    expected = 0.0
    for tap, mean in zip(GROUPS, method.means, strict=True):
        x = ours[tap].numpy().astype(float)
        kernels = [weight.numpy()[0, 0].astype(float) for weight in mean.trainable_weights]
        for kernel in kernels[:-1]:
            x = np.maximum(x @ kernel, 0)
        error = (x @ kernels[-1] - theirs[tap].numpy()) ** 2
        expected += np.mean(error / 5 + np.log(5)) / 2
    logs = distiller.evaluate(images, labels, batch_size=6, verbose=0, return_dict=True)
    assert logs["vid"] == pytest.approx(expected, rel=1e-4)


def test_vid_says_which_maps_it_cannot_connect():
    method = features.get("vid:taps=g1:g2")
    with pytest.raises(ValueError, match="vid needs maps .* of equal size"):
        method.build([(None, 16, 16, 16)], [(None, 8, 8, 64)])


def test_every_fusion_of_reviewkd_reaches_the_first_group():
    method = of_pair("reviewkd")
    rng = np.random.default_rng(0)
    taps = [
        tf.constant(rng.normal(size=(2, *shape)).astype(np.float32))
        for shape in ((32, 32, 32), (16, 16, 64), (8, 8, 128), (128,))
    ]
    with tf.GradientTape() as tape:
        tape.watch(taps)
        shallow, deeper = None, None
        for tap, fusion in zip(reversed(taps), reversed(method.fusions), strict=True):
            image = tap if len(tap.shape) == 4 else tap[:, None, None]
            shallow, deeper = fusion(image, deeper, training=True)
            assert shallow.shape[:3] == image.shape[:3]
        value = tf.reduce_mean(tf.square(shallow))
    assert shallow.shape == (2, 32, 32, 64)
    for gradient in tape.gradient(value, taps):
        assert np.abs(gradient).max() > 0
