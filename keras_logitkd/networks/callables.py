"""Teachers that are no Keras models: callables from a batch to logits, of any library."""

import contextlib

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_logitkd.networks import two_classes
from keras_logitkd.networks.shapes import adapting, compatible


def runs_in_graph(function):
    """Whether a callable is of TensorFlow or Keras and takes tensors; others take arrays."""
    known = (keras.layers.Layer, tf.Module, tf.types.experimental.PolymorphicFunction)
    return isinstance(function, known) or getattr(function, "in_graph", False)


def name_of(function):
    """Returns a name of a callable, for messages."""
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return name or getattr(function, "name", None) or type(function).__name__


def call(function, inputs):
    """Calls what `runs_in_graph`, in inference mode."""
    is_layer = isinstance(function, keras.layers.Layer)
    return function(inputs, training=False) if is_layer else function(inputs)


class CallableTeacher:
    """A callable as a teacher: it is called as a `keras.Model` is, and has no variables.

    What `runs_in_graph` gets tensors. Anything else gets NumPy arrays, outside the compiled step
    (`tf.numpy_function`); XLA cannot compile that.

    Args:
        function: A callable from a batch to logits.
        student: The student, whose outputs have the same shape.

    Attributes:
        name: of the callable.
        takes_arrays: whether it gets NumPy arrays.
        check: a function that sees the first answer to arrays, or None.
    """

    outputs = None  # no graph of layers, as with a subclassed model

    def __init__(self, function, student):
        self.function, self.student = function, student
        self.name = name_of(function)
        self.takes_arrays = not runs_in_graph(function)
        self.check = None
        self._error, self._has_said = None, False

    def __call__(self, inputs, training=False):
        """Returns the logits of a batch, a float32 tensor of the shape of the student's."""
        shape = _output_shape(self.student, inputs)
        if not self.takes_arrays:
            logits = ops.cast(call(self.function, inputs), "float32")
            return self._fitted(logits, shape)

        def answer(*arrays):
            try:
                return self._logits(keras.tree.pack_sequence_as(inputs, arrays), shape)
            except Exception as error:  # TensorFlow would only tell its text
                self._error = error
                raise

        logits = tf.numpy_function(answer, keras.tree.flatten(inputs), tf.float32)
        logits.set_shape(shape)
        return logits

    def unadapted(self, inputs, training=False):
        """Returns what the callable says of tensors, before `adapt` makes other logits of it."""
        return call(getattr(self.function, "unadapted", self.function), inputs)

    def _logits(self, batch, shape):
        unadapted = getattr(self.function, "unadapted", self.function)
        answer = logits = np.asarray(unadapted(batch), dtype=np.float32)
        if unadapted is not self.function:
            logits = np.asarray(self.function.adapt_logits(answer), dtype=np.float32)
        size = len(keras.tree.flatten(batch)[0])
        logits = self._fitted(logits, (size, *shape[1:]))
        if np.isnan(logits).any():
            raise ValueError(f"`teacher` must return numbers. Received: nan from {self.name}")
        if self.check is not None:
            self.check(answer)
            self.check = None
        return logits

    def _fitted(self, logits, shape):
        """The logits in the student's shape, or ValueError where they have another one."""
        received = tuple(logits.shape)
        if two_classes.differ(received[1:], tuple(shape[1:])):
            if not self._has_said:
                two_classes.say(self.name, received[-1])
            self._has_said = True
            return two_classes.fitted(logits, shape[-1])
        if not compatible(received, shape):
            wanted = ("batch", *shape[1:])
            instead = "" if len(received) < 2 else adapting(tuple(received)[1:], shape[1:])
            raise ValueError(
                f"`teacher` must return logits of the student's shape "
                f"({', '.join(map(str, wanted))}){instead}. Received: shape {received} from "
                f"{self.name}"
            )
        return logits

    def raise_error(self):
        """Raises what went wrong in the callable, if anything did."""
        error, self._error = self._error, None
        if error is not None:
            raise error


@contextlib.contextmanager
def own_errors(teachers):
    """A context in which errors of callables come as they were raised, not as TensorFlow's."""
    try:
        yield
    except tf.errors.OpError:
        for teacher in teachers:
            if isinstance(teacher, CallableTeacher):
                teacher.raise_error()
        raise


def _output_shape(student, inputs):
    """The shape of a student's outputs on a batch, whose size may be None."""
    size = keras.tree.flatten(inputs)[0].shape[0]
    if getattr(student, "outputs", None):
        return (size, *student.outputs[0].shape[1:])
    symbols = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), inputs)
    return (size, *student.compute_output_spec(symbols).shape[1:])
