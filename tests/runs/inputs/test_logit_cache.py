"""Which store is whose, and how much room there is."""

import shutil
import types

import numpy as np
import pytest

from keras_logitkd.runs.inputs.logit_cache import LogitCache, ensure
from keras_logitkd.storage.logit_store import LogitStore

GIVEN = {
    "teacher": "t",
    "split": "d",
    "indices": [3, 1, 2],
    "classes": 5,
    "preprocessing": {"view": {"pad": 1}},
    "view_seed": 0,
    "dtype": "float32",
}


def open_store(directory, limit=10**9, **changes):
    """The store of teacher and split by fingerprints; returns it with its cache."""
    given = GIVEN | changes
    cache = LogitCache(str(directory), limit, given["dtype"])
    teacher = types.SimpleNamespace(fingerprint=lambda: given["teacher"], label="t")
    split = types.SimpleNamespace(fingerprint=lambda: given["split"], name="train")
    rest = (given[name] for name in ("classes", "preprocessing", "view_seed"))
    return cache.store([teacher], split, np.array(given["indices"]), *rest), cache


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("teacher", "other"),
        ("split", "other"),
        ("indices", [1, 2, 3]),
        ("indices", [3, 1, 4]),
        ("indices", [3, 1]),
        ("classes", 4),
        ("preprocessing", {"evaluation": {"pad": 1}}),
        ("view_seed", 1),
        ("dtype", "float16"),
    ],
)
def test_other_logits_have_another_store(tmp_path, field, value):
    store, _ = open_store(tmp_path)
    assert open_store(tmp_path, **{field: value})[0].path != store.path
    same, _ = open_store(tmp_path, indices=np.array([3, 1, 2], np.int32))
    assert same.path == store.path


def test_limit_holds_for_all_stores_and_views_that_are_there_need_nothing(tmp_path):
    other, _ = open_store(tmp_path, view_seed=1)
    other.fill(0, [np.zeros((3, 5), np.float32)])
    store, cache = open_store(tmp_path)
    store.fill(2, [np.zeros((3, 5), np.float32)])
    there = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert cache.size() == there > 2 * 3 * 5 * 4
    needed = there + 2 * 3 * 5 * 4
    open_store(tmp_path, limit=needed)[1].check_space(store, [0, 1, 2, 1])
    with pytest.raises(ValueError, match="--cache-limit"):
        open_store(tmp_path, limit=needed - 1)[1].check_space(store, [0, 1, 2, 1])
    open_store(tmp_path, limit=1)[1].check_space(store, [2])


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float16", 2)])
def test_views_leave_a_gigabyte_of_the_disk(tmp_path, monkeypatch, dtype, size):
    store, cache = open_store(tmp_path, dtype=dtype)
    enough = 10**9 + 2 * 3 * 5 * size
    for free in (enough, enough - 1):
        usage = types.SimpleNamespace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda place, usage=usage: usage)
        if free == enough:
            cache.check_space(store, [0, 1])
        else:
            with pytest.raises(ValueError, match="The disk of the logit cache"):
                cache.check_space(store, [0, 1])


def test_full_disk_refuses_nothing_that_is_there(tmp_path, monkeypatch):
    store, cache = open_store(tmp_path)
    store.fill(0, [np.zeros((3, 5), np.float32)])
    usage = types.SimpleNamespace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    cache.check_space(store, [0])
    with pytest.raises(ValueError, match="has 0 GB to give"):
        cache.check_space(store, [0, 1])


def test_damaged_view_is_computed_again(tmp_path, caplog):
    store, _ = open_store(tmp_path)
    store.fill(0, [np.zeros((3, 5), np.float32)])
    (file,) = store.path.glob("view-*.npy")
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    teacher = types.SimpleNamespace(predict_on_batch=lambda images: images)
    images = np.arange(15, dtype=np.float32).reshape(3, 5)
    batches = [{"image": images[:2]}, {"image": images[2:]}]
    found = ensure(LogitStore(store.path), 0, lambda: batches, lambda: [teacher])
    np.testing.assert_array_equal(found, images)
    assert "is damaged" in caplog.text


def test_teachers_are_averaged(tmp_path):
    store, _ = open_store(tmp_path)
    teachers = [
        types.SimpleNamespace(predict_on_batch=lambda images, factor=factor: factor * images)
        for factor in (1, 2, 6)
    ]
    images = np.arange(15, dtype=np.float32).reshape(3, 5)
    found = ensure(store, 1, lambda: [{"image": images}], lambda: teachers)
    np.testing.assert_array_equal(found, 3 * images)
