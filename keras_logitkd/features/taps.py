"""Taps: tensors inside a network, by name, computed in its one forward pass."""

import keras

from keras_logitkd.features.graph import Graph

__all__ = ["Graph", "tapped"]


def tapped(model, taps, logits=True):
    """Returns a model on the graph of `model` that also returns the tensors named.

    It shares every layer and variable with `model`; what the outputs do not need is not run.

    A tap is the name of a layer, which stands for its output, or one of

    - `"g1"`, `"g2"`, ...: the sum that ends a group of a zoo model, before normalization and ReLU
    - `"g1_pre"`, ...: what enters the ReLU after it: the sum after the normalization that follows,
      or the sum itself where a network has its ReLU right after it
    - `"g1_act"`, ...: what leaves that ReLU
    - `"pool"`: what enters the dense layer that makes the logits
    - `"logits"`: the output

    What is inside a nested model is found by the same names where no other layer has them, or by
    its path, `"backbone/block_5_add"` or `"backbone.block_5_add"`.

    Args:
        model: A built Sequential or functional `keras.Model` with one output.
        taps: Names of taps.
        logits: Whether the logits are an output, too. Defaults to True.

    Returns:
        A functional `keras.Model` that returns a dictionary: the tensors by the name of their tap,
        and the logits as `"logits"`.

    Raises:
        ValueError: If the graph of layers is not known, has no such tap, or several.
    """
    graph = Graph(model)
    paths = {tap: graph.path(tap) for tap in taps}
    own = {tap: graph.tensor(tap) for tap, path in paths.items() if len(path) == 1}
    if logits:
        own["logits"] = model.outputs[0]
    within = {}
    for tap, (first, *rest) in paths.items():
        if rest:
            within.setdefault(first, {})[tap] = "/".join(rest)
    outputs = _opened(graph, own, within) if within else own
    return keras.Model(_functional(model).input, outputs, name=model.name)


def _opened(graph, own, within):
    """The tensors of a graph and of its nested models, as what is computed in one pass.

    A nested model that has taps is called anew, with the taps as outputs, and so is what comes
    after it; a nested model without is called as it was.

    Args:
        graph: The `Graph` of a model.
        own: Symbolic tensors of the graph by the name of their tap.
        within: By the name of a nested model, what to tap there by the name of the tap.

    Returns:
        A dictionary of symbolic tensors by the name of their tap.
    """
    opened = {id(graph.node(name)): taps for name, taps in within.items()}
    entries = (each for name in within for each in graph.node(name).input_tensors)
    above = _nodes_above([*own.values(), *entries])
    by_depth = sorted(_functional(graph.model)._nodes_by_depth.items(), reverse=True)
    new, found = {}, {}  # tensors that are computed anew by the ids of the former ones, and taps
    for node in (node for _, nodes in by_depth for node in nodes):
        taps = opened.get(id(node), {})
        is_above = id(node) in above
        is_changed = any(id(tensor) in new for tensor in node.input_tensors)
        if not taps and not (is_above and is_changed):
            continue
        tensors = {id(tensor): new.get(id(tensor), tensor) for tensor in node.input_tensors}
        args, kwargs = node.arguments.fill_in(tensors)
        called = _with_taps(node.operation, taps, is_above)
        outputs = called(*args, **kwargs)
        if taps:
            found |= {tap: outputs["taps"][inner] for tap, inner in taps.items()}
            outputs = outputs.get("outputs", [])
        new |= {id(a): b for a, b in zip(node.outputs, keras.tree.flatten(outputs), strict=False)}
    return {tap: new.get(id(tensor), tensor) for tap, tensor in own.items()} | found


def _with_taps(model, taps, whole):
    """A nested model that returns its taps, too, and its own outputs where they are wanted."""
    if not taps:
        return model
    tensors = tapped(model, [*taps.values()], logits=False)
    outputs = {"taps": dict(tensors.output)}
    if whole:
        outputs["outputs"] = _functional(model).output
    return keras.Model(tensors.input, outputs, name=f"{model.name}_tapped")


def _functional(model):
    """The functional model that a Sequential one is made of, or the model itself."""
    return getattr(model, "_functional", None) or model


def _nodes_above(tensors):
    """The ids of all nodes that tensors are computed by."""
    pending, seen = list(tensors), set()
    while pending:
        history = pending.pop()._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if id(node) not in seen:
            seen.add(id(node))
            pending.extend(node.input_tensors)
    return seen
