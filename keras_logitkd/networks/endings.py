"""Models that end in logits: recognising a final softmax and taking it off."""

import keras


def ends_in_softmax(model):
    """Whether the last layer of a Sequential or functional model, nested or not, is a softmax.

    Subclassed models cannot be inspected; for them the answer is False.
    """
    last = _last_layer(model)
    if isinstance(last, keras.Model):
        return ends_in_softmax(last)
    if _is_bare_softmax(last):
        return True
    return getattr(last, "activation", None) is keras.activations.softmax


def strip_softmax(model):
    """Returns the same network without its final softmax, ending in logits.

    The layers before the last are shared with `model`; a last layer with a softmax activation is
    replaced by one with the same weights and no activation. `model` itself does not change.

    Args:
        model: A built Sequential or functional `keras.Model` with one output of shape
            `(batch, classes)`.

    Returns:
        A functional `keras.Model`, or `model` where it does not end in a softmax.

    Raises:
        ValueError: If `model` is not a Sequential or functional model that was built.
    """
    last = _last_layer(model)
    if last is None:
        raise ValueError(
            "`model` must be a built Sequential or functional keras.Model to have its softmax "
            f"stripped. Received: {model!r}"
        )
    if not ends_in_softmax(model):
        return model
    if isinstance(last, keras.Model):
        logits = strip_softmax(last)(_input_of(last, model))
    elif _is_bare_softmax(last) or isinstance(last, keras.layers.Activation):
        logits = _input_of(last, model)
    else:
        linear = last.__class__.from_config({**last.get_config(), "activation": None})
        logits = linear(_input_of(last, model))
        linear.set_weights(last.get_weights())
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return keras.Model(inputs, logits, name=model.name)


def _is_bare_softmax(operation):
    """Whether it is a Softmax layer or `keras.ops.softmax`, whose class Keras does not export."""
    return type(operation).__name__ == "Softmax"


def _last_layer(model):
    """The layer that makes the output, or None where the graph of layers is not known."""
    if not isinstance(model, keras.Model) or not getattr(model, "outputs", None):
        return None
    return model.outputs[0]._keras_history.operation


def _input_of(layer, model):
    """The tensor that enters `layer` where it makes the output of `model`."""
    history = model.outputs[0]._keras_history
    return layer._inbound_nodes[history.node_index].input_tensors[0]
