"""What is particular to the methods of Table 3 inside the Distiller."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, features
from keras_logitkd.distiller.batch import Batch
from keras_logitkd.features.ab import boundary_agreement, boundary_loss
from keras_logitkd.features.overhaul import negative_margin
from keras_logitkd.features.taps import tapped


def compiled(stage_or_distiller, teacher=None, student=None, rate=0.01):
    distiller = stage_or_distiller
    if teacher is not None:
        distiller = Distiller.for_stage(stage_or_distiller, teacher, student)
    distiller.compile(keras.optimizers.SGD(rate, momentum=0.9), run_eagerly=True)
    return distiller


def names_of(variables):
    return {variable.path for variable in variables}


def jacobian(teacher, student, **options):
    method = features.get("jacobian:jac_training=false", **options)
    return compiled(Distiller(teacher, student, None, 1.0, features=method))


def dense(kernel_seed, bias=0.0, scale=1.0):
    rng = np.random.default_rng(kernel_seed)
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(5)]
    )
    weights = [rng.standard_normal(weight.shape) for weight in model.get_weights()]
    weights[2], weights[3] = scale * weights[2], scale * weights[3] + bias
    model.set_weights(weights)
    return model


X = np.random.default_rng(5).standard_normal((12, 6)).astype("float32")
Y = np.arange(12) % 5


@pytest.mark.parametrize(("scale", "bias", "expected"), [(1, 0, 0), (3, 7, 0), (-2, 1, 4)])
def test_jacobian_knows_the_direction_of_the_logits_only(scale, bias, expected):
    distiller = jacobian(dense(1), dense(1, bias, scale))
    logs = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    assert logs["jacobian"] == pytest.approx(expected, abs=1e-5)


def test_jacobian_of_linear_models_is_the_column_of_the_label():
    kernels = np.random.default_rng(0).standard_normal((2, 6, 5)).astype("float32")
    models = [
        keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, use_bias=False)])
        for _ in kernels
    ]
    for model, kernel in zip(models, kernels, strict=True):
        model.set_weights([kernel])
    logs = jacobian(*models).evaluate(X, Y, verbose=0, return_dict=True)
    unit = kernels / np.linalg.norm(kernels, axis=1, keepdims=True)
    expected = np.mean(np.sum((unit[0] - unit[1]) ** 2, axis=0)[Y])
    assert logs["jacobian"] == pytest.approx(expected, rel=1e-5)


def test_jacobian_gradient_of_the_weights_by_finite_differences():
    teacher, student = dense(1), dense(2)
    distiller = jacobian(teacher, student)
    before = student.get_weights()

    def term():
        logs = distiller.test_on_batch(X, Y, return_dict=True)
        distiller.reset_metrics()
        return float(logs["jacobian"])

    distiller.optimizer.learning_rate = 1.0
    distiller.optimizer.momentum = 0.0
    distiller.train_on_batch(X, Y)
    after = student.get_weights()
    student.set_weights(before)
    slopes = [old - new for old, new in zip(before, after, strict=True)]
    assert not slopes[3].any()  # the last bias
    step = 1e-2
    for number, place in [(0, (2, 3)), (0, (5, 1)), (1, (4,)), (2, (3, 1)), (2, (7, 4))]:
        values = []
        for sign in (1, -1):
            moved = [weight.copy() for weight in before]
            moved[number][place] += sign * step
            student.set_weights(moved)
            values.append(term())
        found = (values[0] - values[1]) / (2 * step)
        assert slopes[number][place] == pytest.approx(found, abs=2e-3)


def test_jacobian_of_a_clone_is_zero_with_normalization_in_the_same_mode(build, images):
    teacher, student = build("wrn-10-1", 1), build("wrn-10-1", 1)
    for target in ("label", "teacher_argmax", "attention_max"):
        distiller = jacobian(teacher, student, target=target)
        logs = distiller.evaluate(*images, verbose=0, return_dict=True)
        assert logs["jacobian"] == pytest.approx(0, abs=1e-5)
    other = jacobian(teacher, build("wrn-10-1", 2), target="attention_max")
    assert 0.1 < other.evaluate(*images, verbose=0, return_dict=True)["jacobian"] <= 4


@pytest.mark.parametrize("training", ["true", "false"])
def test_jacobian_moves_the_statistics_once_a_step(build, images, training):
    teacher, student, plain = build("wrn-10-2", 1), build("wrn-10-1"), build("wrn-10-1")
    plain(images[0], training=True)
    spec = f"jacobian:jac_training={training}"
    compiled(Distiller(teacher, student, None, 1.0, features=spec), rate=0.0).train_on_batch(
        *images
    )
    for one, other in zip(plain.variables, student.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_identity_regressor_and_equal_features_have_no_hint(build, images):
    teacher, student = build("wrn-10-1", 1), build("wrn-10-1", 1)
    method = features.get("fitnets:bn=false")
    distiller = compiled(Distiller(teacher, student, None, 1.0, features=method))
    method.regressor.set_weights([np.eye(32)[None, None], np.zeros(32)])
    logs = distiller.evaluate(*images, verbose=0, return_dict=True)
    assert logs["fitnets"] == pytest.approx(0, abs=1e-9)


def test_fitnets_hint_stage_leaves_what_is_above_alone(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    first, main = features.get("fitnets:mode=two_stage").stages(epochs=10)
    distiller = compiled(first, teacher, student)
    before = {variable.path: variable.numpy() for variable in student.variables}
    assert not any(
        "group3" in name or name.startswith(("final", "logits"))
        for name in names_of(distiller.trained_variables)
    )
    distiller.fit(*images, batch_size=8, verbose=0)
    moved = {v.path for v in student.variables if not np.array_equal(before[v.path], v)}
    assert moved
    assert not any("group3" in name or name.startswith(("final", "logits")) for name in moved)
    second = compiled(main, teacher, student)
    assert names_of(second.trained_variables) == names_of(student.trainable_variables)
    logs = second.train_on_batch(*images, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["hard_loss"] + 4 * logs["kd"], rel=1e-5)


def test_hints_need_maps_that_fit(build):
    small = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, strides=4, name="small"),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    with pytest.raises(ValueError, match="fitnets needs student maps at least as large"):
        Distiller(build("wrn-10-2"), small, features="fitnets:taps=small:g2")
    with pytest.raises(ValueError, match="overhaul needs maps .* of equal size"):
        Distiller(build("wrn-10-2"), small, features="overhaul:taps=small:g2_pre")
    larger = features.get("fitnets:taps=g1:g2")
    Distiller(build("wrn-10-2"), build("wrn-10-1"), features=larger)
    assert larger.regressor.kernel.shape == (5, 5, 16, 64)  # 8x8 to 4x4


def test_factor_transfer_learns_to_reconstruct_and_then_keeps_the_paraphraser(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    method = features.get("ft", seed=1)
    first, main = method.stages()
    distiller = compiled(first, teacher, student, rate=0.1)
    before = student.get_weights()
    losses = distiller.fit(*images, epochs=20, batch_size=16, verbose=0).history["ft_paraphraser"]
    assert losses[-1] < 0.9 * losses[0]
    for one, other in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    learned = [variable.numpy() for variable in method.paraphraser.variables]
    second = compiled(main, teacher, student)
    paraphraser = {id(variable) for variable in method.paraphraser.variables}
    assert not paraphraser & {id(variable) for variable in second.trained_variables}
    second.fit(*images, batch_size=8, verbose=0)
    for one, other in zip(learned, method.paraphraser.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["wrn-10-1", "wrn-16-1", "wrn-10-2"])
def test_translator_and_encoder_agree_in_shape(build, images, name):
    teacher, student = build("wrn-10-2", 1), build(name)
    method = features.get("ft:rate=0.25")
    _, main = method.stages()
    Distiller.for_stage(main, teacher, student)
    tap = tapped(student, ["g3_act"])(images[0])["g3_act"]
    theirs = tapped(teacher, ["g3_act"])(images[0])["g3_act"]
    assert (
        method.translator(tap).shape == method.paraphraser.encoder(theirs).shape == (16, 2, 2, 32)
    )


@pytest.mark.slow
def test_boundaries_of_a_batch_are_learned(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    method = features.get("ab", seed=1, teacher_bn="moving")
    first, main = method.stages()
    distiller = compiled(first, teacher, student)
    names = ["g1_pre", "g2_pre", "g3_pre"]
    theirs = tapped(teacher, names)(images[0], training=False)

    def agreement():
        ours = tapped(student, names)(images[0], training=False)
        ours = method.connectors([ours[name] for name in names], training=False)
        pairs = zip(names, ours, strict=True)
        return np.mean([np.mean(boundary_agreement(theirs[name], each)) for name, each in pairs])

    distiller.fit(*images, batch_size=16, epochs=5, verbose=0)
    early = agreement()
    distiller.fit(*images, batch_size=16, epochs=40, verbose=0)
    assert agreement() > early + 0.03
    logs = compiled(main, teacher, student).train_on_batch(*images, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["distillation_loss"], rel=1e-5)  # no labels


@pytest.mark.parametrize("name", ["wrn-10-2", "resnet-8-1"])
def test_margins_are_of_the_normalization_before_the_tap(build, name):
    teacher, student = build(name, 1), build(name)
    method = Distiller(teacher, student, features="overhaul").features[0]
    layer = {"wrn-10-2": "group3_block1_bn1", "resnet-8-1": "group2_block1_bn2"}[name]
    norm = teacher.get_layer(layer)
    np.testing.assert_array_equal(method._margins[1], negative_margin(norm.gamma, norm.beta))


def test_overhaul_needs_normalization_to_know_margins():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="plain"),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    with pytest.raises(ValueError, match="'plain' must come from a batch normalization"):
        Distiller(model, model, features="overhaul:taps=plain")


def test_overhaul_beside_mse_takes_the_logits_in_inference_mode(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    distiller = compiled(Distiller(teacher, student, "mse", 1.0, features="overhaul"))
    logs = distiller.evaluate(*images, verbose=0, return_dict=True)
    expected = np.mean((teacher(images[0]) - student(images[0])) ** 2)
    assert logs["distillation_loss"] == pytest.approx(expected, rel=1e-4)


def test_a_users_models_and_layers(images):
    def network(filters, seed):
        keras.utils.set_random_seed(seed)
        return keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Conv2D(filters, 3, activation="relu", name="edges"),
                keras.layers.Conv2D(filters, 3, strides=2, name="shapes"),
                keras.layers.Flatten(),
                keras.layers.Dense(5),
            ]
        )

    teacher, student = network(8, 1), network(4, 2)
    distiller = Distiller(
        teacher, student, "mse", 0.5, features=["at:taps=edges/shapes", "fitnets:taps=shapes"]
    )
    distiller.compile(keras.optimizers.Adam(0.02), metrics=["accuracy"])
    history = distiller.fit(*images, batch_size=16, epochs=30, verbose=0).history
    assert history["at"][-1] < 0.7 * history["at"][0]
    assert history["fitnets"][-1] < 0.7 * history["fitnets"][0]
    assert tf.reduce_all(tf.math.is_finite(distiller.predict(images[0], verbose=0)))


def test_boundaries_have_no_connector_where_widths_are_equal():
    method = features.get("ab:taps=g1_pre")
    method.build([(None, 8, 8, 3)], [(None, 8, 8, 3)])
    teacher, student = tf.random.normal((2, 2, 8, 8, 3))
    value = method.loss([teacher], [student], Batch(inputs=None))
    np.testing.assert_array_equal(value, boundary_loss(teacher, student))
