"""Models whose graph is not known: looked at once, for outputs that are probabilities.

Nothing is added to the compiled step. Where a step is traced, the batch has a shape but no values
yet; the models are then asked about numbers drawn in that shape, while it is traced.
"""

import logging

import keras
import numpy as np
import tensorflow as tf

from keras_logitkd.losses.kinds import SIGMOID
from keras_logitkd.networks.adapted import unadapted
from keras_logitkd.networks.endings import is_known

_LOG = logging.getLogger(__name__)
_EXAMPLES, _SIZE = 16, 32  # of what is drawn, where the batch does not say it
_ENOUGH = 32  # logits
_FAR = 1e4  # logits of numbers that large leave [0, 1], a sigmoid of them does not
_TOLERANCES = {"float16": 1e-2, "bfloat16": 1e-2}  # of sums of probabilities; others 1e-3


def looks_like_softmax(outputs):
    """Whether outputs (..., classes), an array, are in [0, 1] and sum to 1 over the classes."""
    tolerance = _TOLERANCES.get(outputs.dtype.name, 1e-3)
    outputs = outputs.astype(np.float64)
    if not looks_like_sigmoid(outputs) or outputs.ndim < 2 or outputs.shape[-1] < 2:
        return False
    return bool(np.all(np.abs(outputs.sum(-1) - 1) <= tolerance))


def looks_like_sigmoid(outputs):
    """Whether outputs, an array, are all in [0, 1] and not all 0, as logits may be at first."""
    return bool(outputs.size and np.all((outputs >= 0) & (outputs <= 1)) and np.any(outputs != 0))


class FirstBatch:
    """Looks at what a Distiller's models return the first time that it sees a batch.

    Models of a known graph are left alone: see `networks.endings`.
    """

    def __init__(self):
        self._pending = {}
        self._is_binary = False

    def expect(self, role, models):
        """Sets the models to look at that are `"teacher"` or `"student"`."""
        self._pending[role] = [model for model in models if not is_known(model)]
        for model in self._pending[role]:
            if getattr(model, "takes_arrays", False):
                model.check = lambda logits, name=model.name: self._check("teacher", name, [logits])

    def look(self, inputs, kind):
        """Raises ValueError where a model returns probabilities. Does nothing a second time.

        Args:
            inputs: of the batch, in a step that is traced or runs eagerly.
            kind: of the classifier, see `losses.kinds`.
        """
        self._is_binary = kind == SIGMOID
        pending, self._pending = self._pending, {}
        for role, models in pending.items():
            for model in models:
                if not getattr(model, "takes_arrays", False):
                    self._check(role, model.name, self._answers(model, inputs))

    def _answers(self, model, inputs):
        """The outputs of a model on a batch or what stands for it, and far from it; arrays."""
        flat, answer = keras.tree.flatten(inputs), unadapted(model)
        with tf.init_scope():
            try:
                near = inputs if all(map(_has_values, flat)) else _drawn(inputs, 1.0)
                answers = [_array(answer(near, training=False))]
                if self._is_binary and all(map(_is_float, flat)):
                    answers.append(_array(answer(_drawn(inputs, _FAR), training=False)))
                return answers
            except (ValueError, TypeError, tf.errors.OpError) as error:
                reason = str(error).partition("\n")[0]
                _LOG.warning("Whether %r returns logits is not known: %s", model.name, reason)
                return []

    def _check(self, role, name, answers):
        """Raises ValueError if all answers of a model look like probabilities."""
        is_softmax = answers and looks_like_softmax(answers[0])
        # Logits near 0 may be in [0, 1] by chance: far inputs tell, or many from a trained teacher.
        tells = len(answers) == 2 or (role == "teacher" and answers and answers[0].size >= _ENOUGH)
        is_sigmoid = self._is_binary and tells and all(map(looks_like_sigmoid, answers))
        if is_softmax or is_sigmoid:
            what = "in [0, 1] that sum to 1" if is_softmax else "in [0, 1] alone, by a sigmoid"
            instead = "leave its final activation out"
            if role == "teacher":
                instead += ", or pass keras_logitkd.from_probabilities(teacher)"
                instead = instead if is_softmax else instead[:-1] + ', kind="sigmoid")'
            raise ValueError(
                f"`{role}` must return logits, but it seems to return probabilities: {instead}. "
                f"Received: {name!r}, which returns values {what}"
            )


def _has_values(tensor):
    return hasattr(tensor, "numpy") or isinstance(tensor, np.ndarray)


def _is_float(tensor):
    return "float" in keras.backend.standardize_dtype(tensor.dtype)


def _array(outputs):
    return np.asarray(keras.ops.convert_to_numpy(outputs))


def _drawn(inputs, scale):
    """Numbers in the structure, shapes and types of a batch: normal ones, and whole ones 0 or 1."""
    rng = np.random.default_rng(0)

    def draw(tensor):
        first, *others = tensor.shape
        shape = [first or _EXAMPLES, *(size or _SIZE for size in others)]
        kind = keras.backend.standardize_dtype(tensor.dtype)
        if _is_float(tensor):
            return tf.cast(scale * rng.standard_normal(shape), kind)
        if "int" not in kind and kind != "bool":
            raise ValueError(f"inputs of type {kind} cannot be drawn")
        return tf.cast(rng.integers(0, 2, shape), kind)

    return keras.tree.map_structure(draw, inputs)
