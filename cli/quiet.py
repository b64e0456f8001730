"""TensorFlow without its start-up messages, so that stderr is for ours."""

import contextlib
import logging
import os
import sys
import tempfile


def show_log():
    """Sends what this package logs to stderr, and of others their warnings."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("keras_logitkd").setLevel(logging.INFO)


def load_tensorflow():
    """Imports TensorFlow and Keras; what they say while it works is dropped."""
    with _captured_stderr() as said:
        try:
            import keras  # noqa: F401
            import tensorflow as tf
        except ImportError:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            raise
    tf.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def _captured_stderr():
    """Sends file descriptor 2, to which C++ writes, to a file that it gives."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield said
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
