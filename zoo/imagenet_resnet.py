"""Residual networks for ImageNet, `resnet-18/34/50/101/152`.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv:1512.03385), table 1,
in the variant known as v1.5: bottlenecks stride in their 3x3 convolution, as in torchvision.
"""

from keras import layers

from keras_logitkd.zoo import blocks


def build(depth, width, input_shape, num_classes, weight_decay=0.0, name=None, input_tensor=None):
    """A residual network for images of about 224x224 pixels that returns logits.

    Four groups of blocks; their sums before the ReLU are `group1_out` to `group4_out`. Arguments as
    for a family's `build`, see `registry.Family`.

    Args:
        depth: Number of convolutions and dense layers: 18, 34, 50, 101 or 152.
        width: Factor of the number of filters; 1 in the paper.
    """
    block, counts = BLOCKS[depth]
    inputs = blocks.image_input(input_shape, input_tensor)
    x = blocks.conv_bn(inputs, 64 * width, 7, 2, weight_decay=weight_decay, name="stem")
    # After a ReLU, padding with zeros is padding with minus infinity.
    x = blocks.zero_pad(x, 1, name="stem_pool_pad")
    x = layers.MaxPooling2D(3, 2, data_format="channels_last", name="stem_pool")(x)
    x = blocks.groups(x, block, 64 * width, counts, weight_decay=weight_decay)
    logits = blocks.classifier(x, num_classes, weight_decay=weight_decay)
    return blocks.model(inputs, logits, name or f"resnet-{depth}")


def bottleneck_block(x, filters, strides, *, weight_decay, name, out_name):
    """1x1, 3x3 and 1x1 convolutions, batch normalization after each, and ReLU after the sum.

    Arguments as for the `block` of `blocks.groups`; the output has 4 times `filters` channels.
    """
    shortcut = blocks.projection(x, 4 * filters, strides, weight_decay=weight_decay, name=name)
    x = blocks.conv_bn(x, filters, 1, weight_decay=weight_decay, name=name, number=1)
    x = blocks.conv_bn(x, filters, 3, strides, weight_decay=weight_decay, name=name, number=2)
    x = blocks.conv_bn(
        x, 4 * filters, 1, weight_decay=weight_decay, name=name, number=3, relu=False
    )
    x = layers.Add(name=out_name)([shortcut, x])
    return layers.ReLU(name=f"{name}_relu3")(x)


# Depth -> block function, and number of blocks in each of the four groups.
BLOCKS = {
    18: (blocks.basic_block, (2, 2, 2, 2)),
    34: (blocks.basic_block, (3, 4, 6, 3)),
    50: (bottleneck_block, (3, 4, 6, 3)),
    101: (bottleneck_block, (3, 4, 23, 3)),
    152: (bottleneck_block, (3, 8, 36, 3)),
}
