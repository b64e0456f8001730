"""One lock for run directories, stores and searches; tests/faults has two processes at work."""

import subprocess
import sys
import threading

import pytest

from keras_logitkd.storage.lock import FileLock, LockedError


def test_second_is_refused_after_its_patience(tmp_path):
    with FileLock(tmp_path / "l").held() as lock:
        assert lock.is_ours()
        second = FileLock(tmp_path / "l", "Another process searches here")
        with pytest.raises(LockedError, match="searches here"), second.held(0.2):
            pass
    assert lock.descriptor is None
    with FileLock(tmp_path / "l").held():  # the file is still there, and nobody's
        pass


def test_patience_ends_with_the_holder(tmp_path):
    held, release = threading.Event(), threading.Event()

    def work():
        with FileLock(tmp_path / "l").held():
            held.set()
            release.wait()

    other = threading.Thread(target=work)
    other.start()
    held.wait()
    threading.Timer(0.2, release.set).start()
    with FileLock(tmp_path / "l").held(60.0):
        assert release.is_set()
    other.join()


def test_who_inherits_the_descriptor_holds_the_lock(tmp_path):
    with FileLock(tmp_path / "l").held() as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
            pass_fds=[lock.descriptor],
        )
    with pytest.raises(LockedError), FileLock(tmp_path / "l").held():
        pass
    child.communicate(b"\n")
    with FileLock(tmp_path / "l").held():
        pass
