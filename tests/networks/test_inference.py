import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, zoo
from keras_logitkd.losses import LogitMSE
from keras_logitkd.networks.inference import for_inference, two_row_conv2d

CHANNELS = 128


def convolution(**settings):
    return keras.layers.Conv2D(CHANNELS, 3, **{"padding": "same", **settings})


def network(layer, height=4):
    """Two convolutions around batch normalization, pooled to logits; every weight is random."""
    inputs = keras.Input((height, 6, CHANNELS))
    x = keras.layers.BatchNormalization()(layer(inputs))
    x = keras.layers.ReLU()(x)
    if x.shape[1:3] == inputs.shape[1:3]:
        x = keras.layers.Add()([x, inputs])
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(5)(x))
    randomize(model)
    return model


def randomize(model, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        fan_in = max(1, np.prod(variable.shape[:-1]))
        variable.assign(rng.uniform(0.5, 1.5, variable.shape) if fan_in == 1 else variable)
        if fan_in > 1:
            variable.assign(rng.standard_normal(variable.shape) / np.sqrt(fan_in))


@pytest.mark.parametrize("shape", [(4, 6), (2, 1), (8, 8)])
def test_two_row_convolution_is_the_convolution(shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, *shape, 7))
    kernel = rng.standard_normal((3, 3, 7, 5))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    expected = np.einsum("nhwcij,ijcf->nhwf", windows, kernel)
    found = two_row_conv2d(tf.constant(x, tf.float32), tf.constant(kernel, tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    # In float64 nothing but the algebra is left.
    found = two_row_conv2d(tf.constant(x), tf.constant(kernel))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "settings", [{}, {"use_bias": False}, {"activation": "tanh"}], ids=["bias", "none", "tanh"]
)
def test_outputs_are_those_of_the_model(settings):
    model = network(convolution(**settings))
    fast, x = for_inference(model), np.random.default_rng(1).standard_normal((3, 4, 6, CHANNELS))
    assert fast is not model
    x = x.astype(np.float32)
    np.testing.assert_allclose(fast(x, training=False), model(x, training=False), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "height"),
    [
        (convolution(strides=2), 4),
        (convolution(dilation_rate=2), 4),
        (convolution(padding="valid"), 4),
        (convolution(groups=2), 4),
        (convolution(dtype="mixed_float16"), 4),
        (keras.layers.Conv2D(CHANNELS - 1, 3), 4),
        (keras.layers.Conv2D(CHANNELS, 5, padding="same"), 4),
    ],
)
def test_model_without_gain_is_returned_itself(layer, height):
    model = network(layer, height)
    assert for_inference(model) is model


def test_sequential_model():
    model = keras.Sequential([keras.Input((4, 6, CHANNELS)), convolution(), convolution()])
    fast, x = for_inference(model), np.random.default_rng(1).standard_normal((3, 4, 6, CHANNELS))
    assert fast is not model
    x = x.astype(np.float32)
    np.testing.assert_allclose(fast(x, training=False), model(x, training=False), atol=1e-5)


@pytest.mark.parametrize("height", [5, None])
def test_rows_that_do_not_pair_are_convolved_as_before(height):
    model = network(convolution(), height)
    x = np.random.default_rng(1).standard_normal((2, 5, 6, CHANNELS)).astype(np.float32)
    expected = model(x, training=False)
    found = tf.function(lambda x: for_inference(model)(x, training=False))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_graph_that_is_not_known_is_left_alone():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = convolution()

        def call(self, x):
            return self.conv(x)

    model = Subclassed()
    model(np.ones((1, 4, 4, CHANNELS), np.float32))
    assert for_inference(model) is model


def test_weights_are_shared_and_the_model_stays_as_it_was():
    model = network(convolution())
    config, x = model.get_config(), np.ones((2, 4, 6, CHANNELS), np.float32)
    before = [weight.copy() for weight in model.get_weights()]
    fast = for_inference(model)
    fast(x, training=False)
    assert model.get_config() == config
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    randomize(model, seed=7)
    np.testing.assert_allclose(fast(x, training=False), model(x, training=False), atol=1e-5)


def test_teacher_of_the_zoo_gives_its_logits_in_the_distiller():
    teacher, student = (zoo.build(name, (8, 8, 1), 10) for name in ("wrn-10-4", "wrn-10-1"))
    randomize(teacher)
    x = np.random.default_rng(2).standard_normal((16, 8, 8, 1)).astype(np.float32)
    logits = teacher(x, training=False).numpy()
    distiller = Distiller(teacher, student, "mse")
    distiller.compile(keras.optimizers.SGD(0.0))
    assert for_inference(teacher) is not teacher
    before = [weight.copy() for weight in teacher.get_weights()]
    logs = distiller.evaluate(x, np.zeros(16), batch_size=16, verbose=0, return_dict=True)
    expected = LogitMSE()(logits, student(x, training=False))
    assert logs["distillation_loss"] == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(distiller._teacher(x), logits, rtol=1e-5, atol=1e-5)
    distiller.fit(x, np.zeros(16), batch_size=16, verbose=0)
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_same_bits_every_time():
    """Threads that finish in another order change nothing."""
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(16, 8, 8, 128)).astype("float32"))
    kernel = tf.constant(rng.normal(size=(3, 3, 128, 128)).astype("float32"))
    convolve = tf.function(lambda x: two_row_conv2d(x, kernel))
    first = convolve(images).numpy()
    for _ in range(300):
        np.testing.assert_array_equal(convolve(images).numpy(), first)
