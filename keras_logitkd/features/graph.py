"""The graph of a network: which tensor the name of a tap means, and what it is computed by."""

import difflib
import re

import keras

_GROUP = re.compile(r"g([1-9]\d*)(_pre|_act)?")
_SHOWN = 30  # layer names in an error


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
        self._inner = {}  # the graphs of nested models, by name
        pending = [tensor._keras_history for tensor in model.outputs]
        while pending:
            history = pending.pop()
            name = history.operation.name
            if name in self._nodes:
                continue
            self._nodes[name] = node = history.operation._inbound_nodes[history.node_index]
            if getattr(node.operation, "outputs", None):  # of a model
                self._inner[name] = Graph(node.operation)
            for tensor in node.input_tensors:
                self._consumers.setdefault(id(tensor), []).append(node)
                pending.append(tensor._keras_history)

    def path(self, tap):
        """Returns where a tap is: the names of the nested models it is in, then its name there.

        Raises:
            ValueError: If there is no such tap, or it is in several nested models.
        """
        paths = self._paths(tap) if isinstance(tap, str) else []
        if len(paths) > 1:
            raise ValueError(
                f"A tap in a nested model must be named by its path where others have its name: "
                f"one of {', '.join(map('/'.join, paths))}; as text, {_as_text(paths[0])}. "
                f"Received: {tap!r} of the model {self.model.name!r}"
            )
        if not paths:
            raise ValueError(self._unknown(tap))
        return paths[0]

    def node(self, name):
        """Returns the node of a layer, the call of it that the outputs come from."""
        return self._nodes[name]

    def tensor(self, tap):
        """Returns the symbolic tensor of a tap. Raises ValueError as `path` does."""
        *models, name = self.path(tap)
        if models:
            return self._inner[models[0]].tensor("/".join([*models[1:], name]))
        if name == "logits":
            return self.model.outputs[0]
        if self._is_layer(name):
            return self._nodes[name].outputs[0]
        if name == "pool":
            return self._classifier_input()
        number, place = _GROUP.fullmatch(name).groups()
        return self._around_relu(self._nodes[f"group{number}_out"].outputs[0], place)

    def layers_of(self, taps):
        """Returns the layers that taps are computed by, a list without repetition.

        Where a tap is inside a nested model, they are that model's layers up to it.
        """
        pending, seen, within = [], {}, {}
        for tap in taps:
            first, *rest = self.path(tap)
            if rest:
                within.setdefault(first, []).append("/".join(rest))
                pending.extend(each._keras_history for each in self._nodes[first].input_tensors)
            else:
                pending.append(self.tensor(tap)._keras_history)
        while pending:
            history = pending.pop()
            if history.operation.name not in seen:
                seen[history.operation.name] = history.operation
                node = history.operation._inbound_nodes[history.node_index]
                pending.extend(tensor._keras_history for tensor in node.input_tensors)
        own = [each for each in self.model.layers if seen.get(each.name) is each]
        parts = [self._inner[name].layers_of(rest) for name, rest in within.items()]
        return own + [layer for part in parts for layer in part if layer not in own]

    def norm_before(self, tap):
        """Returns the batch normalization that makes a tap, or ends the main branch of its sum.

        Raises:
            ValueError: If there is none, or no such tap.
        """
        *models, name = self.path(tap)
        if models:
            return self._inner[models[0]].norm_before("/".join([*models[1:], name]))
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

    def _paths(self, tap):
        """The paths of a tap: its own, the one that it is, or all in nested models."""
        match = _GROUP.fullmatch(tap)
        is_group = match and f"group{match[1]}_out" in self._nodes
        if tap in ("logits", "pool") or self._is_layer(tap) or is_group:
            return [(tap,)]
        for name, graph in self._inner.items():
            if tap.startswith((f"{name}/", f"{name}.")):
                return [(name, *rest) for rest in graph._paths(tap[len(name) + 1 :])]
        return [(name, *rest) for name, graph in self._inner.items() for rest in graph._paths(tap)]

    def _is_layer(self, name):
        return name in self._nodes and len(self._nodes[name].outputs) == 1

    def _names(self):
        """Paths of all layers, from the inputs on, those of a nested model after it."""
        for name in reversed(self._nodes):
            yield name
            if name in self._inner:
                yield from (f"{name}/{inner}" for inner in self._inner[name]._names())

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
        while getattr(last.operation, "follows_logits", False):  # by `keras_logitkd.adapt`
            last = self._nodes[last.input_tensors[0]._keras_history.operation.name]
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
        layers = list(self._names())
        text = str(tap)
        last = [name.rpartition("/")[2] for name in layers]
        text_last = re.split("[/.]", text)[-1]
        close = difflib.get_close_matches(text_last, dict.fromkeys(last), n=_SHOWN, cutoff=0.5)
        near = [name for end in close for name, own in zip(layers, last, strict=True) if own == end]
        near = near[:_SHOWN]
        shown = near or layers[:_SHOWN]
        more = f" and {len(layers) - len(shown)} more" if len(layers) > len(shown) else ""
        return (
            f"The model {self.model.name!r} has no tap {text!r}. It has "
            f"{', '.join([*known, 'pool', 'logits'])}, and layers by name: "
            f"{', '.join(shown)}{more}; as text, {_as_text(near[:1] or known[-3:-2] or ['pool'])}"
        )


def _as_text(path):
    """How a term of an objective names a tap, with dots: slashes are between taps."""
    return f"at:taps={'.'.join(path).replace('/', '.')}"
