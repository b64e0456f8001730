"""What the residual families share: layers with PyTorch's padding, constants and initial values."""

import keras
from keras import layers

from keras_logitkd.networks.layers import FusedBatchNormalization


def image_input(input_shape, input_tensor=None):
    """The input of a network: the tensor given, or images of shape (height, width, channels)."""
    return keras.Input(input_shape, name="image") if input_tensor is None else input_tensor


def conv(x, filters, kernel_size, strides=1, *, weight_decay, name):
    """A convolution without bias, padded by (kernel_size - 1) / 2 on every side as in PyTorch.

    `"same"` pads a strided convolution on the right and at the bottom only. Initial values are
    those of He et al. (2015) by the outputs of a kernel, not truncated.
    """
    if strides > 1 and kernel_size > 1:
        x = zero_pad(x, kernel_size // 2, name=f"{name}_pad")
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        data_format="channels_last",
        use_bias=False,
        # A new one for each layer, because it draws the same values each time it is called.
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        kernel_regularizer=_l2(weight_decay),
        name=name,
    )(x)


def zero_pad(x, padding, *, name):
    """Zeros on every side."""
    return layers.ZeroPadding2D(padding, data_format="channels_last", name=name)(x)


def batch_norm(x, *, name):
    """Batch normalization with PyTorch's constants; its momentum of 0.1 is Keras's of 0.9."""
    return FusedBatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def conv_bn(x, filters, kernel_size, strides=1, *, weight_decay, name, number="", relu=True):
    """A convolution, batch normalization and, unless it is left out, ReLU.

    The layers are called `{name}_conv{number}`, `{name}_bn{number}` and `{name}_relu{number}`.
    """
    conv_name = f"{name}_conv{number}"
    x = conv(x, filters, kernel_size, strides, weight_decay=weight_decay, name=conv_name)
    x = batch_norm(x, name=f"{name}_bn{number}")
    return layers.ReLU(name=f"{name}_relu{number}")(x) if relu else x


def classifier(x, num_classes, *, weight_decay, bias_initializer=None):
    """Global average pooling and the dense layer that returns float32 logits.

    The bias is initialised as by PyTorch, uniformly in +-1 / sqrt(features), unless said.
    """
    if bias_initializer is None:  # made before the kernel's: each draws a seed when it is made
        limit = x.shape[-1] ** -0.5
        bias_initializer = keras.initializers.RandomUniform(-limit, limit)
    x = layers.GlobalAveragePooling2D(data_format="channels_last", name="pool")(x)
    return layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
        bias_initializer=bias_initializer,
        kernel_regularizer=_l2(weight_decay),
        dtype="float32",
        name="logits",
    )(x)


def model(inputs, logits, name):
    """The model that ends in logits; where the image is another's output, from that one's input."""
    return keras.Model(keras.utils.get_source_inputs(inputs)[0], logits, name=name)


def _l2(weight_decay):
    """The L2 term whose gradient is `weight_decay` times the kernel."""
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None


def basic_block(x, filters, strides, *, weight_decay, name, out_name):
    """Two 3x3 convolutions, batch normalization after each, and ReLU after the sum.

    Arguments as for the `block` of `groups`.
    """
    shortcut = projection(x, filters, strides, weight_decay=weight_decay, name=name)
    x = conv_bn(x, filters, 3, strides, weight_decay=weight_decay, name=name, number=1)
    x = conv_bn(x, filters, 3, weight_decay=weight_decay, name=name, number=2, relu=False)
    x = layers.Add(name=out_name)([shortcut, x])
    return layers.ReLU(name=f"{name}_relu2")(x)


def projection(x, filters, strides, *, weight_decay, name):
    """The shortcut: `x` itself, or where shapes change its 1x1 convolution and normalization."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    name = f"{name}_shortcut"
    return conv_bn(x, filters, 1, strides, weight_decay=weight_decay, name=name, relu=False)


def groups(x, block, filters, counts, *, weight_decay):
    """Groups of residual blocks; from the second on each halves the size and doubles the filters.

    Args:
        x: Tensor of shape `(batch, height, width, channels)`.
        block: Function of `(x, filters, strides, *, weight_decay, name, out_name)`, such as
            `basic_block`: of a tensor as `x`, the block's number of filters, the strides of its
            first 3x3 convolution and of its shortcut, the L2 on its kernels, the prefix of its
            layers' names and the name of its sum. It returns a tensor of shape
            `(batch, height / strides, width / strides, channels)`.
        filters: Number of filters of the first group's blocks.
        counts: Number of blocks of each group.
        weight_decay: L2 on the kernels.

    Returns:
        The output of the last block. The last sum of a group is called `group{number}_out`.
    """
    for group, count in enumerate(counts, start=1):
        for number in range(1, count + 1):
            name = f"group{group}_block{number}"
            x = block(
                x,
                filters * 2 ** (group - 1),
                strides=2 if group > 1 and number == 1 else 1,
                weight_decay=weight_decay,
                name=name,
                out_name=f"{name if number < count else f'group{group}'}_out",
            )
    return x
