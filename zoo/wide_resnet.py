"""Wide residual networks, `wrn-D-W`.

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016 (arXiv:1605.07146), for images of
about 32x32 pixels.
"""

from keras import layers

from keras_logitkd.zoo import blocks


def build(depth, width, input_shape, num_classes, weight_decay=0.0, name=None, input_tensor=None):
    """A wide residual network that returns logits.

    A stem of 16 filters and three groups of pre-activation blocks with 16, 32 and 64 times
    `width` filters; the groups' raw sums are `group1_out` to `group3_out`, and the normalized
    features before the last ReLU `final_bn`. Arguments as for a family's `build`, see
    `registry.Family`.

    Args:
        depth: Number of convolutions, 6n + 4 for n blocks a group.
        width: Factor of the number of filters.
    """
    inputs = blocks.image_input(input_shape, input_tensor)
    x = blocks.conv(inputs, 16, 3, weight_decay=weight_decay, name="stem_conv")
    counts = 3 * [(depth - 4) // 6]
    x = blocks.groups(x, preactivation_block, 16 * width, counts, weight_decay=weight_decay)
    x = blocks.batch_norm(x, name="final_bn")
    x = layers.ReLU(name="final_relu")(x)
    logits = blocks.classifier(x, num_classes, weight_decay=weight_decay, bias_initializer="zeros")
    return blocks.model(inputs, logits, name or f"wrn-{depth}-{width}")


def preactivation_block(x, filters, strides, *, weight_decay, name, out_name):
    """Batch normalization, ReLU and 3x3 convolution, twice; the shortcut has no normalization.

    Where shapes change, the shortcut is a 1x1 convolution of the activated input, as in the
    authors' code; elsewhere it is the raw input. Arguments as for the `block` of `blocks.groups`.
    """
    shortcut = x
    x = blocks.batch_norm(x, name=f"{name}_bn1")
    x = layers.ReLU(name=f"{name}_relu1")(x)
    if strides > 1 or shortcut.shape[-1] != filters:
        shortcut = blocks.conv(
            x, filters, 1, strides, weight_decay=weight_decay, name=f"{name}_shortcut_conv"
        )
    x = blocks.conv(x, filters, 3, strides, weight_decay=weight_decay, name=f"{name}_conv1")
    x = blocks.batch_norm(x, name=f"{name}_bn2")
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = blocks.conv(x, filters, 3, weight_decay=weight_decay, name=f"{name}_conv2")
    return layers.Add(name=out_name)([shortcut, x])
