"""The zoo's families with a single convolution, for tests in which the network is not the point.

Names, arguments, recipes and files are those of the zoo; building and tracing take a third of the
time. `tests/zoo`, `tests/features` and whatever measures a network have the real ones.
"""

import contextlib
from unittest import mock

FAMILIES = ("wide_resnet", "cifar_resnet")


def build(depth, width, input_shape, num_classes, weight_decay=0.0, name=None, input_tensor=None):
    """One convolution of `depth * width` filters, as a family's `build`."""
    import keras

    from keras_logitkd.zoo import blocks

    inputs = blocks.image_input(input_shape) if input_tensor is None else input_tensor
    x = blocks.conv(inputs, depth * width, 3, weight_decay=weight_decay, name="stem_conv")
    x = blocks.batch_norm(x, name="final_bn")
    x = blocks.relu(x, name="final_relu")
    logits = blocks.classifier(x, num_classes, weight_decay=weight_decay, bias_initializer="zeros")
    return keras.Model(keras.utils.get_source_inputs(inputs)[0], logits, name=name)


@contextlib.contextmanager
def in_the_zoo():
    """The zoo builds these while this context lasts."""
    with contextlib.ExitStack() as stack:
        for family in FAMILIES:
            stack.enter_context(mock.patch(f"keras_logitkd.zoo.{family}.build", build))
        yield
