"""FusedBatchNormalization against the stock layer, and models without it."""

import json
import subprocess
import sys
import textwrap
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.networks.layers import FusedBatchNormalization, to_stock

Stock = keras.layers.BatchNormalization
SHAPE = (4, 3, 5, 6)
TOLERANCE = {
    "float32": {"rtol": 1e-5, "atol": 1e-5},
    "float64": {"rtol": 1e-10, "atol": 1e-10},
    "mixed_float16": {"rtol": 2e-3, "atol": 2e-3},
    "mixed_bfloat16": {"rtol": 2e-2, "atol": 2e-2},
}


def make_pair(shape=SHAPE, **kwargs):
    """A fused and a stock layer with the same random weights."""
    kwargs = {"momentum": 0.9, "epsilon": 1e-5, **kwargs}
    layers = FusedBatchNormalization(**kwargs), Stock(**kwargs)
    rng = np.random.default_rng(1)
    for layer in layers:
        layer.build(shape)
    weights = [rng.uniform(0.5, 1.5, w.shape) for w in layers[1].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def random_inputs(shape=SHAPE, dtype="float32", seed=0):
    values = np.random.default_rng(seed).normal(2.0, 3.0, shape)
    return tf.cast(values, dtype)


def run(layer, inputs, upstream, wrap=lambda function: function, **kwargs):
    """Output, gradients and weights after one call, as float64 arrays."""

    @wrap
    def step(inputs, upstream):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, **kwargs)
        sources = [inputs, *layer.trainable_variables]
        return [outputs, *tape.gradient(outputs, sources, output_gradients=upstream)]

    results = step(inputs, upstream)
    return [tf.cast(result, "float64").numpy() for result in results] + [
        weight.astype("float64") for weight in layer.get_weights()
    ]


def assert_same(layers, inputs, policy="float32", **kwargs):
    dtype = layers[0].compute_dtype
    upstream = random_inputs(inputs.shape, dtype, seed=2)
    fused, stock = (run(layer, tf.cast(inputs, dtype), upstream, **kwargs) for layer in layers)
    assert len(fused) == len(stock)
    for left, right in zip(fused, stock, strict=True):
        # Gradients of gamma and beta are sums over the batch.
        scale = max(1.0, np.abs(right).max())
        np.testing.assert_allclose(left / scale, right / scale, **TOLERANCE[policy])


@pytest.fixture
def no_stock_call(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the stock code ran")

    monkeypatch.setattr(Stock, "_moments", refuse)
    monkeypatch.setattr(keras.ops, "batch_normalization", refuse)


@pytest.fixture
def no_fused_call(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the fused kernel ran")

    monkeypatch.setattr(FusedBatchNormalization, "_fused_call", refuse)


@pytest.mark.parametrize("training", [True, False, None])
@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False)])
def test_fused_equals_stock(training, scale, center):
    assert_same(make_pair(scale=scale, center=center), random_inputs(), training=training)


@pytest.mark.parametrize("wrap", [tf.function, tf.function(jit_compile=True)])
@pytest.mark.parametrize("training", [True, False])
def test_fused_equals_stock_in_a_graph(wrap, training):
    assert_same(make_pair(), random_inputs(), wrap=wrap, training=training)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("training", [True, False])
def test_fused_equals_stock_in_half_precision(policy, training):
    layers = make_pair(dtype=policy)
    assert_same(layers, random_inputs(), policy, training=training)
    half = random_inputs(dtype=layers[0].compute_dtype)
    assert layers[0](half).dtype == layers[1](half).dtype == half.dtype


def test_fused_equals_stock_far_from_zero():
    assert_same(make_pair(), random_inputs() + 300.0, "mixed_float16", training=True)


def test_frozen_layer_is_in_inference_mode():
    layers = make_pair()
    for layer in layers:
        layer.trainable = False
    before = layers[0].get_weights()
    assert_same(layers, random_inputs(), training=True)
    for left, right in zip(before, layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_fused_second_derivative_equals_stock():
    def gradient_penalty(layer):
        inputs = random_inputs()
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                outputs = tf.reduce_sum(layer(inputs, training=True) ** 3)
            penalty = tf.reduce_sum(inner.gradient(outputs, inputs) ** 2)
        return outer.gradient(penalty, inputs)

    fused, stock = map(gradient_penalty, make_pair())
    np.testing.assert_allclose(fused, stock, rtol=1e-3, atol=1e-3 * np.abs(stock).max())


def test_one_element_per_channel():
    layers = make_pair((1, 1, 1, 6))
    for layer in layers:
        outputs = layer(random_inputs((1, 1, 1, 6)), training=True)
        np.testing.assert_allclose(outputs[0, 0, 0], layer.beta.numpy(), atol=1e-3)
    for left, right in zip(*(layer.get_weights() for layer in layers), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function])
def test_empty_batch_leaves_the_statistics(wrap):
    layer, _ = make_pair()
    before = layer.get_weights()
    outputs = wrap(lambda x: layer(x, training=True))(tf.zeros((0, *SHAPE[1:])))
    assert outputs.shape == (0, *SHAPE[1:])
    for left, right in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_batch_size_may_be_unknown():
    signature = [tf.TensorSpec((None, None, None, 6))] * 2
    wrap = tf.function(input_signature=signature)
    assert_same(make_pair(), random_inputs(), wrap=wrap, training=True)


@pytest.mark.usefixtures("no_stock_call")
@pytest.mark.parametrize("axis", [-1, 3])
@pytest.mark.parametrize("training", [True, False])
def test_4d_input_takes_the_fused_kernel(axis, training):
    layer = FusedBatchNormalization(axis=axis)
    assert layer(random_inputs(), training=training).shape == SHAPE


@pytest.mark.usefixtures("no_fused_call")
@pytest.mark.parametrize(
    ("shape", "kwargs"),
    [
        ((8, 6), {}),
        ((4, 5, 6), {}),
        ((2, 3, 2, 3, 6), {}),
        (SHAPE, {"axis": 1}),
        (SHAPE, {"synchronized": True}),
        (SHAPE, {"renorm": True}),
        (SHAPE, {"dtype": "float64"}),
    ],
)
def test_other_input_takes_the_stock_code(shape, kwargs):
    policy = kwargs.get("dtype", "float32")
    assert_same(make_pair(shape, **kwargs), random_inputs(shape), policy, training=True)


@pytest.mark.usefixtures("no_fused_call")
def test_masked_input_takes_the_stock_code():
    mask = tf.constant(np.random.default_rng(3).random(SHAPE[:3]) < 0.5)
    assert_same(make_pair(), random_inputs(), training=True, mask=mask)


def test_config_is_that_of_the_stock_layer():
    config = Stock(momentum=0.7, epsilon=0.1, scale=False, name="bn", dtype="bfloat16").get_config()
    assert FusedBatchNormalization.from_config(config).get_config() == config
    serialized = keras.saving.serialize_keras_object(FusedBatchNormalization(momentum=0.7))
    restored = keras.saving.deserialize_keras_object(json.loads(json.dumps(serialized)))
    assert type(restored) is FusedBatchNormalization
    assert keras.saving.serialize_keras_object(restored) == serialized


def run_python(code, **environment):
    """Runs code in a new process and returns what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_replicas_normalize_their_own_part_and_share_moving_statistics():
    printed = run_python(
        """
        import keras
        import numpy as np
        import tensorflow as tf
        from keras_logitkd.networks.layers import FusedBatchNormalization

        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, parts)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        x = np.random.default_rng(0).normal(size=(12, 4, 4, 3)).astype("float32")
        parts = np.split(x, [9])  # 9 and 3 examples
        split = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )
        with strategy.scope():
            layer = FusedBatchNormalization(momentum=0.5)
            layer.build((None, *x.shape[1:]))
        outputs = tf.function(strategy.run)(layer, (split,), {"training": True})
        stock = keras.layers.BatchNormalization(momentum=0.5)
        for part, own in zip(parts, strategy.experimental_local_results(outputs)):
            np.testing.assert_allclose(own, stock(part, training=True), rtol=1e-5, atol=1e-6)
        moments = [(part.mean((0, 1, 2)), part.var((0, 1, 2))) for part in parts]
        mean, variance = np.average(moments, axis=0, weights=[9, 3])
        for variable, previous, value in (
            (layer.moving_mean, 0.0, mean), (layer.moving_variance, 1.0, variance)
        ):
            expected = 0.5 * previous + 0.5 * value
            for replica in strategy.experimental_local_results(variable.value):
                np.testing.assert_allclose(replica, expected, rtol=1e-5, atol=1e-6)
        print("same")
        """
    )
    assert printed.endswith("same")


@pytest.mark.torch
def test_layers_run_on_another_backend_without_tensorflow():
    pytest.importorskip("torch")
    printed = run_python(
        """
        import sys
        import numpy as np
        from keras_logitkd.networks.layers import FusedBatchNormalization

        outputs = FusedBatchNormalization()(np.ones((2, 3, 3, 4)), training=True)
        print(tuple(outputs.shape), "tensorflow" in sys.modules)
        """,
        KERAS_BACKEND="torch",
    )
    assert printed == "(2, 3, 3, 4) False"


def nested_model(policy="float32"):
    """A functional model around a Sequential one, with a shared and a frozen layer."""
    keras.utils.set_random_seed(0)
    with_policy = {"dtype": policy}
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 6)),
            FusedBatchNormalization(name="bn", gamma_regularizer="l2", **with_policy),
            keras.layers.ReLU(name="relu", **with_policy),
        ],
        name="inner",
    )
    shared = FusedBatchNormalization(name="shared_bn", momentum=0.3, **with_policy)
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(6, 3, 2, "same", name="conv", **with_policy)(inputs)
    x = shared(inner(shared(x)))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="logits", dtype="float32")(x), name="m")
    model.get_layer("conv").trainable = False
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.uniform(0.0, 0.2, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_to_stock_keeps_what_the_model_is(policy):
    model = nested_model(policy)
    model.compile("sgd", "mse")
    images = random_inputs((5, 8, 8, 3))
    copy = to_stock(model)
    tolerance = 1e-6 if policy == "float32" else 2e-2
    np.testing.assert_allclose(copy(images), model(images), atol=tolerance)
    assert (copy.name, type(copy), copy.compiled) == ("m", type(model), False)
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    assert [layer.trainable for layer in copy.layers] == [layer.trainable for layer in model.layers]
    for ours, theirs in (
        (model.get_layer("shared_bn"), copy.get_layer("shared_bn")),
        (model.get_layer("inner").get_layer("bn"), copy.get_layer("inner").get_layer("bn")),
    ):
        assert (type(ours), type(theirs)) == (FusedBatchNormalization, Stock)
        assert theirs.get_config() == ours.get_config()
        assert theirs.dtype_policy == ours.dtype_policy
    assert len(copy.losses) == len(model.losses) == 1


def test_to_stock_shares_nothing():
    model = nested_model()
    before = model.get_weights()
    copy = to_stock(model)
    copy.set_weights([weight + 1 for weight in copy.get_weights()])
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_to_stock_of_a_model_without_fused_layers():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), Stock()])
    copy = to_stock(model)
    images = random_inputs((3, 4))
    np.testing.assert_allclose(copy(images), model(images), atol=1e-6)
    assert copy is not model


@pytest.mark.parametrize("model", [None, keras.Sequential([keras.layers.Dense(2)])])
def test_to_stock_refuses_what_is_not_built(model):
    with pytest.raises(ValueError, match=r"`model` must be a keras\.Model that was built"):
        to_stock(model)


def test_stock_copy_loads_without_this_package(tmp_path):
    model = nested_model()
    model.compile("sgd", "mse")
    path = tmp_path / "student.keras"
    to_stock(model).save(path)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert b"logitkd" not in archive.read(name)
    images = random_inputs((2, 8, 8, 3)).numpy()
    np.save(tmp_path / "images.npy", images)
    run_python(
        f"""
        import sys
        sys.modules["keras_logitkd"] = None
        import keras
        import numpy as np

        model = keras.saving.load_model({str(path)!r})
        images = np.load({str(tmp_path / "images.npy")!r})
        np.save({str(tmp_path / "logits.npy")!r}, model.predict(images, verbose=0))
        """
    )
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), model(images), atol=1e-6)
