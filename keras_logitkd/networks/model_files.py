"""Model files: `keras.Model`s from raw pixels to logits."""

import logging
import pathlib
import zipfile

import keras

from keras_logitkd.networks import endings
from keras_logitkd.networks.outputs import is_graph
from keras_logitkd.networks.rescaling import as_trained
from keras_logitkd.storage.unpacking import check_zip

_log = logging.getLogger(__name__)


def load_model(path):
    """Loads a .keras file: a `keras.Model` that takes raw pixels and returns logits.

    The network of a run computes the bits that it computed when it was trained, see `rescaling`.
    A softmax or sigmoid at the end is taken off, which is said.

    Raises:
        ValueError: If there is no such file, it cannot be read, or the model returns no logits.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"A model must be a .keras file. Received: {path}, which does not exist")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError(f"Cannot load the model file {path}: it is not a .keras (zip) file")
    try:
        if zipfile.is_zipfile(path):
            check_zip(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the zip, HDF5 and JSON readers raise.
        if "lambda" in str(error).lower():
            raise ValueError(
                f"The model file {path} has a Lambda layer: Python code in files is not run. Build "
                "the model without it and copy the weights"
            ) from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"Cannot load the model file {path}: {reason}") from error
    return as_trained(ending_in_logits(model, path))


def ending_in_logits(model, what):
    """Returns a model, or it without the softmax or sigmoid at its end, which is said.

    Args:
        model: a `keras.Model`.
        what: names it, for the line and for errors.

    Raises:
        ValueError: If it ends in an activation that hides its logits.
    """
    ending = endings.ending_of(model)
    if ending is None:
        return model
    if ending not in endings.STRIPPABLE or not is_graph(model):
        raise ValueError(
            f"A model file must return logits, but {what} ends in a {ending}: "
            f"{endings.advice(ending, verb='save')}"
        )
    _log.info("%s ends in a %s, which is taken off: what is matched are its logits", what, ending)
    return endings.strip_activation(model)
