"""What tests of datasets share."""

import messy_folder
import pytest


@pytest.fixture(autouse=True)
def user_cache(tmp_path_factory, monkeypatch):
    """The user's cache directory of this test, empty."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def messy(tmp_path):
    """A folder as people have them, and the pixels that Pillow makes of its images by path."""
    root = tmp_path / "photos"
    return root, messy_folder.write(root)
