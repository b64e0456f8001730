"""The arithmetic of a model."""

import math

import keras


def count_parameters(model):
    """Returns the number of trainable parameters of a model."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def count_flops(model):
    """Counts the floating-point operations of one example's forward pass.

    A multiply-add counts as two. Counted are `Dense` layers and 2D convolutions, plain,
    depthwise and separable, also in nested models;
    not counted is what is small beside them: biases, normalization, activations, sums, pooling.
    A layer that is called more than once counts once.

    Args:
        model: A built Sequential or functional `keras.Model` with a static input shape.

    Returns:
        An integer.

    Raises:
        ValueError: If `model` is not built or a shape in it is not known.
    """
    if not getattr(model, "inputs", None):
        raise ValueError(
            "`model` must be a built Sequential or functional keras.Model. "
            f"Received: model={model!r}"
        )
    return sum(_layer_flops(layer) for layer in leaf_layers(model))


def leaf_layers(model):
    """The layers of a model, with those of nested models in their place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer)
        else:
            yield layer


def _layer_flops(layer):
    counted = (
        *(keras.layers.Conv2D, keras.layers.Dense),
        *(keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D),
    )
    if not isinstance(layer, counted):
        return 0
    places = layer.output.shape[1:-1]
    if None in places:
        raise ValueError(
            "`model` must have a static input shape to count its operations. "
            f"Received: output shape {layer.output.shape[1:]} of layer {layer.name!r}"
        )
    if isinstance(layer, keras.layers.SeparableConv2D):  # both parts at every place
        size = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    else:
        size = math.prod(layer.kernel.shape)  # each weight once at every place
    return 2 * size * math.prod(places)
