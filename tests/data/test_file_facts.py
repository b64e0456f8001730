"""What is remembered of image files: fingerprints of contents, one stat the second time."""

import json
import os
import shutil

import messy_folder
import pytest

from keras_logitkd.data import catalog, decoding, file_facts


@pytest.fixture
def reads(monkeypatch):
    """Paths of the files whose bytes were read to learn something of them."""
    paths, examine = [], file_facts._examine

    def noted(path, decoded):
        paths.append(path)
        return examine(path, decoded)

    monkeypatch.setattr(file_facts, "_examine", noted)
    return paths


def fingerprint(root):
    return catalog.load(f"folder:{root}", memory_budget=0).fingerprint()


def test_touch_and_copies_change_nothing(messy, tmp_path):
    root, expected = messy
    before = fingerprint(root)
    for name in expected:
        os.utime(root / name)
    assert fingerprint(root) == before
    copy = shutil.copytree(root, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    assert fingerprint(copy) == before
    assert catalog.load(f"folder:{copy}").fingerprint() == before


@pytest.mark.parametrize("memory_budget", [0, 2**30])
def test_contents_classes_order_and_decoding_count(messy, memory_budget):
    root, _ = messy

    def digests(options=""):
        data = catalog.load(f"folder:{root}{options}", memory_budget=memory_budget)
        return data.train.fingerprint(), data.test.fingerprint()

    train, test = digests()
    assert digests("?background=black")[0] != train
    first, second = (root / "testing" / "äpfel" / name for name in ("1.bmp", "2.bmp"))
    shutil.copy(root / "Valid" / "äpfel" / "1.bmp", second)
    added = digests()
    assert added[0] == train
    assert added[1] != test
    first.rename(root / "x")
    second.rename(first)
    (root / "x").rename(second)
    assert digests()[1] not in (test, added[1])
    for part in ("Train", "Valid", "testing"):
        (root / part / "äpfel").rename(root / part / "apples")
    assert digests()[0] != train


def test_the_second_time_nothing_is_read(messy, reads):
    root, expected = messy
    fingerprint(root)
    assert len(reads) == len(expected)
    reads.clear()
    fingerprint(root)
    assert reads == []
    os.utime(root / "testing" / "猫" / "1.bmp", (1, 1))
    fingerprint(root)
    assert [path.parent.name for path in reads] == ["猫"]


def test_a_check_is_remembered_with_what_it_found(messy, reads):
    root, expected = messy
    damaged = messy_folder.damage(root)
    spec = f"folder:{root}?skip-unreadable"
    found = catalog.load(spec, memory_budget=0).unreadable
    assert len(reads) == len(expected) + len(damaged)
    reads.clear()
    assert catalog.load(spec, memory_budget=0, checked=True).unreadable == found
    assert reads == []
    shutil.copy(root / "testing" / "猫" / "1.bmp", root / damaged[1])
    assert len(catalog.load(spec, memory_budget=0).unreadable) == len(damaged) - 1
    assert len(reads) == 1


def test_a_header_is_not_a_check(messy, reads):
    root, expected = messy
    fingerprint(root)
    reads.clear()
    catalog.load(f"folder:{root}", memory_budget=0, checked=True)
    assert len(reads) == len(expected)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1}', "other version", "other rows"]
)
def test_a_damaged_memory_is_no_memory(messy, user_cache, reads, content):
    root, expected = messy
    before = fingerprint(root)
    (file,) = user_cache.rglob("files-*.json")
    known = json.loads(file.read_text())
    if content == "other version":
        content = json.dumps({**known, "version": [decoding.VERSION, "9.9"]})
    elif content == "other rows":
        content = json.dumps({**known, "files": {name: [1, 2] for name in known["files"]}})
    file.write_text(content)
    reads.clear()
    assert fingerprint(root) == before
    assert len(reads) == len(expected)


def test_no_memory_is_no_failure(messy, tmp_path, monkeypatch):
    root, _ = messy
    before = fingerprint(root)
    (tmp_path / "file").write_text("no directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert fingerprint(root) == before
