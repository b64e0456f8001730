"""One process at a time in a run directory: a lock that ends with the process that holds it."""

import contextlib
import datetime
import fcntl
import json
import logging
import os
import socket
import time

NAME = ".lock"
_POLL = 0.5  # seconds
_log = logging.getLogger(__name__)


class LockedError(ValueError):
    """Another process works in the directory."""


class RunLock:
    """The lock of a run directory, a file that says who holds it.

    The kernel releases it when its holder ends, however it ends: there is nothing to clean up. It
    holds between the processes of one machine, and on NFS as far as that carries flock.

    Args:
        path: the run directory, a `pathlib.Path`; it must exist.
    """

    def __init__(self, path):
        self.file = path / NAME
        self._descriptor = None

    @contextlib.contextmanager
    def held(self, wait=False):
        """Holds the lock inside.

        Args:
            wait: whether to wait for a process that holds it. Defaults to False.

        Raises:
            LockedError: If another process holds it and is not waited for.
        """
        self._acquire(wait)
        try:
            yield self
        finally:
            with contextlib.suppress(OSError):  # The directory may be read-only, or gone, by now.
                self.file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def is_ours(self):
        """Returns whether the directory still has the file that this process locked."""
        return _is_file(self._descriptor, self.file)

    def _acquire(self, wait):
        told = None
        while not self._try():
            holder = self._holder()
            if not wait:
                raise LockedError(f"{self.file.parent} is in use by {holder}. Wait until it ends")
            if holder != told:
                _log.warning("%s is in use by %s: waiting for it", self.file.parent.name, holder)
            told = holder
            time.sleep(_POLL)

    def _try(self):
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as error:  # A file system without locks.
            _log.warning("%s cannot be locked: %s", self.file.parent, error.strerror)
        if not _is_file(descriptor, self.file):  # Its last holder has removed it meanwhile.
            os.close(descriptor)
            return False
        if os.fstat(descriptor).st_size:
            _log.warning("%s was left by %s", self.file.parent.name, self._holder())
        started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        self._descriptor = descriptor
        return True

    def _holder(self):
        """Who holds the lock, or did last, for people."""
        try:
            holder = json.loads(self.file.read_text())
            return "process {pid} on {host}, started {started}".format(**holder)
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def _is_file(descriptor, file):
    try:
        found = os.stat(file)
    except OSError:
        return False
    return os.path.samestat(os.fstat(descriptor), found)
