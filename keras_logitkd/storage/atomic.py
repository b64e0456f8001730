"""Files that appear under their names only when they are whole."""

import contextlib
import errno
import json
import os


class StorageError(OSError):
    """A file of a run could not be written: no room, no permission, no directory any more."""


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path of the same ending; what is written there then becomes `path`.

    The content is on the disk before the name is.

    Raises:
        StorageError: If it cannot be written; `path` is as it was, and nothing else is left.
    """
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield partial
        _sync(partial)
        os.replace(partial, path)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(_why_not_written(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def making(path, what):
    """Makes a directory, where it is missing, for what is written inside.

    Raises:
        ValueError: If one of that cannot be written; `what` names the directory in the message.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"Cannot write the {what} directory {path}: {reason}") from error


def _sync(path):
    """Waits until a file or the names in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why_not_written(path, error):
    if not path.parent.is_dir():
        return f"{path} cannot be written: the directory is gone"
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = f"{reason}; make room for it"
    return f"{path} cannot be written: {reason}"


def write_json(path, content):
    """Writes JSON whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path):
    """Returns the JSON object in a file, or None where there is no file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path} is damaged: it is not a JSON object with entries")
    return content
