"""The versions that a result was made with."""

import importlib.metadata

_PACKAGES = ("keras-logitkd", "keras", "tensorflow", "numpy")


def installed_versions():
    """Returns a dict of the packages that numbers depend on to their versions."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}
