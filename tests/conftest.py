"""What every test starts from."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _keras_defaults():
    """Undoes a test's global Keras settings. Does not import Keras for tests that do not."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")
