"""What the residual families share: layers with PyTorch's padding, constants and initial values."""

import keras
from keras import layers

from keras_logitkd.networks.layers import FusedBatchNormalization


def image_input(input_shape):
    """The input of a network: images of shape (height, width, channels)."""
    return keras.Input(input_shape, name="image")


def conv(x, filters, kernel_size, strides=1, *, weight_decay, name):
    """A convolution without bias, padded by (kernel_size - 1) / 2 on every side as in PyTorch.

    `"same"` pads a strided convolution on the right and at the bottom only.
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
        kernel_initializer=he_normal(),
        kernel_regularizer=l2(weight_decay),
        name=name,
    )(x)


def zero_pad(x, padding, *, name):
    """Zeros on every side."""
    return layers.ZeroPadding2D(padding, data_format="channels_last", name=name)(x)


def batch_norm(x, *, name):
    """Batch normalization with PyTorch's constants; its momentum of 0.1 is Keras's of 0.9."""
    return FusedBatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def relu(x, *, name):
    """The rectifier."""
    return layers.ReLU(name=name)(x)


def classifier(x, num_classes, *, weight_decay, bias_initializer):
    """Global average pooling and the dense layer that returns float32 logits."""
    x = layers.GlobalAveragePooling2D(data_format="channels_last", name="pool")(x)
    return layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
        bias_initializer=bias_initializer,
        kernel_regularizer=l2(weight_decay),
        dtype="float32",
        name="logits",
    )(x)


def bias_uniform(fan_in):
    """PyTorch's default initial values of a bias: uniform in +-1 / sqrt(fan_in)."""
    limit = fan_in**-0.5
    return keras.initializers.RandomUniform(-limit, limit)


def he_normal():
    """He et al. (2015) by the outputs of a kernel, not truncated; a new one for each layer.

    A Keras initializer draws the same values each time it is called.
    """
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def l2(weight_decay):
    """The L2 term whose gradient is `weight_decay` times the kernel."""
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None


def basic_block(x, filters, strides, *, weight_decay, name, out_name):
    """Two 3x3 convolutions, batch normalization after each, and ReLU after the sum.

    Args:
        x: Tensor of shape `(batch, height, width, channels)`.
        filters: Number of output channels.
        strides: Strides of the first convolution and of the shortcut.
        weight_decay: L2 on the kernels.
        name: Prefix of the layers' names.
        out_name: Name of the sum.

    Returns:
        A tensor of shape `(batch, height / strides, width / strides, filters)`.
    """
    shortcut = projection(x, filters, strides, weight_decay=weight_decay, name=name)
    x = conv(x, filters, 3, strides, weight_decay=weight_decay, name=f"{name}_conv1")
    x = batch_norm(x, name=f"{name}_bn1")
    x = relu(x, name=f"{name}_relu1")
    x = conv(x, filters, 3, weight_decay=weight_decay, name=f"{name}_conv2")
    x = batch_norm(x, name=f"{name}_bn2")
    x = layers.Add(name=out_name)([shortcut, x])
    return relu(x, name=f"{name}_relu2")


def projection(x, filters, strides, *, weight_decay, name):
    """The shortcut: `x` itself, or where shapes change its 1x1 convolution and normalization."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    x = conv(x, filters, 1, strides, weight_decay=weight_decay, name=f"{name}_shortcut_conv")
    return batch_norm(x, name=f"{name}_shortcut_bn")


def group(x, block, filters, num_blocks, strides, *, weight_decay, name):
    """A group of residual blocks, the first of which may change shapes.

    Args:
        x: Tensor of shape `(batch, height, width, channels)`.
        block: A block function, such as `basic_block`.
        filters: The blocks' number of filters.
        num_blocks: Number of blocks.
        strides: Strides of the first block.
        weight_decay: L2 on the kernels.
        name: Prefix of the layers' names. The last block's sum is called `{name}_out`.

    Returns:
        The output of the last block.
    """
    for number in range(1, num_blocks + 1):
        block_name = f"{name}_block{number}"
        x = block(
            x,
            filters,
            strides if number == 1 else 1,
            weight_decay=weight_decay,
            name=block_name,
            out_name=f"{name if number == num_blocks else block_name}_out",
        )
    return x
