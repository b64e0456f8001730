"""The zoo's families with a single convolution, for tests in which the network is not the point.

Names, arguments, taps and files are those of the zoo; building and tracing take half the time or
less. `tests/zoo`, most of `tests/features` and whatever measures a network have the real ones.
"""

import contextlib
import importlib
from unittest import mock

FAMILIES = ("wide_resnet", "cifar_resnet")


def build(depth, width, input_shape, num_classes, weight_decay=0.0, name=None, input_tensor=None):
    """One convolution of `depth * width` filters, as a family's `build`."""
    import keras

    from keras_logitkd.zoo import blocks

    inputs = blocks.image_input(input_shape, input_tensor)
    x = blocks.conv(inputs, depth * width, 3, weight_decay=weight_decay, name="stem_conv")
    x = keras.layers.Activation("linear", name="group1_out")(x)
    x = keras.layers.AveragePooling2D(2, padding="same", name="group2_out")(x)
    x = keras.layers.AveragePooling2D(2, padding="same", name="group3_out")(x)
    x = blocks.batch_norm(x, name="final_bn")
    x = keras.layers.ReLU(name="final_relu")(x)
    logits = blocks.classifier(x, num_classes, weight_decay=weight_decay, bias_initializer="zeros")
    return blocks.model(inputs, logits, name)


@contextlib.contextmanager
def in_place():
    """The zoo builds these networks while this context lasts."""
    with contextlib.ExitStack() as stack:
        for family in FAMILIES:
            stack.enter_context(mock.patch(f"keras_logitkd.zoo.{family}.build", build))
        yield


def stay():
    """The zoo builds these networks from now on: for a process that ends soon."""
    for family in FAMILIES:
        importlib.import_module(f"keras_logitkd.zoo.{family}").build = build
