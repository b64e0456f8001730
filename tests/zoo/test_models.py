"""The zoo's models: sizes, names, initial values, regularization, input sizes, arithmetic."""

import math

import keras
import numpy as np
import pytest

from keras_logitkd import zoo
from keras_logitkd.networks.layers import FusedBatchNormalization


def count_trainable(model):
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def random_images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def with_kernels(model):
    kinds = keras.layers.Conv2D | keras.layers.Dense
    return [layer for layer in model.layers if isinstance(layer, kinds)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wrn-16-2", 703_284),
        ("wrn-16-4", 2_772_020),
        ("wrn-28-2", 1_479_220),
        ("wrn-28-4", 5_872_180),
        ("wrn-40-1", 569_780),
        ("wrn-40-2", 2_255_156),
        ("wrn-40-6", 20_152_116),
        ("resnet-20", 278_324),
        ("resnet-8-4", 1_233_540),
        ("resnet-32-4", 7_433_860),
        pytest.param("resnet-110", 1_736_564, marks=pytest.mark.slow),
    ],
)
def test_trainable_parameters_on_cifar100(name, expected):
    assert count_trainable(zoo.build(name, (32, 32, 3), 100)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet-18", 11_689_512),
        pytest.param("resnet-34", 21_797_672, marks=pytest.mark.slow),
        ("resnet-50", 25_557_032),
        pytest.param("resnet-101", 44_549_160, marks=pytest.mark.slow),
        pytest.param("resnet-152", 60_192_808, marks=pytest.mark.slow),
    ],
)
def test_trainable_parameters_on_imagenet(name, expected):
    assert count_trainable(zoo.build(name, (224, 224, 3), 1000)) == expected


@pytest.mark.parametrize(
    ("name", "taps"),
    [
        (
            "wrn-10-2",
            {
                "stem_conv": (12, 8, 16),
                "group1_out": (12, 8, 32),
                "group2_block1_bn1": (12, 8, 32),
                "group2_out": (6, 4, 64),
                "group3_block1_bn1": (6, 4, 64),
                "group3_out": (3, 2, 128),
                "final_bn": (3, 2, 128),
                "pool": (128,),
            },
        ),
        (
            "resnet-8-4",
            {
                "stem_relu": (12, 8, 32),
                "group1_out": (12, 8, 64),
                "group2_out": (6, 4, 128),
                "group3_out": (3, 2, 256),
                "pool": (256,),
            },
        ),
        (
            "resnet-18",
            {
                "stem_relu": (6, 4, 64),
                "group1_out": (3, 2, 64),
                "group2_out": (2, 1, 128),
                "group3_out": (1, 1, 256),
                "group4_out": (1, 1, 512),
                "pool": (512,),
            },
        ),
    ],
)
def test_taps(name, taps):
    model = zoo.build(name, (12, 8, 3), 7)
    assert {tap: model.get_layer(tap).output.shape[1:] for tap in taps} == taps
    assert model.get_layer("logits").output is model.output
    assert model.output_shape == (None, 7)
    for layer in model.layers:
        if layer.name.startswith("group") and layer.name.endswith("_out"):
            assert isinstance(layer, keras.layers.Add)  # raw: nothing follows the sum


@pytest.mark.parametrize("name", ["wrn-16-1", "resnet-14-1", "resnet-18"])
def test_every_layer_is_named(name):
    first, second = (zoo.build(name, (16, 16, 1), 2) for _ in range(2))
    assert first.name == name
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]


def test_blocks_keep_the_raw_input_where_shapes_allow():
    names = {layer.name for layer in zoo.build("wrn-16-1", (8, 8, 3), 2).layers}
    assert {name for name in names if "shortcut" in name} == {
        "group2_block1_shortcut_conv",
        "group3_block1_shortcut_conv",
    }


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        ((8, 8, 1), (2, 8, 8, 1)),
        ((28, 28, 1), (2, 28, 28, 1)),
        ((None, None, 3), (2, 19, 32, 3)),
    ],
)
@pytest.mark.parametrize("name", ["wrn-10-1", "resnet-8-1", "resnet-18"])
def test_input_sizes(name, shape, images):
    logits = zoo.build(name, shape, 10)(random_images(*images))
    assert logits.shape == (2, 10)
    assert np.all(np.isfinite(logits))


def test_strided_convolutions_pad_all_sides():
    model = zoo.build("wrn-10-1", (4, 4, 1), 2)
    pad = model.get_layer("group2_block1_conv1_pad")
    conv = model.get_layer("group2_block1_conv1")
    assert pad.padding == ((1, 1), (1, 1))
    assert (conv.padding, conv.strides) == ("valid", (2, 2))
    stem = zoo.build("resnet-18", (64, 64, 3), 2)
    assert stem.get_layer("stem_conv_pad").padding == ((3, 3), (3, 3))
    assert stem.get_layer("stem_pool_pad").padding == ((1, 1), (1, 1))


def test_bottleneck_strides_in_its_3x3_convolution():
    model = zoo.build("resnet-50", (64, 64, 3), 2)
    strides = [model.get_layer(f"group2_block1_conv{i}").strides for i in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]


@pytest.mark.parametrize("name", ["wrn-10-2", "resnet-8-2", "resnet-18"])
def test_weight_decay_is_l2_on_kernels_only(name):
    model = zoo.build(name, (8, 8, 3), 5, weight_decay=0.01)
    kernels = [layer.kernel for layer in with_kernels(model)]
    assert len(model.losses) == len(kernels)
    expected = 0.005 * sum(float(np.sum(kernel.numpy() ** 2)) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    assert zoo.build(name, (8, 8, 3), 5).losses == []


@pytest.mark.parametrize("name", ["wrn-10-2", "resnet-8-2"])
def test_layers_have_pytorchs_constants(name):
    model = zoo.build(name, (8, 8, 3), 5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert type(layer) is FusedBatchNormalization
            assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
        if isinstance(layer, keras.layers.Conv2D):
            assert not layer.use_bias


def test_initial_kernels():
    keras.utils.set_random_seed(0)
    model = zoo.build("wrn-16-4", (8, 8, 3), 100)
    for layer in with_kernels(model)[:-1]:
        kernel = layer.kernel.numpy()
        std = math.sqrt(2 / math.prod((*kernel.shape[:2], kernel.shape[3])))
        assert kernel.std() == pytest.approx(std, rel=0.1)
        if kernel.size > 10_000:  # truncation would stop at 2.3
            assert np.abs(kernel).max() > 3 * std
    same_shape = [model.get_layer(f"group3_block2_conv{i}").kernel.numpy() for i in (1, 2)]
    assert not np.array_equal(*same_shape)


@pytest.mark.parametrize(("name", "has_bias"), [("wrn-10-4", False), ("resnet-8-4", True)])
def test_initial_classifier(name, has_bias):
    keras.utils.set_random_seed(0)
    logits = zoo.build(name, (8, 8, 3), 100).get_layer("logits")
    limit = 256**-0.5
    kernel, bias = (np.abs(weight) for weight in logits.get_weights())
    assert 0.99 * limit < kernel.max() <= limit
    assert kernel.mean() == pytest.approx(limit / 2, rel=0.05)
    if has_bias:
        assert 0.9 * limit < bias.max() <= limit
    else:
        assert bias.max() == 0


def test_build_is_reproducible():
    def weights():
        keras.utils.set_random_seed(5)
        return zoo.build("resnet-8-1", (8, 8, 1), 3).get_weights()

    for left, right in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_logits_are_float32_under_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = zoo.build("wrn-10-1", (8, 8, 1), 3)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("stem_conv").compute_dtype == policy.removeprefix("mixed_")
    assert model.output.dtype == "float32"
    assert model(random_images(2, 8, 8, 1)).dtype == "float32"


def test_models_are_channels_last_whatever_keras_is_set_to():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        model = zoo.build("resnet-18", (32, 32, 3), 4)
    finally:
        keras.config.set_image_data_format(before)
    assert model.get_layer("group4_out").output.shape == (None, 1, 1, 512)


def test_model_survives_saving(tmp_path):
    model = zoo.build("wrn-10-1", (8, 8, 1), 3, weight_decay=1e-3)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    images = random_images(2, 8, 8, 1)
    np.testing.assert_allclose(restored(images), model(images), atol=1e-6)
    assert len(restored.losses) == len(model.losses)


@pytest.mark.parametrize("name", ["wrn-10-1", "resnet-8-1", "resnet-18"])
def test_input_tensor_is_the_image(name):
    pixels = keras.Input((8, 8, 1), name="pixels")
    images = keras.layers.Rescaling(0.5, name="rescaling")(pixels)
    model = zoo.build(name, (8, 8, 1), 3, input_tensor=images)
    plain = zoo.build(name, (8, 8, 1), 3)
    plain.set_weights(model.get_weights())
    assert [layer.name for layer in model.layers[:2]] == ["pixels", "rescaling"]
    images = random_images(2, 8, 8, 1)
    np.testing.assert_allclose(model(2 * images), plain(images), atol=1e-6)
    assert zoo.count_flops(model) == zoo.count_flops(plain)


def test_count_flops_by_hand():
    inner = keras.Sequential([keras.Input((4, 4, 8)), keras.layers.Conv2D(6, 1, groups=2)])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(8, 3, 2, "same"),
            inner,
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    multiply_adds = 4 * 4 * 8 * (9 * 3) + 4 * 4 * 6 * 4 + 96 * 10
    assert zoo.count_flops(model) == 2 * multiply_adds


@pytest.mark.parametrize(
    ("name", "size", "classes", "giga_multiply_adds"),
    [
        ("resnet-18", 224, 1000, 1.814),  # torchvision's documentation
        pytest.param("resnet-50", 224, 1000, 4.089, marks=pytest.mark.slow),
        ("wrn-16-2", 32, 100, 0.101),
    ],
)
def test_count_flops_of_known_models(name, size, classes, giga_multiply_adds):
    flops = zoo.count_flops(zoo.build(name, (size, size, 3), classes))
    assert flops / 2e9 == pytest.approx(giga_multiply_adds, abs=5e-4)


def test_count_flops_needs_static_shapes():
    with pytest.raises(ValueError, match=r"^`model` must have a static input shape"):
        zoo.count_flops(zoo.build("wrn-10-1", (None, None, 3), 2))
    with pytest.raises(ValueError, match=r"^`model` must be a built"):
        zoo.count_flops(keras.Sequential([keras.layers.Dense(2)]))
