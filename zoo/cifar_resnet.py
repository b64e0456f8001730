"""Residual networks for CIFAR, `resnet-D-W`.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv:1512.03385), section
4.2, with the 1x1 convolution shortcuts and the widths of the distillation literature.
"""

from keras_logitkd.zoo import blocks


def build(depth, width, input_shape, num_classes, weight_decay=0.0, name=None, input_tensor=None):
    """A residual network for images of about 32x32 pixels that returns logits.

    Three groups of basic blocks with 16, 32 and 64 times `width` filters. The stem has
    `min(16 * width, 32)`: 16 in the networks of width 1, and 32 in `resnet-8-4` and `resnet-32-4`,
    which are RepDistiller's resnet8x4 and resnet32x4. The groups' sums before their ReLU are
    `group1_out` to `group3_out`. Arguments as for a family's `build`, see `registry.Family`.

    Args:
        depth: Number of convolutions and dense layers, 6n + 2 for n blocks a group.
        width: Factor of the number of filters.
    """
    inputs = blocks.image_input(input_shape, input_tensor)
    stem = min(16 * width, 32)
    x = blocks.conv_bn(inputs, stem, 3, weight_decay=weight_decay, name="stem")
    counts = 3 * [(depth - 2) // 6]
    x = blocks.groups(x, blocks.basic_block, 16 * width, counts, weight_decay=weight_decay)
    logits = blocks.classifier(x, num_classes, weight_decay=weight_decay)
    return blocks.model(inputs, logits, name or f"resnet-{depth}-{width}")
