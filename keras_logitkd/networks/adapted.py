"""A teacher with what comes before and after it, as a callable and as a model. See `adapters`."""

import keras
import numpy as np
from keras import ops

from keras_logitkd.networks import callables
from keras_logitkd.networks.inference import for_inference
from keras_logitkd.networks.logit_layers import PickClasses, ResizeLogits
from keras_logitkd.networks.outputs import entry, inputs_of, is_graph, returns_tensor
from keras_logitkd.networks.shapes import compatible


class Adapted:
    """A teacher that is called on batches, with what is before and after it. See `adapters.adapt`.

    Args:
        teacher: What is called: a model, or a callable.
        before: Functions or layers of the batch, the first one first.
        output: Key or index of one of several outputs, or None.
        after: Layers of the logits.
    """

    def __init__(self, teacher, before=(), output=None, after=()):
        self.teacher, self.before, self.output, self.after = teacher, before, output, after
        self.in_graph = callables.runs_in_graph(teacher)
        self.__name__ = f"adapt({callables.name_of(teacher)})"

    def __call__(self, batch):
        return self.adapt_logits(self.unadapted(batch))

    def unadapted(self, batch):
        """Returns what the teacher says, the output of which the logits are made."""
        for function in self.before:
            batch = self._as_here(callables.call(function, batch))
        if is_graph(self.teacher):
            self.check_inputs(batch)
        found = callables.call(self.teacher, batch)
        return found if self.output is None else entry(found, self.output, self.__name__)

    def adapt_logits(self, logits):
        """Returns the logits for the student, of what `unadapted` returned."""
        for layer in self.after:
            layer.check(logits.shape)
            if isinstance(layer, ResizeLogits) and not self.in_graph:
                _check_finite(logits)
            before, logits = logits, self._as_here(layer(logits))
            if isinstance(layer, PickClasses) and not self.in_graph:
                _check_left(before, logits, getattr(self.teacher, "kind", None))
        return logits

    def check_inputs(self, inputs):
        """Raises ValueError where inputs, or symbols of them, are not those of a model."""
        given, wanted = (
            [tuple(each.shape[1:]) for each in keras.tree.flatten(each)]
            for each in (inputs, self.teacher.inputs)
        )
        fits = len(given) == len(wanted) and all(map(compatible, given, wanted))
        if not fits:
            raise ValueError(
                f"`teacher_input` must give what the teacher {self.teacher.name!r} takes, "
                f"{_shown(wanted)}. Received: {_shown(given)} from {_names(self.before)}"
            )

    def _as_here(self, values):
        """Tensors in a graph, arrays for a function of arrays."""
        if self.in_graph:
            return values
        return keras.tree.map_structure(ops.convert_to_numpy, values)


def bound(teacher, student):
    """Returns a teacher as a model on a student's inputs, where the graph of both is known.

    Raises:
        ValueError: If its `teacher_input` does not lead from the student's inputs to its own.
    """
    if not isinstance(teacher, Adapted) or not is_graph(teacher.teacher) or not is_graph(student):
        return teacher
    inputs = keras.tree.map_structure(
        lambda each: keras.Input(batch_shape=each.shape, dtype=each.dtype, name=each.name),
        inputs_of(student),
    )
    tensors = inputs
    for function in teacher.before:
        tensors = _symbolic(function, tensors)
    teacher.check_inputs(tensors)
    logits = teacher.adapt_logits(for_inference(teacher.teacher)(tensors))
    return keras.Model(inputs, logits, name=f"{teacher.teacher.name}_adapted")


def unadapted(model):
    """Returns what says the logits of a teacher before `adapt` resizes and picks them.

    Args:
        model: What a Distiller calls: a model or a `CallableTeacher`.

    Returns:
        It, or another one to be called as it is.
    """
    if isinstance(model, callables.CallableTeacher):
        return model.unadapted
    return without_logit_layers(model)[0] if is_graph(model) else model


def without_logit_layers(model):
    """Returns a model that ends before its layers after logits, and a list of these in order."""
    tensor, layers = model.outputs[0], []
    if not returns_tensor(model):
        return model, layers
    while getattr(operation := tensor._keras_history.operation, "follows_logits", False):
        layers.insert(0, operation)
        tensor = operation._inbound_nodes[tensor._keras_history.node_index].input_tensors[0]
    return keras.Model(inputs_of(model), tensor, name=model.name) if layers else model, layers


class _Function(keras.layers.Layer):
    """A function of tensors as a layer."""

    def __init__(self, function):
        super().__init__(autocast=False)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def _symbolic(function, tensors):
    """What a function or layer makes of symbolic tensors; ValueError says that it cannot."""
    is_layer = isinstance(function, keras.layers.Layer)
    layer = function if is_layer else _Function(function)
    try:
        return layer(tensors, training=False)
    except Exception as error:  # whatever a function raises, and Keras of it
        given = _shown([tuple(each.shape[1:]) for each in keras.tree.flatten(tensors)])
        reason = _first_line(error)
        raise ValueError(
            f"`teacher_input` must take tensors of the student's inputs, {given}, and return the "
            f"teacher's. Received: {_names([function])}, which raises: {reason}"
        ) from error


def _first_line(error):
    """What was raised first, in one line: Keras puts the arguments of layers around it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _check_finite(logits):
    if np.isinf(logits).any():
        raise ValueError(
            "`size` needs finite logits: pass keras_logitkd.from_probabilities(...) to `adapt`, "
            f"whose probabilities are resized. Received: {int(np.isinf(logits).sum())} infinite "
            "logits"
        )


def _check_left(before, after, kind):
    """Refuses classes that leave an example none with a probability."""
    lost = np.isfinite(before).any(axis=-1) & np.isneginf(after).all(axis=-1)
    if kind != "sigmoid" and lost.any():
        raise ValueError(
            "`classes` must leave each example a class with a probability above 0. "
            f"Received: {int(lost.sum())} examples without one"
        )


def _shown(shapes):
    return " and ".join(map(str, shapes))


def _names(functions):
    return ", ".join(map(callables.name_of, functions))
