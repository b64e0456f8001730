"""Features with any number of axes: what each method makes of them, or refuses in one line."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, features
from keras_logitkd.distiller.batch import Batch
from keras_logitkd.features import arithmetic, at, nst
from keras_logitkd.features.terms import value_of

POSITIONS = {2: (), 3: (6,), 4: (4, 3), 5: (2, 3, 2)}
RANKS = {
    "fitnets": (2, 3, 4, 5),
    "at": (3, 4, 5),
    "jacobian:target=attention_max": (2, 3, 4, 5),
    "ft": (2, 3, 4, 5),
    "ab": (2, 3, 4, 5),
    "overhaul": (2, 3, 4, 5),
    "sp": (2, 3, 4, 5),
    "pkt": (2, 3, 4, 5),
    "nst": (3, 4, 5),
    "rkd": (2, 3, 4, 5),
    "cc": (2, 3, 4, 5),
    "cc:form=pairwise": (2, 3, 4, 5),
    "vid": (2, 3, 4, 5),
    "reviewkd": (2, 4),
}


def built(spec, ours, theirs):
    """A method for features of these positions, of 2 channels from 3."""
    method = features.get(spec, seed=1, taps=["a"])
    if method.method == "overhaul":
        method._margins = (np.float32([-1, -0.5, 0]),)
    method.build([(None, *ours, 2)], [(None, *theirs, 3)])
    return method


def term(method, teacher, student):
    taps = {method.teacher_bn: {"a": teacher}}
    batch = Batch(None, teacher_taps=taps, student_taps={"a": student}, training=True)
    if method.needs_gradient:
        return tf.reduce_mean(method.score("student", None, [student], batch))
    return value_of(method, batch)


@pytest.mark.parametrize("spec", RANKS)
def test_every_method_takes_features_or_says_in_one_line_what_it_needs(spec, draw):
    for rank, size in POSITIONS.items():
        if rank not in RANKS[spec]:
            with pytest.raises(ValueError, match=r" needs maps .*\. Received: ") as error:
                built(spec, size, size)
            assert "\n" not in str(error.value)
            continue
        method = built(spec, size, size)
        student = tf.constant(draw(4, *size, 2))
        with tf.GradientTape() as tape:
            tape.watch(student)
            value = term(method, tf.constant(draw(4, *size, 3, seed=1)), student)
        gradient = tape.gradient(value, student)
        assert np.isfinite(value), rank
        assert np.isfinite(gradient).all(), rank
        assert np.abs(gradient).max() > 0, rank


@pytest.mark.parametrize("name", ["fitnets", "ft", "ab", "overhaul", "vid"])
@pytest.mark.parametrize(("size", "larger"), [((), (1, 1)), ((5,), (1, 5)), ((4, 3), (1, 4, 3))])
def test_auxiliary_layers_are_those_of_features_with_an_axis_of_one_position(
    draw, name, size, larger
):
    one, other = built(name, size, size), built(name, larger, larger)
    for small, large in zip(one.weights, other.weights, strict=True):
        if "decoder" in small.path:  # of the first stage
            continue
        kernel = np.zeros(large.shape, np.float32)
        more = len(large.shape) - len(small.shape)
        kernel[tuple(side // 2 for side in large.shape[:more])] = small  # others see padding only
        large.assign(kernel)
    teacher, student = draw(4, *size, 3), draw(4, *size, 2, seed=1)
    expected = term(one, teacher, student)
    found = term(other, teacher.reshape(4, *larger, 3), student.reshape(4, *larger, 2))
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_a_paraphraser_reconstructs_features_of_any_rank(draw):
    for rank, size in POSITIONS.items():
        paraphraser = built("ft", size, size).paraphraser
        teacher = tf.constant(draw(4, *size, 3))
        factor = paraphraser.encoder(teacher)
        assert factor.shape == (4, *size, 2), rank
        kind = type(paraphraser.decoder.layers[0]).__name__
        assert kind == (f"Conv{rank - 2}DTranspose" if rank > 2 else "Dense")
        error = np.abs(paraphraser.decoder(factor) - teacher).reshape(4, -1).mean(axis=1)
        np.testing.assert_allclose(paraphraser.loss([teacher], [], Batch(None)), error, rtol=1e-5)


def test_hints_between_vectors_and_from_longer_sequences(draw):
    dense, conv = built("fitnets:bn=false", (), ()), built("fitnets:bn=false", (6,), (4,))
    kernel, bias = draw(2, 3), draw(3, seed=1)
    dense.regressor.set_weights([kernel, bias])
    teacher, student = draw(5, 3, seed=2), draw(5, 2, seed=3)
    expected = np.mean((student @ kernel + bias - teacher) ** 2)
    assert float(term(dense, teacher, student)) == pytest.approx(expected, rel=1e-5)
    kernel = draw(3, 2, 3)
    conv.regressor.set_weights([kernel, bias])
    teacher, student = draw(5, 4, 3, seed=2), draw(5, 6, 2, seed=3)
    windows = np.stack([student[:, i : i + 4] for i in range(3)], axis=-2)
    expected = np.mean((np.einsum("blkc,kcd->bld", windows, kernel) + bias - teacher) ** 2)
    assert float(term(conv, teacher, student)) == pytest.approx(expected, rel=1e-5)


LOSSES = [at.attention_loss, lambda t, s: at.attention_loss(t, s, "paper"), nst.selectivity_loss]


@pytest.mark.parametrize("loss", LOSSES)
def test_only_the_positions_count_not_how_they_are_arranged(draw, loss):
    teacher, student = draw(3, 2, 3, 4, 5), draw(3, 2, 3, 4, 2, seed=1)
    expected = loss(teacher.reshape(3, 6, 4, 5), student.reshape(3, 6, 4, 2))
    np.testing.assert_allclose(loss(teacher, student), expected, rtol=1e-5)
    sequences = loss(teacher.reshape(3, 24, 5), student.reshape(3, 24, 2))
    np.testing.assert_allclose(sequences, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_larger_sequence_or_volume_is_averaged(draw, loss):
    teacher, student = draw(3, 8, 5), draw(3, 4, 2, seed=1)
    pooled = teacher.reshape(3, 4, 2, 5).mean(axis=2)
    np.testing.assert_allclose(loss(teacher, student), loss(pooled, student), rtol=1e-5)
    teacher, student = draw(3, 4, 2, 6, 5), draw(3, 2, 4, 2, 2, seed=1)
    pooled = teacher.reshape(3, 2, 2, 2, 2, 3, 5).mean(axis=(2, 5))
    halved = student.reshape(3, 2, 2, 2, 2, 2).mean(axis=3)
    np.testing.assert_allclose(loss(teacher, student), loss(pooled, halved), rtol=1e-5)


@pytest.mark.parametrize(
    ("spec", "ours", "theirs", "message"),
    [
        ("at", (6,), (4, 3), "at needs maps .* as many axes in .*; sp, .* any features. Received"),
        ("nst", (), (4, 3), "nst needs maps .* with as many axes"),
        (
            "fitnets",
            (4,),
            (6,),
            "fitnets needs student maps at least as large as .*, or vectors",
        ),
        ("fitnets", (None,), (6,), "fitnets needs student maps at least as large"),
        ("fitnets", (6,), (None,), "fitnets needs student maps at least as large"),
        ("fitnets", (6,), (), "fitnets needs student maps at least as large"),
        ("fitnets", (2, 2, 2, 2), (2, 2, 2, 2), "fitnets needs student maps at least as large"),
        ("vid", (6,), (5,), r"vid needs maps .* of equal size .*; at .* any size.*6, 2\), .*5, 3"),
        ("ft", (6,), (), "ft needs maps .* of equal size"),
        ("ft_paraphraser", (2, 2, 2, 2), (2, 2, 2, 2), "ft_paraphraser needs maps"),
        ("ft:rate=0.1", (6,), (6,), "ft needs a factor with channels.*rate=0.1"),
        ("ab", (2, 2, 2, 2), (2, 2, 2, 2), "ab needs maps .* of equal size"),
        ("jacobian:target=attention_max", (6,), (5,), "jacobian needs maps .* of equal size"),
        ("reviewkd", (6,), (6,), r"reviewkd needs maps \(batch, height.*vid takes .* other axes"),
        ("cc:form=pairwise", (None,), (6,), "cc needs features of a known size with form=pairwise"),
    ],
)
def test_what_does_not_fit_is_one_line(spec, ours, theirs, message):
    with pytest.raises(ValueError, match=message) as error:
        if spec == "ft_paraphraser":
            features.get("ft").paraphraser.build([], [(None, *theirs, 3)])
        built(spec, ours, theirs)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["fitnets", "vid", "overhaul"])
def test_channels_must_be_known_where_there_is_a_layer(name):
    for ours, theirs in ((None, 3), (2, None)):
        with pytest.raises(ValueError, match=f"{name} needs .*maps .*Received: .*None"):
            features.get(name, taps="a").build([(None, 6, ours)], [(None, 6, theirs)])


def test_sizes_that_are_not_known_must_be_the_same(draw):
    def traced(loss, *shapes):
        signature = [tf.TensorSpec((None, *shape)) for shape in shapes]
        return tf.function(loss, input_signature=signature, autograph=False)

    teacher, student = draw(3, 6, 5), draw(3, 6, 2, seed=1)
    for loss in LOSSES:
        expected = loss(teacher, student)
        found = traced(loss, (None, 5), (None, 2))(teacher, student)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        with pytest.raises(ValueError, match="sizes that are known where they may differ. Receiv"):
            traced(loss, (None, 5), (6, 2))(teacher, student)
    with pytest.raises(ValueError, match="must have as many axes"):
        arithmetic.same_size(draw(3, 6, 5), draw(3, 6, 6, 2))
    method = built("reviewkd", (None, None), (None, None))
    with pytest.raises(ValueError, match="reviewkd needs maps of a size that is known in each st"):
        traced(lambda t, s: term(method, t, s), (None, None, 3), (None, None, 2))(
            draw(3, 2, 2, 3), draw(3, 2, 2, 2)
        )


def tagger(width, seed):
    """A network that says something of each token, and takes 0 for padding."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(9, width, mask_zero=True),
            layers.Dense(width, name="a"),
            layers.Dense(3, name="logits"),
        ]
    )


@pytest.mark.filterwarnings("error:Layer:UserWarning")
def test_masks_of_keras_do_not_enter_the_auxiliary_layers():
    tokens = np.random.default_rng(0).integers(1, 9, (4, 5))
    labels = tokens % 3
    specs = ["fitnets:taps=a,bn=false", "ab:taps=a", "ft:taps=a", "dist", "cc:taps=a"]
    methods = [features.get(spec, seed=1) for spec in specs]
    teacher, student = tagger(4, 1), tagger(2, 2)
    distiller = Distiller(teacher, student, None, 0.0, trains="all", features=methods)
    distiller.compile("sgd", run_eagerly=True)
    logs = distiller.test_on_batch(tokens, labels, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values()), logs
    theirs, ours = (model.layers[1](model.layers[0](tokens)) for model in (teacher, student))
    error = methods[0].regressor(tf.identity(ours)) - theirs
    assert logs["fitnets"] == pytest.approx(np.mean(np.square(error)), rel=1e-5)


@pytest.mark.parametrize("target", ["label", "teacher_argmax"])
def test_jacobian_needs_one_logit_an_example(target):
    message = f"jacobian needs logits .* target={target}; .* take target=attention_max.*5, 3"
    with pytest.raises(ValueError, match=message) as error:
        Distiller(tagger(4, 1), tagger(2, 2), features=f"jacobian:target={target}")
    assert "\n" not in str(error.value)
    method = features.get("jacobian", target=target)
    with pytest.raises(ValueError, match=message):
        method.score("student", tf.zeros((4, 5, 3)), [], Batch(None))


def test_jacobian_needs_inputs_with_gradients():
    distiller = Distiller(
        tagger(4, 1), tagger(2, 2), features="jacobian:target=attention_max,taps=a"
    )
    distiller.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="jacobian needs inputs that .* tokens. Received: .*int"):
        distiller.train_on_batch(np.ones((4, 5), np.int32), np.ones((4, 5), np.int32))
