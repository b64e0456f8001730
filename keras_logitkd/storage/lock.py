"""One process at a time: locks that end with the process that holds them."""

import contextlib
import datetime
import fcntl
import json
import logging
import os
import socket
import time

NAME = ".lock"
_POLL = 0.1  # seconds
_log = logging.getLogger(__name__)


class LockedError(ValueError):
    """Another process holds the lock."""


class FileLock:
    """A lock that is a file, which is made where it is missing.

    The kernel releases it when its holder ends, however it ends, and with it the processes that
    were given its descriptor: there is nothing to clean up. It holds between the processes of one
    machine, and on NFS as far as that carries flock.

    Args:
        file: a `pathlib.Path`; its directory must exist.
        refusal: what `LockedError` says. Defaults to the file's name.

    Attributes:
        descriptor: of the open file while the lock is held, else None.
    """

    def __init__(self, file, refusal=None):
        self.file, self.descriptor = file, None
        self._refusal = refusal

    @contextlib.contextmanager
    def held(self, patience=0.0):
        """Holds the lock inside.

        Args:
            patience: seconds to wait for another process that holds it. Defaults to none.

        Raises:
            LockedError: If another process holds it for longer than that.
            OSError: If the file cannot be made.
        """
        deadline = time.monotonic() + patience
        while not self._try():
            if time.monotonic() >= deadline:
                raise LockedError(self._refused())
            self._waiting()
            time.sleep(_POLL)
        try:
            yield self
        finally:
            self._release()

    def is_ours(self):
        """Returns whether the name still leads to the file that this process locked."""
        return _is_file(self.descriptor, self.file)

    def _try(self):
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
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
        self.descriptor = descriptor
        return True

    def _release(self):
        os.close(self.descriptor)
        self.descriptor = None

    def _refused(self):
        return self._refusal or f"{self.file} is locked by another process"

    def _waiting(self):
        """Is called again and again while another process holds the lock."""


class RunLock(FileLock):
    """The lock of a run directory: its file says who holds it, and is removed after it.

    Args:
        path: the run directory, a `pathlib.Path`; it must exist.
    """

    def __init__(self, path):
        super().__init__(path / NAME)
        self._told = None

    def _try(self):
        if not super()._try():
            return False
        if os.fstat(self.descriptor).st_size:
            _log.warning("%s was left by %s", self.file.parent.name, self._holder())
        started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(holder).encode(), 0)
        return True

    def _release(self):
        with contextlib.suppress(OSError):  # The directory may be read-only, or gone, by now.
            self.file.unlink(missing_ok=True)
        super()._release()

    def _refused(self):
        return f"{self.file.parent} is in use by {self._holder()}. Wait until it ends"

    def _waiting(self):
        holder = self._holder()
        if holder != self._told:
            _log.warning("%s is in use by %s: waiting for it", self.file.parent.name, holder)
        self._told = holder

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
