"""The inputs and outputs of a model in their structure, and one of several outputs by its name."""

import collections

import keras


def is_graph(model):
    """Whether it is a Sequential or functional model that was built: what makes it is known."""
    return isinstance(model, keras.Model) and bool(getattr(model, "outputs", None))


def inputs_of(model):
    """The symbolic inputs of a model that `is_graph`, in their structure."""
    return _functional(model).input


def returns_tensor(model):
    """Whether a model that `is_graph` returns a tensor, and no list or dictionary."""
    return isinstance(_functional(model).output, keras.KerasTensor)


def names_of(model):
    """Returns the outputs of a model that `is_graph`, as text: index and names of each."""
    named = [dict.fromkeys(names) for names, _ in _named_outputs(model)]
    counts = collections.Counter(name for names in named for name in names)
    return ", ".join(
        " = ".join(repr(name) for name in names if counts[name] == 1) for names in named
    )


def picked(model, output=None):
    """Returns one output of a model that `is_graph`, a symbolic tensor.

    Args:
        model: A Sequential or functional model.
        output: Its index, its key, or the name of the layer that makes it. None where there is
            one tensor.

    Raises:
        ValueError: If there is no such output, or several.
    """
    if output is None and returns_tensor(model):
        return model.outputs[0]
    is_name = isinstance(output, str | int) and not isinstance(output, bool)
    found = [tensor for names, tensor in _named_outputs(model) if is_name and output in names]
    if len(found) != 1:
        raise ValueError(
            f"`output` must name one of the outputs of {model.name!r}: {names_of(model)}. "
            f"Received: output={output!r}"
        )
    return found[0]


def entry(found, output, name):
    """Returns one entry of what a callable returned, a dictionary or list, or raises ValueError.

    Args:
        found: What was returned.
        output: Its key or index.
        name: of the callable, for messages.
    """
    if isinstance(found, dict):
        keys = [*found]
    else:
        keys = [*range(len(found))] if isinstance(found, list | tuple) else []
    if isinstance(output, bool) or output not in keys:
        what = f"its outputs: {', '.join(map(repr, keys))}" if keys else "several; it has one"
        raise ValueError(f"`output` must name one of {what}. Received: output={output!r} of {name}")
    return found[output]


def _named_outputs(model):
    """A list of (names, symbolic tensor): index, path in the structure, name of the layer."""
    leaves, named = keras.tree.flatten_with_path(_functional(model).output), []
    for index, (path, tensor) in enumerate(leaves):
        key = "/".join(map(str, path))
        keys = [key] if any(isinstance(each, str) for each in path) else []
        named.append(([index, *keys, tensor._keras_history.operation.name], tensor))
    return named


def _functional(model):
    """The functional model that a Sequential one is made of, or the model itself."""
    return getattr(model, "_functional", None) or model
