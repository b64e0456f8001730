import keras
import numpy as np
import pytest

import keras_logitkd
from keras_logitkd import zoo
from keras_logitkd.analysis.penultimate import runner, with_pre_logits
from keras_logitkd.networks.inference import for_inference

layers = keras.layers


def check(model, images, kernel_of=None, tolerance=1e-5):
    """Pre-logits times the kernel plus the bias are the logits of the model itself.

    The rounding of a sum is relative to its terms, not to what is left of them.
    """
    dense = kernel_of or model.layers[-1]
    pre_logits, logits = runner(model)(images)
    assert pre_logits.dtype == logits.dtype == np.float32
    allowed = {"rtol": tolerance, "atol": tolerance * np.abs(logits).max()}
    np.testing.assert_allclose(logits, model.predict_on_batch(images), **allowed)
    kernel, bias = (np.asarray(weight, np.float64) for weight in (dense.kernel, dense.bias))
    np.testing.assert_allclose(pre_logits.astype(np.float64) @ kernel + bias, logits, **allowed)
    return pre_logits


def images(*shape):
    return np.random.default_rng(0).normal(size=(5, *shape)).astype("float32")


@pytest.mark.parametrize("name", ["wrn-10-1", "resnet-8-1", "resnet-18"])
def test_zoo(name):
    side = 64 if name == "resnet-18" else 8
    model = zoo.build(name, (side, side, 3), 4)
    pre_logits = check(model, images(side, side, 3), tolerance=1e-4)
    pooled = keras.Model(model.inputs, model.get_layer("pool").output)
    expected = pooled.predict_on_batch(images(side, side, 3))
    np.testing.assert_allclose(pre_logits, expected, rtol=1e-5, atol=1e-6)


def test_faster_inference_has_the_same_pre_logits():
    model = zoo.build("wrn-10-8", (8, 8, 3), 4)
    fast = for_inference(model)
    assert fast is not model
    np.testing.assert_allclose(
        runner(fast)(images(8, 8, 3))[0], runner(model)(images(8, 8, 3))[0], rtol=1e-3, atol=1e-4
    )


def small():
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, "relu"), layers.Dense(3)], name="small"
    )


def test_sequential():
    assert check(small(), images(6)).shape == (5, 5)


def test_nested_twice_with_a_cast_behind():
    inner, x = small(), keras.Input((6,))
    middle = keras.Sequential([keras.Input((6,)), layers.Rescaling(2.0), inner])
    outputs = layers.Activation("linear", dtype="float32")(middle(x))
    model = keras.Model(x, outputs)
    pre_logits = check(model, images(6), inner.layers[-1])
    hidden = keras.Model(inner.inputs, inner.layers[0].output)
    np.testing.assert_allclose(pre_logits, hidden.predict_on_batch(2 * images(6)), rtol=1e-5)


def test_nested_model_with_two_inputs():
    one, two = keras.Input((6,)), keras.Input((6,))
    inner = keras.Model([one, two], layers.Dense(3)(layers.Add()([one, two])))
    x = keras.Input((6,))
    model = keras.Model(x, inner([x, layers.Rescaling(2.0)(x)]))
    pre_logits = check(model, images(6), inner.layers[-1])
    np.testing.assert_allclose(pre_logits, 3 * images(6), rtol=1e-5)


def test_stripped_softmax():
    x = keras.Input((6,))
    with_softmax = keras.Model(x, layers.Dense(3, "softmax")(layers.Dense(5, "relu")(x)))
    model = keras_logitkd.strip_softmax(with_softmax)
    check(model, images(6))


@pytest.mark.parametrize("end", [layers.Softmax, lambda: layers.Activation("softmax")])
def test_softmax_layer_behind_the_logits(end):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3), end()])
    pre_logits, probabilities = runner(model)(images(6))
    np.testing.assert_array_equal(pre_logits, images(6))
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    x = keras.Input((6,))
    hidden = layers.Dense(5, "relu")(x)
    model = keras.Model(x, keras.ops.cast(layers.Dense(3)(hidden), "float32"))
    check(model, images(6), model.layers[2], tolerance=5e-3)


def test_last_dense_layer_on_a_grid_is_flattened():
    model = keras.Sequential(
        [keras.Input((2, 3)), layers.Dense(4, name="head"), layers.GlobalAveragePooling1D()]
    )
    with pytest.raises(ValueError, match="ends in 'global_average_pooling1d'.*`layer=\"...\"`"):
        runner(model)
    pre_logits, logits = runner(model, "head")(images(2, 3))
    np.testing.assert_array_equal(pre_logits, images(2, 3).reshape(5, 6))
    assert logits.shape == (5, 4)


def test_head_without_a_dense_layer_is_named():
    x = keras.Input((4, 4, 2))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, name="head")(x))
    model = keras.Model(x, pooled)
    with pytest.raises(ValueError, match="--layer"):
        with_pre_logits(model)
    assert runner(model, "head")(images(4, 4, 2))[0].shape == (5, 32)
    with pytest.raises(ValueError, match="must be a layer of .*last ones are.*head.*layer='haed'"):
        with_pre_logits(model, "haed")


def test_two_branches_are_named():
    x = keras.Input((6,))
    model = keras.Model(x, layers.Add()([layers.Dense(3, name="a")(x), layers.Dense(3)(x)]))
    with pytest.raises(ValueError, match="was not found: it ends in 'add"):
        with_pre_logits(model)
    np.testing.assert_array_equal(runner(model, "a")(images(6))[0], images(6))
    with pytest.raises(ValueError, match="with one input"):
        with_pre_logits(model, model.layers[-1].name)


def test_subclassed_and_unbuilt_models_are_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    own = Own()
    own(images(6))
    with pytest.raises(ValueError, match="subclassed model must be built as one of these.*Own"):
        with_pre_logits(own)
    with pytest.raises(ValueError, match="must be a built"):
        with_pre_logits(keras.Sequential([layers.Dense(3)]))


def test_model_itself_does_not_change():
    model = small()
    before = [weight.numpy() for weight in model.weights]
    names = [layer.name for layer in model.layers]
    assert with_pre_logits(model).weights[-1] is model.weights[-1]
    runner(model)(images(6))
    assert [layer.name for layer in model.layers] == names
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
