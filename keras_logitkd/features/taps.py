"""Taps: tensors inside a network, by name, computed in its one forward pass."""

import difflib
import re

import keras

_GROUP = re.compile(r"g([1-9]\d*)(_pre|_act)?")
_SHOWN = 30  # layer names in an error


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

    Args:
        model: A built Sequential or functional `keras.Model` with one output.
        taps: Names of taps.
        logits: Whether the logits are an output, too. Defaults to True.

    Returns:
        A functional `keras.Model` that returns a dictionary: the tensors by the name of their tap,
        and the logits as `"logits"`.

    Raises:
        ValueError: If the graph of layers is not known, or has no such tap.
    """
    graph = Graph(model)
    outputs = {tap: graph.tensor(tap) for tap in taps}
    if logits:
        outputs["logits"] = model.outputs[0]
    inputs = getattr(model, "_functional", None) or model
    return keras.Model(inputs._inputs_struct, outputs, name=model.name)


class Graph:
    """The layers between the inputs and the outputs of a model.

    Args:
        model: A built Sequential or functional `keras.Model`.

    Raises:
        ValueError: If the graph of layers is not known, as in a subclassed model.
    """

    def __init__(self, model):
        if not getattr(model, "outputs", None):
            raise ValueError(
                "Features can be taken from Sequential and functional models only: the layers of a "
                f"subclassed model are not known. Received: {type(model).__name__} {model.name!r}"
            )
        self.model = model
        self._nodes = {}
        self._consumers = {}
        pending = [tensor._keras_history for tensor in model.outputs]
        while pending:
            history = pending.pop()
            name = history.operation.name
            if name in self._nodes:
                continue
            self._nodes[name] = node = history.operation._inbound_nodes[history.node_index]
            for tensor in node.input_tensors:
                self._consumers.setdefault(id(tensor), []).append(node)
                pending.append(tensor._keras_history)

    def tensor(self, tap):
        """Returns the symbolic tensor of a tap. Raises ValueError if there is no such tap."""
        if tap == "logits":
            return self.model.outputs[0]
        if tap in self._nodes and len(self._nodes[tap].outputs) == 1:
            return self._nodes[tap].outputs[0]
        if tap == "pool":
            return self._classifier_input()
        match = _GROUP.fullmatch(tap) if isinstance(tap, str) else None
        if match and f"group{match[1]}_out" in self._nodes:
            return self._around_relu(self._nodes[f"group{match[1]}_out"].outputs[0], match[2])
        raise ValueError(self._unknown(tap))

    def layers_of(self, taps):
        """Returns the layers that taps are computed by, a list without repetition."""
        pending, seen = [self.tensor(tap)._keras_history for tap in taps], {}
        while pending:
            history = pending.pop()
            if history.operation.name not in seen:
                seen[history.operation.name] = history.operation
                node = history.operation._inbound_nodes[history.node_index]
                pending.extend(tensor._keras_history for tensor in node.input_tensors)
        return [each for each in self.model.layers if seen.get(each.name) is each]

    def norm_before(self, tap):
        """Returns the batch normalization that makes a tap, or ends the main branch of its sum.

        Raises:
            ValueError: If there is none, or no such tap.
        """
        node = self._nodes[self.tensor(tap)._keras_history.operation.name]
        if isinstance(node.operation, keras.layers.Add):
            node = self._nodes[node.input_tensors[-1]._keras_history.operation.name]
        if not isinstance(node.operation, keras.layers.BatchNormalization):
            raise ValueError(
                f"The tap {tap!r} must come from a batch normalization, to know which of its "
                f"values are negative. Received: {node.operation.name!r}, a "
                f"{type(node.operation).__name__} of the model {self.model.name!r}"
            )
        return node.operation

    def _around_relu(self, total, place):
        """The sum of a group, or what is before or after the ReLU that follows it."""
        if place is None:
            return total
        before = self._next(total, keras.layers.BatchNormalization)
        before = total if before is None else before
        if place == "_pre":
            return before
        after = self._next(before, keras.layers.ReLU)
        if after is None:
            raise ValueError(f"No ReLU follows the group in the model {self.model.name!r}")
        return after

    def _next(self, tensor, kind):
        """The output of the layer of a kind that reads a tensor, or None."""
        for node in self._consumers.get(id(tensor), ()):
            if isinstance(node.operation, kind):
                return node.outputs[0]
        return None

    def _classifier_input(self):
        last = self._nodes[self.model.outputs[0]._keras_history.operation.name]
        if not isinstance(last.operation, keras.layers.Dense):
            raise ValueError(
                'The tap "pool" is what enters the dense layer that makes the logits. '
                f"Received: model {self.model.name!r}, which ends in {last.operation.name!r}: "
                "name the layer instead"
            )
        return last.input_tensors[0]

    def _unknown(self, tap):
        groups = [name for name in self._nodes if re.fullmatch(r"group\d+_out", name)]
        numbers = sorted(int(name[5:-4]) for name in groups)
        known = [f"g{number}{place}" for number in numbers for place in ("", "_pre", "_act")]
        layers = list(reversed(self._nodes))
        text = str(tap)
        near = difflib.get_close_matches(text, layers, n=_SHOWN, cutoff=0.5)
        shown = near or layers[:_SHOWN]
        more = f" and {len(layers) - len(shown)} more" if len(layers) > len(shown) else ""
        return (
            f"The model {self.model.name!r} has no tap {text!r}. It has "
            f"{', '.join([*known, 'pool', 'logits'])}, and layers by name: "
            f"{', '.join(shown)}{more}"
        )
