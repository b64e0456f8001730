"""sha256, in hex, of what names and keys are made of."""

import hashlib
import json
import zipfile

import numpy as np

_BLOCK = 2**24


def of(*parts):
    """Returns the digest of texts and contiguous buffers, one after another."""
    return _of_all(parts)


def of_json(content):
    """Returns the digest of JSON values; the order of an object's entries does not count."""
    return of(json.dumps(content, sort_keys=True))


def of_file(path):
    """Returns the digest of a file's bytes; OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_rows(array):
    """Returns the digest of an array's bytes, read in blocks: it may be larger than the memory."""
    rows = max(1, _BLOCK // max(1, array[:1].nbytes))
    starts = range(0, len(array), rows)
    return _of_all(np.ascontiguousarray(array[start : start + rows]) for start in starts)


def of_arrays(arrays):
    """Returns the digest of a dict of arrays: names, types, shapes and bytes."""
    parts = []
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        parts.append(f"{name} {array.dtype.str} {array.shape}\n")
        parts.append(array.reshape(-1).view(np.uint8))
    return of(*parts)


def model_fingerprint(path):
    """Returns the digest of a model file's architecture and weights.

    For a .keras file the date and versions in it do not count: a network saved twice has one
    fingerprint. The model is not loaded. Of other files every byte counts.

    Raises:
        OSError: If the file cannot be read.
    """
    return _of_all(_members(path)) if zipfile.is_zipfile(path) else of_file(path)


def _members(path):
    with zipfile.ZipFile(path) as archive:
        for name in sorted(set(archive.namelist()) - {"metadata.json"}):
            yield f"{name}\n{archive.getinfo(name).file_size}\n"
            with archive.open(name) as member:
                while block := member.read(_BLOCK):
                    yield block


def _of_all(parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()
