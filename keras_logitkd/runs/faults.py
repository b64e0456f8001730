"""What TensorFlow raises when memory, data or a disk fails, as errors that say what to do."""

import contextlib
import errno
import pathlib
import re

import tensorflow as tf

from keras_logitkd.storage.atomic import StorageError
from keras_logitkd.storage.errors import DataError

_DATA_ERROR = re.compile(r"DataError: (.+)")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNREADABLE = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError)

_SAID = "Out of memory"  # how an error begins that has been explained
# What TensorFlow says, and what XLA does, to which Keras compiles on GPUs.
_TOO_LARGE = re.compile(
    r"OOM when allocating tensor with shape\[[\d,]*\]"
    r"|Out of memory while trying to allocate [\d.]+ ?\w+"
)
_ONEDNN = re.compile(r"Status: (\d+), message: ([^,]+), in file")
# dnnl_status_t: out of memory, and the runtime error in which an operation ends that finds no
# memory while it runs (https://github.com/uxlfoundation/oneDNN/issues/914).
_ONEDNN_NO_MEMORY = ("1", "5")


@contextlib.contextmanager
def named(path, batch_size):
    """Turns errors inside into one-line ones.

    Args:
        path: the run directory.
        batch_size: examples per step, for the advice.

    Raises:
        MemoryError: If there was not enough memory.
        DataError: If a record or an image of the dataset cannot be read.
        StorageError: If a disk is full, or a file in the run directory cannot be written.
    """
    try:
        yield
    except OSError as error:
        ours = error.filename is not None and path in pathlib.Path(error.filename).parents
        if isinstance(error, StorageError) or not (ours or error.errno in _FULL):
            raise
        place = error.filename or "The logit cache or the run directory"
        raise StorageError(f"{place} cannot be written: {error.strerror}") from error
    except (MemoryError, tf.errors.OpError) as error:
        if (better := explained(error, batch_size)) is None:
            raise
        raise better from error


def explained(error, batch_size=None):
    """An error of memory or data with a message that says what happened and what to do.

    Args:
        error: what was raised.
        batch_size: examples per step. Defaults to None: it did not happen in a training.

    Returns:
        A `MemoryError` or a `DataError`, or None where it is something else.
    """
    if reason := lack_of_memory(error):
        return MemoryError(_advice(reason, batch_size))
    if not isinstance(error, tf.errors.OpError):
        return None
    text = str(error)
    if found := _DATA_ERROR.search(text):
        return DataError(found[1].strip())
    if isinstance(error, _UNREADABLE) and "IteratorGetNext" in text:
        return DataError(f"A record of the dataset cannot be read: {_first(text)}")
    return None


def lack_of_memory(error):
    """What an error says of too little memory, or None where that is not what it is about."""
    text = str(error)
    if isinstance(error, tf.errors.ResourceExhaustedError):
        found = _TOO_LARGE.search(text)
        return found[0] if found else _first(text)
    if isinstance(error, tf.errors.AbortedError):
        found = _ONEDNN.search(text)
        return f"oneDNN {found[2]}" if found and found[1] in _ONEDNN_NO_MEMORY else None
    if isinstance(error, MemoryError) and not text.startswith(_SAID):
        return text or "no room for a Python object"
    return None


def _advice(reason, batch_size):
    if batch_size is None:
        return f"{_SAID} ({reason}). Take a smaller network, or smaller images"
    return (
        f"{_SAID} with {batch_size} examples a step ({reason}). Lower --batch-size, or take "
        "a smaller network; teachers' logits that are stored (no --no-cache) need no teacher in "
        "memory"
    )


def _first(text):
    """The line of a message that says what happened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = (line for line in lines if not line.endswith(":") and not line.startswith("<"))
    return next(said, "unknown")[:200]
