"""Stored logits come back as they went in, or not at all."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_logitkd.storage import hashing
from keras_logitkd.storage.logit_store import (
    DamagedStoreError,
    LogitStore,
    StoreKey,
    model_fingerprint,
)

KEY = StoreKey(
    teacher="a" * 64,
    dataset="b" * 64,
    examples="c" * 64,
    count=7,
    classes=3,
    preprocessing={"view": {"pad": 2, "flip": True, "area": (0.08, 1.0)}},
)


def logits_of(view, key=KEY):
    rng = np.random.default_rng(view)
    return rng.normal(scale=5, size=(key.count, key.classes)).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    store = LogitStore(tmp_path / "s", KEY, about={"teacher": "wrn"})
    for view in (0, 3):
        store.fill(view, [logits_of(view)[:4], logits_of(view)[4:]])
    return store


def fails_if_begun():
    raise AssertionError("the teacher ran for a view that is there")
    yield


@given(
    count=st.integers(1, 40),
    classes=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    dtype=st.sampled_from(["float32", "float16"]),
    budget=st.sampled_from([0, 10**6]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_read_is_what_was_written(tmp_path_factory, count, classes, cuts, dtype, budget):
    path = tmp_path_factory.mktemp("s")
    key = dataclasses.replace(KEY, count=count, classes=classes, dtype=dtype)
    LogitStore(path, key).fill(2, np.split(logits_of(1, key), sorted(cuts)))
    again = LogitStore(path, key, memory_budget=budget)
    assert again.views == [2]
    np.testing.assert_array_equal(again.read(2), logits_of(1, key).astype(dtype))
    with pytest.raises(ValueError, match="read-only"):
        again.read(2)[0, 0] = 1


def test_a_view_that_is_there_is_not_computed_again(store):
    store.fill(3, fails_if_begun())
    LogitStore(store.path, KEY).fill(0, fails_if_begun())


def test_a_store_opens_by_its_manifest_alone(store):
    again = LogitStore(store.path)
    assert (again.key.to_config(), again.views) == (KEY.to_config(), [0, 3])
    assert again.about == {"teacher": "wrn"}
    with pytest.raises(ValueError, match="no logit store"):
        LogitStore(store.path / "other")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("teacher", "d" * 64),
        ("dataset", "d" * 64),
        ("examples", "d" * 64),
        ("count", 8),
        ("classes", 4),
        ("preprocessing", {"view": {"pad": 4}}),
        ("view_seed", 1),
        ("dtype", "float16"),
    ],
)
def test_other_logits_are_refused_by_the_field_that_differs(store, field, value):
    with pytest.raises(ValueError, match=rf": {field} differ"):
        LogitStore(store.path, dataclasses.replace(KEY, **{field: value}))


def flip_a_byte(path):
    file = path / "view-00003.npy"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


def truncate(path):
    file = path / "view-00003.npy"
    file.write_bytes(file.read_bytes()[:-4])


def remove(path):
    (path / "view-00003.npy").unlink()


def swap(path):
    shutil.copy(path / "view-00000.npy", path / "view-00003.npy")


def reorder_examples(path):
    file = path / "view-00003.npy"
    np.save(file, np.load(file)[::-1])


def pickle_instead(path):
    np.save(path / "view-00003.npy", np.array([{}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    "damage", [flip_a_byte, truncate, remove, swap, reorder_examples, pickle_instead]
)
@pytest.mark.parametrize("budget", [0, 10**6])
def test_a_damaged_view_is_found_and_can_be_filled_again(store, damage, budget):
    damage(store.path)
    again = LogitStore(store.path, KEY, memory_budget=budget)
    with pytest.raises(DamagedStoreError, match="View 3 of .* is damaged"):
        again.read(3)
    np.testing.assert_array_equal(again.read(0), logits_of(0))
    again.drop(3)
    again.fill(3, [logits_of(3)])
    np.testing.assert_array_equal(LogitStore(store.path, KEY).read(3), logits_of(3))


@pytest.mark.parametrize("budget", [0, 10**6])
def test_damage_behind_the_first_block_is_found(store, monkeypatch, budget):
    monkeypatch.setattr(hashing, "_BLOCK", 24)  # two rows
    again = LogitStore(store.path, KEY, memory_budget=budget)
    np.testing.assert_array_equal(again.read(0), logits_of(0))
    flip_a_byte(store.path)
    with pytest.raises(DamagedStoreError, match="View 3 of .* is damaged: its checksum"):
        again.read(3)


def test_a_view_that_was_dropped_is_read_anew(store):
    store.read(3)
    store.drop(3)
    store.fill(3, [logits_of(5)])
    np.testing.assert_array_equal(store.read(3), logits_of(5))


def test_of_the_views_in_memory_the_oldest_is_forgotten(store):
    store.fill(5, [logits_of(5)])
    again = LogitStore(store.path, memory_budget=2 * KEY.view_bytes)
    for view in (0, 3, 5):
        again.read(view)
    for file in store.path.glob("view-*.npy"):
        file.unlink()
    np.testing.assert_array_equal(again.read(3), logits_of(3))
    np.testing.assert_array_equal(again.read(5), logits_of(5))
    with pytest.raises(DamagedStoreError, match="View 0"):
        again.read(0)


def test_a_writer_sees_what_another_wrote_before_it(store):
    other = LogitStore(store.path, KEY)
    store.fill(1, [logits_of(1)])
    other.fill(1, fails_if_begun())
    other.fill(2, [logits_of(2)])
    assert LogitStore(store.path).views == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("float32", "float16"),
        lambda text: text.replace("a" * 64, "d" * 64),
        lambda text: text[:-20],
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
        lambda text: '{"format": 1}',
    ],
)
def test_an_edited_manifest_is_refused(store, edit):
    file = store.path / "manifest.json"
    file.write_text(edit(file.read_text()))
    with pytest.raises(DamagedStoreError, match="manifest.json is damaged"):
        LogitStore(store.path, KEY)


def test_a_later_format_is_refused(store):
    file = store.path / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))
    with pytest.raises(ValueError, match="format 1. Received: 2"):
        LogitStore(store.path, KEY)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ([logits_of(1)[:6]], "7 rows. Received: 6"),
        ([logits_of(1), logits_of(1)], "7 rows. Received: 14"),
        ([logits_of(1)[:, :2]], r"\(n, 3\)"),
        ([np.full((7, 3), np.inf)], "not finite"),
    ],
)
def test_wrong_logits_leave_nothing_behind(store, logits, message):
    before = sorted(store.path.iterdir())
    with pytest.raises(ValueError, match=message):
        store.fill(1, logits)
    assert sorted(store.path.iterdir()) == before
    assert LogitStore(store.path, KEY).views == [0, 3]


def test_float16_refuses_what_it_cannot_hold(tmp_path):
    store = LogitStore(tmp_path, dataclasses.replace(KEY, dtype="float16"))
    with pytest.raises(ValueError, match="not finite numbers in float16"):
        store.fill(0, [1e5 * np.ones((7, 3), np.float32)])


def test_what_a_killed_process_left_does_no_harm(store):
    (store.path / ".99999.view-00001.npy").write_bytes(b"half a view")
    again = LogitStore(store.path, KEY)
    assert again.views == [0, 3]
    again.fill(1, [logits_of(1)])
    assert not (store.path / ".99999.view-00001.npy").exists()


_PROLOGUE = """
import json, os, resource, signal, sys, time
import numpy as np
from keras_logitkd.storage.logit_store import LogitStore, StoreKey
path, key, view = sys.argv[1], StoreKey(**json.loads(sys.argv[2])), int(sys.argv[3])
logits = np.random.default_rng(view).normal(scale=5, size=(key.count, key.classes))
"""
_SLOW_WRITER = """
def slow():
    with open(path + "-begun", "a") as file:
        file.write(f"{view} ")
    time.sleep(0.3)
    yield logits.astype(np.float32)
LogitStore(path, key).fill(view, slow())
"""
_LIMITED_WRITER = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
LogitStore(path, key).fill(view, [logits])
"""


def start_writer(script, path, key, view):
    arguments = [str(path), json.dumps(key.to_config()), str(view)]
    command = [sys.executable, "-c", _PROLOGUE + script, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_two_writers_fill_every_view_once(tmp_path):
    writers = [start_writer(_SLOW_WRITER, tmp_path / "s", KEY, view) for view in (0, 0, 1, 0)]
    for writer in writers:
        _, said = writer.communicate()
        assert writer.returncode == 0, said
    assert sorted((tmp_path / "s-begun").read_text().split()) == ["0", "1"]
    store = LogitStore(tmp_path / "s", KEY)
    for view in (0, 1):
        np.testing.assert_array_equal(store.read(view), logits_of(view))


def test_a_full_disk_leaves_what_was_there(tmp_path):
    """On a real file system of 64 KiB, where this user may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True
    )
    if mount.returncode:
        pytest.skip("no permission to mount a file system")
    try:
        key = dataclasses.replace(KEY, count=8000)
        store = LogitStore(place / "s", key)
        LogitStore(place / "t", KEY).fill(0, [logits_of(0)])
        with pytest.raises(OSError, match="No space left"):
            store.fill(1, [logits_of(1, key)])
        assert [file.name for file in store.path.iterdir()] == [".lock"]
        np.testing.assert_array_equal(LogitStore(place / "t", KEY).read(0), logits_of(0))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    key = dataclasses.replace(KEY, count=4000)
    writer = start_writer(_LIMITED_WRITER, tmp_path / "s", key, 1)
    _, said = writer.communicate()
    assert writer.returncode == 1
    assert "File too large" in said
    assert [file.name for file in (tmp_path / "s").iterdir()] == [".lock"]


def test_discard_removes_a_store_and_nothing_else(store):
    (store.path / "notes.txt").write_text("mine")
    LogitStore.discard(store.path)
    assert [file.name for file in store.path.iterdir()] == ["notes.txt"]


def test_fingerprint_sees_every_block_but_not_the_date(tmp_path, monkeypatch):
    file = tmp_path / "m.keras"
    found = []
    for block in (2**24, 7):
        monkeypatch.setattr(hashing, "_BLOCK", block)
        for weights in (b"a" * 30, b"a" * 29 + b"b"):
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("model.weights.h5", weights)
                archive.writestr("metadata.json", f"saved at {len(found)}")
            found.append(model_fingerprint(file))
    assert found[:2] == found[2:]
    assert found[0] != found[1]


def test_fingerprint_is_that_of_the_network_not_of_the_file(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    files = [pathlib.Path(tmp_path / f"{name}.keras") for name in "abc"]
    model.save(files[0])
    model.save(files[1])
    model.layers[0].bias.assign([0.0, 1e-7])
    model.save(files[2])
    first, second, other = map(model_fingerprint, files)
    assert first == second != other
