"""Models that end in logits: recognising a final activation, and taking it off.

Logits are what a softmax or a sigmoid makes probabilities of. The activation may be in a nested
model, or behind layers that change no value at inference; these are looked through.
"""

import re

import keras

from keras_logitkd.networks.adapted import Adapted
from keras_logitkd.networks.outputs import inputs_of, is_graph

# What makes no logits. Softmax and sigmoid, or their logarithms, of logits can be taken off; the
# others have zeros or corners, from which no logits with these probabilities can be had.
STRIPPABLE = ("softmax", "log_softmax", "sigmoid", "log_sigmoid")
NO_LOGITS = (*STRIPPABLE, "sparsemax", "sparse_sigmoid", "hard_sigmoid")

# Layers and operations of Keras that change no value at inference; Activation only if linear.
_CHANGE_NOTHING = {
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"),
    *("GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity", "StopGradient"),
    *("Reshape", "Flatten", "Permute", "Squeeze", "ExpandDims", "Cast"),
}
_THROUGH = "through"  # a walk came to the inputs of a nested model
_UNKNOWN = "unknown"


def ending_of(model):
    """Returns the name of the activation that a model ends in if its outputs are no logits.

    Args:
        model: Any model. Dropout, Identity, Reshape and other layers that change no value at
            inference, TimeDistributed, nested models and what `adapt` puts after logits are looked
            through.

    Returns:
        One of `NO_LOGITS`, or None: for other endings, and where the graph is not known.
    """
    ending = _ending(model.outputs[0]) if is_graph(model) else None
    return ending if ending in NO_LOGITS else None


def is_known(model):
    """Whether it is known what makes the outputs: no subclassed model, Lambda or custom layer."""
    return is_graph(model) and _ending(model.outputs[0]) is not _UNKNOWN


def ends_in_softmax(model):
    """Whether a model ends in a softmax, see `ending_of`."""
    return ending_of(model) == "softmax"


def strip_softmax(model):
    """Returns the same network without its final softmax: `strip_activation` for this one only.

    Other endings stay as they are, with the model itself. Arguments and errors are the same.
    """
    _check_graph(model)
    return strip_activation(model) if ends_in_softmax(model) else model


def strip_activation(model):
    """Returns the same network without its final activation, ending in logits.

    A softmax, log_softmax, sigmoid or log_sigmoid z -> a(z) is taken off exactly: the outputs are
    the z that went into it. It is found behind Dropout, Identity, Reshape and other layers that
    change no value at inference, which then act on the logits, in TimeDistributed and in nested
    models. Layers before the activation are shared with `model`; one that has the activation as an
    argument is replaced by one with the same weights and none. `model` itself does not change.

    Args:
        model: A built Sequential or functional `keras.Model` with one output, a tensor of shape
            `(batch, ..., classes)`.

    Returns:
        A functional `keras.Model`, or `model` where it does not end in an activation of
        `NO_LOGITS`. Of what `adapt` made callable, because it waits for a student's inputs, the
        same with the model inside stripped.

    Raises:
        ValueError: If `model` is not a Sequential or functional model that was built, or it ends
            in an activation that hides its logits, such as sparsemax, or in a recurrent layer's.
    """
    if isinstance(model, Adapted) and is_graph(model.teacher):
        return Adapted(strip_activation(model.teacher), model.before, after=model.after)
    _check_graph(model)
    ending = ending_of(model)
    if ending is None:
        return model
    if ending not in STRIPPABLE:
        raise ValueError(
            f"`model` must end in logits or in one of {', '.join(STRIPPABLE)} to have it stripped: "
            f"{advice(ending)}. Received: model {model.name!r}"
        )
    return keras.Model(inputs_of(model), _stripped(model.outputs[0]), name=model.name)


def advice(ending, model="model", verb="pass"):
    """Returns a clause that says what to do about a model, so named in code, with an ending."""
    if ending in STRIPPABLE:
        return f"{verb} keras_logitkd.strip_activation({model})"
    return f"a {ending} has no logits; train a model that ends in a linear layer"


def _check_graph(model):
    if not is_graph(model):
        raise ValueError(
            "`model` must be a built Sequential or functional keras.Model to have its activation "
            f"stripped. Received: {model!r}"
        )


def _ending(tensor):
    """The name of the activation that makes a tensor, None, `_THROUGH` or `_UNKNOWN`."""
    operation, node, index = _made_by(tensor)
    if isinstance(operation, keras.layers.InputLayer):
        return _THROUGH
    if _changes_nothing(operation):
        return _ending(node.input_tensors[0])
    if isinstance(operation, keras.layers.TimeDistributed):
        operation, index = operation.layer, 0
    if not isinstance(operation, keras.Model):
        return _activation_of(operation)
    if not is_graph(operation):
        return _UNKNOWN
    ending = _ending(operation.outputs[index])
    return _ending(node.input_tensors[0]) if ending is _THROUGH else ending


def _made_by(tensor):
    """The operation that makes a symbolic tensor, its node, and which of its outputs this is."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, node, history.tensor_index


def _is_of_keras(operation):
    return type(operation).__module__.partition(".")[0] == "keras"


def _changes_nothing(operation):
    if isinstance(operation, keras.layers.Activation):
        return _name_of(operation.activation) == "linear"
    if getattr(operation, "follows_logits", False):
        return True
    return _is_of_keras(operation) and type(operation).__name__ in _CHANGE_NOTHING


def _activation_of(operation):
    """The name of the activation at the end of a layer or operation, None or `_UNKNOWN`."""
    if hasattr(operation, "activation"):
        return _name_of(operation.activation)
    if (name := _name_of(operation)) in NO_LOGITS:
        return name
    is_named = _is_of_keras(operation) and not isinstance(operation, keras.layers.Lambda)
    return None if is_named else _UNKNOWN


def _name_of(activation):
    """The name in snake case of an activation: a function, a layer or an operation; or None."""
    name = getattr(activation, "__name__", None) or type(activation).__name__
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().removesuffix("_v2")  # tf.nn has v2
    return None if activation is None else name


def _stripped(tensor):
    """The symbolic tensor without the activation of `STRIPPABLE` that makes it."""
    operation, node, index = _made_by(tensor)
    if _changes_nothing(operation):
        return _again(operation)(_stripped(node.input_tensors[0]))
    if isinstance(operation, keras.Model) and _ending(operation.outputs[index]) is _THROUGH:
        return operation(_stripped(node.input_tensors[0]))
    if _is_bare(operation):
        return node.input_tensors[0]
    if isinstance(operation, keras.layers.TimeDistributed):
        return _stripped_steps(operation, node.input_tensors[0])
    if isinstance(operation, keras.Model):
        part = keras.Model(inputs_of(operation), operation.outputs[index], name=operation.name)
        replaced = strip_activation(part)
    else:
        replaced = _linear(operation)
    logits = replaced(*node.arguments.args, **node.arguments.kwargs)
    if replaced.weights and not isinstance(operation, keras.Model):
        replaced.set_weights(operation.get_weights())
    return logits


def _stripped_steps(steps, inputs):
    """The outputs of a TimeDistributed layer without the activation that ends it."""
    layer = steps.layer
    if _is_bare(layer):
        return inputs
    inner = strip_activation(layer) if isinstance(layer, keras.Model) else _linear(layer)
    outputs = keras.layers.TimeDistributed(inner, name=steps.name)(inputs)
    inner.set_weights(layer.get_weights())
    return outputs


def _is_bare(operation):
    """Whether it is an activation and nothing else: a layer or an operation of `keras.ops`."""
    return isinstance(operation, keras.layers.Activation) or (
        not hasattr(operation, "activation") and _name_of(operation) in STRIPPABLE
    )


def _again(operation):
    """A layer anew, with the same name, so that the given one has one output; or an operation."""
    if isinstance(operation, keras.layers.Layer):
        return type(operation).from_config(operation.get_config())
    return operation


def _linear(layer):
    """A layer of the same kind and name without its activation and weights."""
    if isinstance(layer, keras.layers.RNN) or "activation" not in layer.get_config():
        raise ValueError(
            "An activation can be stripped from a layer that ends in it. Received: "
            f"{type(layer).__name__} {layer.name!r}, which feeds its outputs back; train a model "
            "that ends in a linear layer"
        )
    return type(layer).from_config({**layer.get_config(), "activation": None})
