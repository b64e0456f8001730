"""Digests are in names and keys on disk: they may never change."""

import hashlib

import numpy as np

from keras_logitkd.storage import hashing


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_parts_are_hashed_one_after_another():
    labels = np.arange(3, dtype="<i4")
    assert hashing.of(labels, "ä", b"z") == sha256(labels.tobytes() + "äz".encode())


def test_json_has_sorted_entries():
    assert hashing.of_json({"b": [1.0, None], "a": "ä"}) == sha256(
        b'{"a": "\\u00e4", "b": [1.0, null]}'
    )


def test_file(tmp_path):
    (tmp_path / "f").write_bytes(b"content")
    assert hashing.of_file(tmp_path / "f") == sha256(b"content")
    assert hashing.model_fingerprint(tmp_path / "f") == sha256(b"content")


def test_rows_are_hashed_in_blocks(monkeypatch):
    rows = np.arange(70, dtype=np.float32).reshape(10, 7)
    monkeypatch.setattr(hashing, "_BLOCK", 3 * 7 * 4)
    assert hashing.of_rows(rows) == sha256(rows.tobytes())
    assert hashing.of_rows(rows[::2]) == sha256(rows[::2].tobytes())
    assert hashing.of_rows(rows[:0]) == sha256(b"")


def test_arrays_are_hashed_by_name_type_and_shape():
    arrays = {"b": np.ones((2, 1), np.float32).T, "a": np.float64(3.0)}
    said = b"a <f8 ()\n" + np.float64(3.0).tobytes() + b"b <f4 (1, 2)\n" + arrays["b"].tobytes()
    assert hashing.of_arrays(arrays) == sha256(said)
    assert hashing.of_arrays({**arrays, "a": np.float32(3.0)}) != sha256(said)
