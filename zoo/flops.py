"""The arithmetic of a model."""

import math

import keras


def count_parameters(model):
    """Returns the number of trainable parameters of a model."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def count_flops(model):
    """Counts the floating-point operations of one example's forward pass.

    A multiply-add counts as two. Counted are `Conv2D` and `Dense` layers, also in nested models;
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
    if not isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
        return 0
    shape = layer.output.shape[1:]
    if None in shape:
        raise ValueError(
            "`model` must have a static input shape to count its operations. "
            f"Received: output shape {shape} of layer {layer.name!r}"
        )
    filters = layer.kernel.shape[-1]
    return 2 * math.prod(layer.kernel.shape) * math.prod(shape) // filters
