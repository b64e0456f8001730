"""Residual networks for CIFAR, `resnet-D-W`.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv:1512.03385), section
4.2, with the 1x1 convolution shortcuts and the widths of the distillation literature.
"""

import keras

from keras_logitkd.zoo import blocks


def build(depth, width, input_shape, num_classes, weight_decay=0.0, name=None, input_tensor=None):
    """A residual network for images of about 32x32 pixels that returns logits.

    Three groups of basic blocks with 16, 32 and 64 times `width` filters. The stem has
    `min(16 * width, 32)`: 16 in the networks of width 1, and 32 in `resnet-8-4` and `resnet-32-4`,
    which are RepDistiller's resnet8x4 and resnet32x4. The groups' sums before their ReLU are
    `group1_out` to `group3_out`.

    Args:
        depth: Number of convolutions and dense layers, 6n + 2 for n blocks a group.
        width: Factor of the number of filters.
        input_shape: `(height, width, channels)`; height and width may be `None`.
        num_classes: Number of classes.
        weight_decay: L2 on the kernels, see `zoo.build`. Defaults to 0.0.
        name: Name of the model. Defaults to `resnet-{depth}-{width}`.

    Returns:
        A `keras.Model` with float32 logits of shape `(batch, num_classes)`.
    """
    num_blocks = (depth - 2) // 6
    inputs = blocks.image_input(input_shape) if input_tensor is None else input_tensor
    x = blocks.conv(inputs, min(16 * width, 32), 3, weight_decay=weight_decay, name="stem_conv")
    x = blocks.batch_norm(x, name="stem_bn")
    x = blocks.relu(x, name="stem_relu")
    for number, (filters, strides) in enumerate([(16, 1), (32, 2), (64, 2)], start=1):
        x = blocks.group(
            x,
            blocks.basic_block,
            filters * width,
            num_blocks,
            strides,
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
        keras.utils.get_source_inputs(inputs)[0], logits, name=name or f"resnet-{depth}-{width}"
    )
