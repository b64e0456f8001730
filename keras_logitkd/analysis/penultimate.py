"""The tensor that enters the last dense layer of a model, beside its logits."""

import keras
import numpy as np

_NAME_IT = 'Name the layer that the pre-logits enter: `layer="..."`, on the command line `--layer`'


def with_pre_logits(model, layer=None):
    """Returns a model that gives pre-logits and logits in one pass.

    Args:
        model: a built functional or Sequential `keras.Model` with one output of shape
            (batch, classes). Behind the last dense layer there may be layers that have no weights
            and keep the shape, such as a cast or an activation; models may be nested. It shares
            its layers with the result and does not change.
        layer: name of the layer that the pre-logits enter, in the model itself, not in a nested
            one. Defaults to None: the last `Dense` layer.

    Returns:
        A functional `keras.Model` with two outputs: the pre-logits of shape (batch, features), of
        a larger rank flattened, and the logits of `model`.

    Raises:
        ValueError: If the graph of the model's layers is not known, or no layer is named and the
            last one with weights is not `Dense`, or there is no layer of the name.
    """
    # A subclass may have a `call` of its own.
    is_graph = type(model).__name__ in ("Functional", "Sequential") and model.built
    if not is_graph or len(model.outputs) != 1:
        raise ValueError(
            "`model` must be a built functional or Sequential keras.Model with one output, so that "
            "its last dense layer can be found; a subclassed model must be built as one of these. "
            f"Received: {type(model).__name__} {model.name!r}"
        )
    if layer is None:
        pre_logits, logits = _before_last_dense(model)
    else:
        pre_logits, logits = _input_of_named(model, layer), model.outputs[0]
    if len(pre_logits.shape) > 2:
        pre_logits = keras.layers.Flatten(name="pre_logits")(pre_logits)
    return keras.Model(model.inputs, [pre_logits, logits], name=model.name)


def runner(model, layer=None):
    """Returns a function from a batch of inputs to (pre-logits, logits), float32 arrays.

    Args:
        model, layer: as for `with_pre_logits`, which says what is raised.
    """
    both = with_pre_logits(model, layer)

    def run(inputs):
        return [np.asarray(output, np.float32) for output in both.predict_on_batch(inputs)]

    return run


def _before_last_dense(model):
    """The tensors of a model's pre-logits and logits."""
    output, behind = model.outputs[0], []
    while True:
        operation, node_index, _ = output._keras_history
        node = operation._inbound_nodes[node_index]
        if isinstance(operation, keras.layers.Dense):
            pre_logits, logits = node.input_tensors[0], output
            break
        if type(operation).__name__ in ("Functional", "Sequential"):
            inputs = node.input_tensors
            inner = with_pre_logits(operation)
            pre_logits, logits = inner(inputs[0] if len(inputs) == 1 else inputs)
            break
        if not _only_passes_on(operation, node, output):
            raise ValueError(
                f"The last dense layer of {model.name!r} was not found: it ends in "
                f"{operation.name!r} ({type(operation).__name__}). {_NAME_IT}"
            )
        behind.append(operation)
        output = node.input_tensors[0]
    for operation in reversed(behind):
        logits = operation(logits)
    return pre_logits, logits


def _only_passes_on(operation, node, output):
    """Whether what comes before an operation is still the head of the network."""
    return (
        len(node.input_tensors) == 1
        and node.input_tensors[0].shape == output.shape
        and not getattr(operation, "weights", ())
    )


def _input_of_named(model, name):
    """The tensor that enters a layer, nearest to the output where it is used several times."""
    found, waiting = set(), list(model.outputs)
    while waiting:
        tensor = waiting.pop(0)
        operation, node_index, _ = tensor._keras_history
        node = operation._inbound_nodes[node_index]
        if operation.name == name and len(node.input_tensors) == 1:
            return node.input_tensors[0]
        if node not in found:
            found.add(node)
            waiting += node.input_tensors
    shown = ", ".join(layer.name for layer in model.layers[-5:])
    raise ValueError(
        f"`layer` must be a layer of {model.name!r} with one input; its last ones are {shown}. "
        f"Received: layer={name!r}"
    )
