"""What every test starts from."""

import os
import sys

import hypothesis
import pytest

# As the command line sets it: a process that a test starts then computes the same bits.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The first call of a test may compile; a shared machine may stall at any call.
hypothesis.settings.register_profile("undisturbed", deadline=None)
hypothesis.settings.load_profile("undisturbed")


@pytest.fixture(autouse=True)
def _keras_defaults():
    """Undoes a test's global Keras settings. Does not import Keras for tests that do not."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")
