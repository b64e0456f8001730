"""Residual networks for ImageNet, `resnet-18/34/50/101/152`.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv:1512.03385), table 1,
in the variant known as v1.5: bottlenecks stride in their 3x3 convolution, as in torchvision.
"""

import keras
from keras import layers

from keras_logitkd.zoo import blocks


def build(depth, width, input_shape, num_classes, weight_decay=0.0, name=None, input_tensor=None):
    """A residual network for images of about 224x224 pixels that returns logits.

    Four groups of blocks; their sums before the ReLU are `group1_out` to `group4_out`.

    Args:
        depth: Number of convolutions and dense layers: 18, 34, 50, 101 or 152.
        width: Factor of the number of filters; 1 in the paper.
        input_shape: `(height, width, channels)`; height and width may be `None`.
        num_classes: Number of classes.
        weight_decay: L2 on the kernels, see `zoo.build`. Defaults to 0.0.
        name: Name of the model. Defaults to `resnet-{depth}`.

    Returns:
        A `keras.Model` with float32 logits of shape `(batch, num_classes)`.
    """
    block, blocks_per_group = BLOCKS[depth]
    inputs = blocks.image_input(input_shape) if input_tensor is None else input_tensor
    x = blocks.conv(inputs, 64 * width, 7, 2, weight_decay=weight_decay, name="stem_conv")
    x = blocks.batch_norm(x, name="stem_bn")
    x = blocks.relu(x, name="stem_relu")
    # After a ReLU, padding with zeros is padding with minus infinity.
    x = blocks.zero_pad(x, 1, name="stem_pool_pad")
    x = layers.MaxPooling2D(3, 2, data_format="channels_last", name="stem_pool")(x)
    for number, num_blocks in enumerate(blocks_per_group, start=1):
        x = blocks.group(
            x,
            block,
            32 * 2**number * width,
            num_blocks,
            strides=1 if number == 1 else 2,
            weight_decay=weight_decay,
            name=f"group{number}",
        )
    logits = blocks.classifier(
        x,
        num_classes,
        weight_decay=weight_decay,
        bias_initializer=blocks.bias_uniform(x.shape[-1]),
    )
    return keras.Model(
        keras.utils.get_source_inputs(inputs)[0], logits, name=name or f"resnet-{depth}"
    )


def bottleneck_block(x, filters, strides, *, weight_decay, name, out_name):
    """1x1, 3x3 and 1x1 convolutions, batch normalization after each, and ReLU after the sum.

    Args:
        x: Tensor of shape `(batch, height, width, channels)`.
        filters: Number of channels in the bottleneck, a quarter of the output's.
        strides: Strides of the 3x3 convolution and of the shortcut.
        weight_decay: L2 on the kernels.
        name: Prefix of the layers' names.
        out_name: Name of the sum.

    Returns:
        A tensor of shape `(batch, height / strides, width / strides, 4 * filters)`.
    """
    shortcut = blocks.projection(x, 4 * filters, strides, weight_decay=weight_decay, name=name)
    x = blocks.conv(x, filters, 1, weight_decay=weight_decay, name=f"{name}_conv1")
    x = blocks.batch_norm(x, name=f"{name}_bn1")
    x = blocks.relu(x, name=f"{name}_relu1")
    x = blocks.conv(x, filters, 3, strides, weight_decay=weight_decay, name=f"{name}_conv2")
    x = blocks.batch_norm(x, name=f"{name}_bn2")
    x = blocks.relu(x, name=f"{name}_relu2")
    x = blocks.conv(x, 4 * filters, 1, weight_decay=weight_decay, name=f"{name}_conv3")
    x = blocks.batch_norm(x, name=f"{name}_bn3")
    x = layers.Add(name=out_name)([shortcut, x])
    return blocks.relu(x, name=f"{name}_relu3")


# Depth -> block function, and number of blocks in each of the four groups.
BLOCKS = {
    18: (blocks.basic_block, (2, 2, 2, 2)),
    34: (blocks.basic_block, (3, 4, 6, 3)),
    50: (bottleneck_block, (3, 4, 6, 3)),
    101: (bottleneck_block, (3, 4, 23, 3)),
    152: (bottleneck_block, (3, 8, 36, 3)),
}
