"""What is particular to each method of Table 3, in networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, features, zoo
from keras_logitkd.features import ab, ft
from keras_logitkd.features.jacobian import jacobian_distance
from keras_logitkd.features.taps import Graph, tapped


def stages_of(spec):
    return features.get(spec, seed=0).stages(epochs=2)


def compiled(stage, teacher, student, rate):
    distiller = stage.distiller(teacher, student)
    distiller.compile(keras.optimizers.SGD(rate), run_eagerly=True)
    return distiller


def values_of(variables):
    return [variable.numpy() for variable in variables]


def test_an_identity_regressor_and_equal_features_give_no_hint():
    method = features.get("fitnets:bn=false")
    shape = (None, 8, 8, 3)
    method.build([shape], [shape])
    method.regressor.kernel.assign(np.eye(3)[None, None])
    method.regressor.bias.assign(np.zeros(3))
    maps = tf.random.normal((2, 8, 8, 3))
    np.testing.assert_allclose(method.loss([maps], [maps], None), 0, atol=1e-12)


def test_the_hint_trains_nothing_above_its_tap_and_leaves_no_regressor(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    hint, main = stages_of("fitnets:mode=two_stage")
    distiller = compiled(hint, teacher, student, 0.01)
    below = {id(layer) for layer in Graph(student).layers_of(["g2"])}
    above = [
        variable for layer in student.layers if id(layer) not in below for variable in layer.weights
    ]
    before, trained = values_of(above), {id(each) for each in distiller.trained_variables}
    assert above
    assert not trained & {id(variable) for variable in above}
    for _ in range(2):
        distiller.train_on_batch(*images)
    for old, new in zip(before, values_of(above), strict=True):
        np.testing.assert_array_equal(old, new)
    second = main.distiller(teacher, student)
    ours = {id(variable) for variable in student.trainable_variables}
    assert {id(variable) for variable in second.trained_variables} == ours


def jacobian_logs(teacher, student, images):
    method = features.get("jacobian:jac_training=false")
    distiller = Distiller(teacher, student, None, alpha=0.0, features=method)
    distiller.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return distiller.test_on_batch(*images, return_dict=True)["jacobian"]


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 0), (0.01, 0), (50.0, 0), (-2.0, 4)])
def test_the_jacobian_of_scaled_and_shifted_logits(build, images, scale, expected):
    teacher = build("wrn-10-1", 1)
    student = keras.models.clone_model(teacher)
    student.set_weights(teacher.get_weights())
    last = student.layers[-1]
    last.kernel.assign(scale * last.kernel)
    last.bias.assign(scale * last.bias + 3.0)
    assert jacobian_logs(teacher, student, images) == pytest.approx(expected, abs=1e-4)


def test_the_jacobian_of_linear_models_is_their_column():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 5)).astype(np.float32), np.arange(6) % 3

    def linear():
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
        model.set_weights([rng.normal(size=(5, 3)), rng.normal(size=3)])
        return model

    teacher, student = linear(), linear()
    columns = [model.get_weights()[0].T[labels] for model in (teacher, student)]
    expected = np.mean(jacobian_distance(*columns))
    assert jacobian_logs(teacher, student, (x, labels)) == pytest.approx(expected, rel=1e-5)


def test_the_last_bias_has_no_gradient_from_the_jacobian(build, images):
    """And the kernels do: the second order goes through."""
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    # With alpha 1 and no logit loss the term is alone.
    method = features.get("jacobian")
    distiller = Distiller(teacher, student, None, alpha=1.0, features=method)
    distiller.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    last, first = student.layers[-1], student.get_layer("stem_conv")
    bias, kernel, stem = (v.numpy() for v in (last.bias, last.kernel, first.kernel))
    distiller.train_on_batch(*images)
    np.testing.assert_array_equal(last.bias, bias)
    assert np.abs(last.kernel - kernel).max() > 0
    assert np.abs(first.kernel - stem).max() > 0


def test_the_paraphraser_learns_alone_and_then_stays(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    first, second = stages_of("ft")
    distiller = first.distiller(teacher, student)
    distiller.compile(keras.optimizers.Adam(0.003), run_eagerly=True)
    backbones = [*teacher.variables, *student.variables]
    before = values_of(backbones)
    losses = []
    for _ in range(12):
        losses.append(distiller.train_on_batch(*images, return_dict=True)["ft_paraphraser"])
        distiller.reset_metrics()
    assert losses[-1] < 0.9 * losses[0]
    for old, new in zip(before, values_of(backbones), strict=True):
        np.testing.assert_array_equal(old, new)

    paraphraser = distiller.features[0]
    learnt = values_of(paraphraser.variables)
    distiller = compiled(second, teacher, student, 0.01)
    held = {id(variable) for variable in paraphraser.variables}
    assert not held & {id(variable) for variable in distiller.trained_variables}
    translator = values_of(distiller.features[0].translator.variables)
    for _ in range(2):
        distiller.train_on_batch(*images)
    for old, new in zip(learnt, values_of(paraphraser.variables), strict=True):
        np.testing.assert_array_equal(old, new)
    moved = zip(translator, values_of(distiller.features[0].translator.variables), strict=True)
    assert any(np.any(old != new) for old, new in moved)


@pytest.mark.parametrize("student", ["wrn-16-2", "wrn-28-2", "wrn-16-4"])
def test_the_translator_has_the_factors_shape(student):
    width = int(student[-1])
    method = features.get("ft")
    method.build([(None, 8, 8, 64 * width)], [(None, 8, 8, 256)])
    factor = method.paraphraser.encoder(tf.zeros((2, 8, 8, 256)))
    assert (
        method.translator(tf.zeros((2, 8, 8, 64 * width))).shape == factor.shape == (2, 8, 8, 128)
    )


def test_boundaries_of_one_batch_come_to_agree(build, images):
    teacher, student = build("wrn-10-1", 1), build("wrn-10-1")
    first, _ = stages_of("ab:weight=0.1")
    distiller = compiled(first, teacher, student, 0.02)
    assert sum(np.prod(v.shape) for v in distiller.features[0].trainable_variables) == 0
    seen = ["g1_pre", "g2_pre", "g3_pre"]

    def agreement():
        theirs, ours = (
            tapped(network, seen)(images[0], training=False) for network in (teacher, student)
        )
        return np.mean([np.mean(ab.boundary_agreement(theirs[tap], ours[tap])) for tap in seen])

    before = agreement()
    for _ in range(15):
        distiller.train_on_batch(*images)
    assert agreement() > before + 0.02


def test_an_equal_width_has_no_connector():
    method = features.get("ab:taps=g1_pre")
    method.build([(None, 8, 8, 3)], [(None, 8, 8, 3)])
    maps = tf.random.normal((2, 8, 8, 3))
    value = method.loss([maps + 5.0], [maps], _Inference())
    np.testing.assert_allclose(value, ab.boundary_loss(maps + 5.0, maps), rtol=1e-6)


class _Inference:
    training = False


def test_overhaul_takes_the_margins_of_the_teachers_normalization(build):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    for layer in teacher.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(np.full(layer.gamma.shape, 2.0))
            layer.beta.assign(np.full(layer.beta.shape, -0.5))
    method = Distiller(teacher, student, features="overhaul").features[0]
    for margin, channels in zip(method._margins, (32, 64, 128), strict=True):
        np.testing.assert_allclose(margin, np.full(channels, -1.79168), atol=1e-5)


def test_parameters_of_the_networks_that_the_counts_are_about():
    counts = {"wrn-16-2": 703_284, "wrn-16-4": 2_772_020, "wrn-28-4": 5_872_180}
    for name, count in counts.items():
        weights = zoo.build(name, (32, 32, 3), 100).trainable_weights
        assert sum(np.prod(weight.shape) for weight in weights) == count


def test_equal_factors_give_no_term():
    factor = tf.random.normal((2, 4, 4, 3))
    np.testing.assert_array_equal(ft.factor_loss(factor, factor), 0)
