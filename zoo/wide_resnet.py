"""Wide residual networks, `wrn-D-W`.

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016 (arXiv:1605.07146), for images of
about 32x32 pixels.
"""

import keras
from keras import layers

from keras_logitkd.zoo import blocks


def build(depth, width, input_shape, num_classes, weight_decay=0.0, name=None, input_tensor=None):
    """A wide residual network that returns logits.

    A stem of 16 filters and three groups of pre-activation blocks with 16, 32 and 64 times
    `width` filters; the groups' raw sums are `group1_out` to `group3_out`, and the normalized
    features before the last ReLU `final_bn`.

    Args:
        depth: Number of convolutions, 6n + 4 for n blocks a group.
        width: Factor of the number of filters.
        input_shape: `(height, width, channels)`; height and width may be `None`.
        num_classes: Number of classes.
        weight_decay: L2 on the kernels, see `zoo.build`. Defaults to 0.0.
        name: Name of the model. Defaults to `wrn-{depth}-{width}`.

    Returns:
        A `keras.Model` with float32 logits of shape `(batch, num_classes)`.
    """
    num_blocks = (depth - 4) // 6
    inputs = blocks.image_input(input_shape) if input_tensor is None else input_tensor
    x = blocks.conv(inputs, 16, 3, weight_decay=weight_decay, name="stem_conv")
    for number, (filters, strides) in enumerate([(16, 1), (32, 2), (64, 2)], start=1):
        x = blocks.group(
            x,
            preactivation_block,
            filters * width,
            num_blocks,
            strides,
            weight_decay=weight_decay,
            name=f"group{number}",
        )
    x = blocks.batch_norm(x, name="final_bn")
    x = blocks.relu(x, name="final_relu")
    logits = blocks.classifier(x, num_classes, weight_decay=weight_decay, bias_initializer="zeros")
    return keras.Model(
        keras.utils.get_source_inputs(inputs)[0], logits, name=name or f"wrn-{depth}-{width}"
    )


def preactivation_block(x, filters, strides, *, weight_decay, name, out_name):
    """Batch normalization, ReLU and 3x3 convolution, twice; the shortcut has no normalization.

    Where shapes change, the shortcut is a 1x1 convolution of the activated input, as in the
    authors' code; elsewhere it is the raw input.

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
    shortcut = x
    x = blocks.batch_norm(x, name=f"{name}_bn1")
    x = blocks.relu(x, name=f"{name}_relu1")
    if strides > 1 or shortcut.shape[-1] != filters:
        shortcut = blocks.conv(
            x, filters, 1, strides, weight_decay=weight_decay, name=f"{name}_shortcut_conv"
        )
    x = blocks.conv(x, filters, 3, strides, weight_decay=weight_decay, name=f"{name}_conv1")
    x = blocks.batch_norm(x, name=f"{name}_bn2")
    x = blocks.relu(x, name=f"{name}_relu2")
    x = blocks.conv(x, filters, 3, weight_decay=weight_decay, name=f"{name}_conv2")
    return layers.Add(name=out_name)([shortcut, x])
