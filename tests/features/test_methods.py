"""What holds for every method by name: teacher, gradients, auxiliary layers, batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, features, to_stock
from keras_logitkd.features.registry import method_class

# Options that make stages short and networks of these sizes fit.
OPTIONS = {"fitnets": ["", "mode=two_stage"], "jacobian": ["", "target=attention_max"]}
SPECS = [
    f"{name}:{options}" if options else name
    for name in features.METHODS
    for options in OPTIONS.get(name, [""])
]


def method_of(spec):
    return features.get(spec, seed=1)


def stages_of(spec, teacher, student):
    """The stages' compiled distillers, each made when the one before is done."""
    for stage in method_of(spec).stages(epochs=2):
        distiller = Distiller.for_stage(stage, teacher, student)
        distiller.compile(keras.optimizers.SGD(1e-4, momentum=0.9), run_eagerly=True)
        yield stage, distiller


def targets(labels):
    return {"label": labels, "index": np.arange(len(labels))}


def values_of(model):
    return {variable.path: variable.numpy() for variable in model.variables}


def changed(before, model):
    return {
        variable.path
        for variable in model.variables
        if not np.array_equal(before[variable.path], variable)
    }


@pytest.mark.parametrize("spec", SPECS)
def test_every_stage_trains_what_it_says_and_never_the_teacher(spec, build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    parameters, before = student.count_params(), values_of(teacher)
    for stage, distiller in stages_of(spec, teacher, student):
        ours = values_of(student)
        logs = distiller.train_on_batch(images[0], targets(images[1]), return_dict=True)
        assert all(np.isfinite(value) for value in logs.values()), logs
        assert {method.name for method in stage.features} <= set(logs)
        moved = changed(ours, student)
        assert bool(moved) == (stage.trains != "aux")
        trained = {id(variable) for variable in distiller.trained_variables}
        if stage.trains == "all":
            assert {id(variable) for variable in student.trainable_variables} <= trained
        for method in stage.features:
            assert {id(variable) for variable in method.trainable_variables} <= trained
        slots = {variable.path for variable in distiller.optimizer.variables}
        assert len(slots) == len(distiller.trained_variables) + 2  # iterations, learning rate
    assert changed(before, teacher) == set()
    assert student.count_params() == to_stock(student).count_params() == parameters


@pytest.mark.parametrize("spec", SPECS)
def test_evaluation_changes_no_variable_but_metrics(spec, build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    for _, distiller in stages_of(spec, teacher, student):
        metrics = {id(variable) for metric in distiller.metrics for variable in metric.variables}
        before = [(v, v.numpy()) for v in distiller.variables if id(v) not in metrics]
        logs = distiller.test_on_batch(images[0], targets(images[1]), return_dict=True)
        assert "hard_loss" in logs
        for variable, value in before:
            np.testing.assert_array_equal(variable, value, err_msg=variable.path)


@pytest.mark.parametrize("spec", SPECS)
def test_nothing_is_nan_where_features_vanish_or_the_batch_is_one_example(spec, build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    for layer in [*teacher.layers, *student.layers]:
        if layer.name.startswith(("stem", "group")) and hasattr(layer, "kernel"):
            layer.kernel.assign(np.zeros(layer.kernel.shape))
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(np.zeros(layer.beta.shape))
            layer.moving_mean.assign(np.zeros(layer.moving_mean.shape))
    for count in (4, 1):
        for _, distiller in stages_of(spec, teacher, student):
            part = images[0][:count], targets(images[1][:count])
            logs = distiller.train_on_batch(*part, return_dict=True)
            assert all(np.isfinite(value) for value in logs.values()), logs
            for variable in distiller.variables:
                assert np.isfinite(variable).all(), variable.path


@pytest.mark.parametrize("spec", [spec for spec in SPECS if "pairwise" not in spec])
def test_the_order_of_the_batch_does_not_matter(spec, build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    order = np.random.default_rng(1).permutation(len(images[1]))
    for stage, distiller in stages_of(spec, teacher, student):
        one = distiller.test_on_batch(images[0], targets(images[1]), return_dict=True)
        distiller.reset_metrics()
        shuffled = {name: each[order] for name, each in targets(images[1]).items()}
        other = distiller.test_on_batch(images[0][order], shuffled, return_dict=True)
        for method in stage.features:
            assert other[method.name] == pytest.approx(one[method.name], rel=1e-3), method.name


@pytest.mark.parametrize("spec", SPECS)
def test_config_makes_the_same_method(spec):
    method = method_of(spec)
    again = features.get(keras.saving.serialize_keras_object(method))
    assert type(again) is type(method)
    assert again.get_config() == method.get_config()
    assert set(method.get_config()) - {"name"} == set(features.options_of(type(method)))


@pytest.mark.parametrize("name", list(features.METHODS))
def test_the_class_has_the_name_it_is_registered_by(name):
    assert method_class(name).method == name


@pytest.mark.parametrize("spec", ["ab", "ft", "fitnets:mode=two_stage"])
def test_methods_with_stages_are_refused_without_them(spec, build):
    with pytest.raises(ValueError, match="is trained in stages: `for stage in method.stages"):
        Distiller(build("wrn-10-2"), build("wrn-10-1"), features=spec)


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        # Overhaul and AB: 1x1 kernels, and gamma and beta of each connector.
        ("overhaul", 43_904),
        ("ab", 43_904),
        ("fitnets", 64 * 128 + 128 + 2 * 128),
        ("at", 0),
        ("jacobian", 0),
    ],
)
def test_auxiliary_parameters_of_16_2_from_28_4(spec, count):
    from keras_logitkd import zoo

    teacher, student = (zoo.build(name, (32, 32, 3), 100) for name in ("wrn-28-4", "wrn-16-2"))
    stage = next(iter(method_of(spec).stages()))
    distiller = Distiller.for_stage(stage, teacher, student)
    found = sum(np.prod(v.shape) for method in distiller.features for v in method.trainable_weights)
    assert found == count


def test_auxiliary_parameters_where_widths_are_equal():
    from keras_logitkd import zoo

    teacher, student = (zoo.build(name, (32, 32, 3), 100) for name in ("wrn-28-4", "wrn-16-4"))
    overhaul = Distiller(teacher, student, features="overhaul").features[0]
    assert overhaul.count_params() - 1 - 2 * (64 + 128 + 256) == 86_912  # weight, statistics
    ab = Distiller.for_stage(method_of("ab").stages()[0], teacher, student).features[0]
    assert sum(np.prod(v.shape) for v in ab.trainable_weights) == 0


def test_auxiliary_parameters_of_factor_transfer():
    from keras_logitkd import zoo

    teacher, student = (zoo.build(name, (32, 32, 3), 100) for name in ("wrn-28-4", "wrn-16-2"))
    first, second = method_of("ft").stages()
    paraphraser = Distiller.for_stage(first, teacher, student).features[0]
    assert paraphraser.encoder.count_params() == 1_032_704
    assert paraphraser.decoder.count_params() == 1_032_832
    factor = Distiller.for_stage(second, teacher, student).features[0]
    expected = 9 * (128 * 128 + 128 * 128 + 128 * 128) + 3 * 128
    assert factor.translator.count_params() == expected
    assert sum(np.prod(v.shape) for v in factor.trainable_weights) == expected


def test_the_seed_decides_the_initial_values(build):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")

    def kernels(seed):
        method = features.get("overhaul", seed=seed)
        Distiller(teacher, student, features=method)
        return [variable.numpy() for variable in method.trainable_weights]

    for one, same in zip(kernels(1), kernels(1), strict=True):
        np.testing.assert_array_equal(one, same)
    pairs = zip(kernels(1), kernels(2), strict=True)
    assert any(not np.array_equal(one, other) for one, other in pairs)


def test_mixed_precision_and_graph(build, images):
    keras.config.set_dtype_policy("mixed_float16")
    student = build("wrn-10-1")
    keras.config.set_dtype_policy("float32")
    teacher = build("wrn-10-2", 1)
    distiller = Distiller(teacher, student, "mse", 0.5, features=["overhaul", "at"])
    distiller.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-3)))
    logs = distiller.fit(*images, batch_size=8, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    assert tf.reduce_all(tf.math.is_finite(student(images[0])))
