"""What is known of image files: digests of their bytes, sizes, and whether they can be read.

It is remembered by path, size and time of change in the user's cache directory, so that a file is
read once; the next time costs one `stat`. What is in the cache is never more than a saving: it may
be deleted at any time, and nothing fails where it cannot be written.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import time

import PIL

from keras_logitkd.data import decoding
from keras_logitkd.storage import hashing
from keras_logitkd.storage.atomic import StorageError, replacing
from keras_logitkd.storage.errors import one_line

_CHUNK = 2048
_SECONDS_BETWEEN_LINES = 5.0

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of an image file.

    Args:
        digest: sha256 (hex) of its bytes; empty where they could not be read.
        width, height: in pixels, as it is shown; 0 where there is a problem with it.
        is_grey: whether it has no colours.
        is_decoded: whether all its pixels were read. Defaults to False: the header only.
        problem: why it cannot be read. Defaults to None: it can, as far as it was.
    """

    digest: str
    width: int
    height: int
    is_grey: bool
    is_decoded: bool = False
    problem: str | None = None


def examine(root, paths, decoded):
    """Returns the `Facts` of image files, in their order; what takes long is told in the log.

    Args:
        root: absolute path that the files belong to, under which they are remembered.
        paths: list of absolute paths.
        decoded: whether to read their pixels, too, of those of which it was not done before.
    """
    cache = cache_dir() / f"files-{hashing.of(str(root))[:32]}.json"
    known = _remembered(cache)
    stats = [_stat(path) for path in paths]
    facts = [_known(known, *pair) for pair in zip(paths, stats, strict=True)]
    missing = [
        place
        for place, fact in enumerate(facts)
        if fact is None or (decoded and not fact.is_decoded and fact.problem is None)
    ]
    if not missing:
        return facts
    tell = _Told(root)
    # Pillow decodes without the interpreter's lock.
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    try:
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            found = pool.map(lambda place: _examine(paths[place], decoded), chunk)
            for done, (place, fact) in enumerate(zip(chunk, found, strict=True), start + 1):
                facts[place] = fact
                tell(done, len(missing))
    finally:  # what an interrupt leaves is known, too
        pool.shutdown(cancel_futures=True)
        _remember(cache, paths, stats, facts)
    return facts


def cache_dir():
    """Returns where this package remembers things of a user: under XDG_CACHE_HOME or ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return pathlib.Path(home).expanduser() / "keras-logitkd"


class _Told:
    """Progress in lines of the log, for what takes long."""

    def __init__(self, root):
        self._root, self._last = root, time.monotonic()

    def __call__(self, done, total):
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            _log.info("%s: looked at %s of %s images", self._root, f"{done:,}", f"{total:,}")


def _examine(path, decoded):
    try:
        content = path.read_bytes()
    except OSError as error:
        return Facts("", 0, 0, False, problem=one_line(error.strerror or error))
    digest = hashlib.sha256(content).hexdigest()
    try:
        width, height, is_grey = decoding.header(path, content)
        if decoded:
            decoding.decode(path, 1 if is_grey else 3, content=content)
    except decoding.UnreadableImageError as error:
        return Facts(digest, 0, 0, False, decoded, error.reason)
    return Facts(digest, width, height, is_grey, decoded)


def _stat(path):
    """(size, time of change in nanoseconds) of a file, or None where it cannot be had."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _known(known, path, stat):
    row = known.get(str(path))
    if stat is None or not isinstance(row, list) or tuple(row[:2]) != stat:
        return None
    try:
        return Facts(*row[2:])
    except TypeError:
        return None


def _version():
    return [decoding.VERSION, PIL.__version__]


def _remembered(cache):
    """Rows of the cache by path; none where it is missing, damaged or of another version."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        content = json.loads(cache.read_text(encoding="utf-8"))
        if content.get("version") == _version() and isinstance(content.get("files"), dict):
            return content["files"]
    return {}


def _remember(cache, paths, stats, facts):
    files = {
        str(path): [*stat, *dataclasses.astuple(fact)]
        for path, stat, fact in zip(paths, stats, facts, strict=True)
        if stat is not None and fact is not None and fact.digest
    }
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with replacing(cache) as partial:
            partial.write_text(json.dumps({"version": _version(), "files": files}))
    except (OSError, StorageError) as error:
        _log.debug("%s is not written: %s", cache, error)
