"""What TensorFlow raises while a run works, as errors that say what to do."""

import contextlib
import errno
import pathlib
import re

import tensorflow as tf

from keras_logitkd.data.errors import DataError
from keras_logitkd.training.run_directory import StorageError

_DATA_ERROR = re.compile(r"DataError: (.+)")
# What oneDNN's operations say when they cannot allocate, in an AbortedError.
_NO_MEMORY = ("could not create a primitive", "could not create a memory")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNREADABLE = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError)


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
    except MemoryError as error:
        raise MemoryError(_advice(batch_size)) from error
    except StorageError:
        raise
    except OSError as error:
        ours = error.filename is not None and path in pathlib.Path(error.filename).parents
        if ours or error.errno in _FULL:
            place = error.filename or "The logit cache or the run directory"
            raise StorageError(f"{place} cannot be written: {error.strerror}") from error
        raise
    except tf.errors.OpError as error:
        text = str(error)
        if isinstance(error, tf.errors.ResourceExhaustedError) or any(
            sign in text for sign in _NO_MEMORY
        ):
            raise MemoryError(_advice(batch_size)) from error
        if found := _DATA_ERROR.search(text):
            raise DataError(found[1].strip()) from error
        if isinstance(error, _UNREADABLE) and "IteratorGetNext" in text:
            raise DataError(f"A record of the dataset cannot be read: {_first(text)}") from error
        raise


def _advice(batch_size):
    return (
        f"Out of memory with {batch_size} examples a step. Lower --batch-size, or take a smaller "
        "network; teachers' logits that are stored (no --no-cache) need no teacher in memory"
    )


def _first(text):
    """The line of a message that says what happened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith(":")), "unknown")[:200]
