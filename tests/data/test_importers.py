"""Local files become TFDS datasets with the same arrays, and bad files leave nothing behind."""

import functools
import gzip
import io
import os
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_logitkd.data import catalog, listing
from keras_logitkd.data.cifar import load_cifar
from keras_logitkd.data.idx import FASHION_MNIST_CLASSES, load_idx, read_idx
from keras_logitkd.data.importers import import_dataset
from keras_logitkd.data.records import RecordImages
from keras_logitkd.storage.errors import DataError

RNG = np.random.default_rng(4)
FASHION = "/usr/share/datasets/fashion-mnist"


def idx_bytes(array):
    """Encodes an array of unsigned bytes as IDX."""
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def write_idx(root, train=12, test=6, ending=".gz"):
    """Writes an IDX dataset and returns its arrays by file prefix."""
    arrays = {}
    for prefix, count in (("train", train), ("t10k", test)):
        images = RNG.integers(0, 256, (count, 5, 4), dtype=np.uint8)
        labels = np.arange(count) % 3
        arrays[prefix] = images[..., None], labels
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx_bytes(array)
            path = root / f"{prefix}-{kind}-ubyte{ending}"
            path.write_bytes(gzip.compress(data) if ending else data)
    return arrays


def cifar_bytes(count, kinds=1, classes=10):
    labels = np.arange(count * kinds).reshape(count, kinds) % classes
    pixels = RNG.integers(0, 256, (count, 3072))
    return np.concatenate([labels, pixels], axis=1).astype(np.uint8).tobytes()


def write_cifar10(path, prefix="cifar-10-batches-bin/", **changes):
    """Writes an archive laid out as CIFAR-10's binary version; returns its files."""
    files = {f"data_batch_{number}.bin": cifar_bytes(4) for number in range(1, 6)}
    files["test_batch.bin"] = cifar_bytes(3)
    files["batches.meta.txt"] = "\n".join(f"class{k}" for k in range(10)).encode() + b"\n\n"
    files = {name: data for name, data in (files | changes).items() if data is not None}
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return files


def examples(images, labels):
    """Returns a split as a sorted list: TFDS stores in its own order."""
    return sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


def split_examples(split):
    return examples(split.images.read(range(len(split))), split.labels)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_idx_round_trip(tmp_path_factory, seed, shape):
    path = tmp_path_factory.getbasetemp() / "array-idx"
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path.write_bytes(idx_bytes(array))
    np.testing.assert_array_equal(read_idx(path, 3), array)


@given(
    st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=40).map(lambda data: len(data).to_bytes(4, "big") + data),
    )
)
def test_any_bytes_as_idx_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz-idx"
    path.write_bytes(bytes((0, 0, 8, 1)) + data)
    declared = int.from_bytes(data[:4], "big")
    if len(data) >= 4 and declared == len(data) - 4:
        assert idx_bytes(read_idx(path, 1))[4:] == data
    else:
        with pytest.raises(DataError):
            read_idx(path, 1)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_becomes_a_tfds_dataset(tmp_path, ending):
    import tensorflow_datasets as tfds

    arrays = write_idx(tmp_path, ending=ending)
    store = tmp_path / "store"
    _, directory = import_dataset("idx", tmp_path, "tiny_set", store)
    assert directory == store / "tiny_set" / "1.0.0"
    data = catalog.load("tiny_set", data_dir=store)
    assert split_examples(data.train) == examples(*arrays["train"])
    assert split_examples(data.test) == examples(*arrays["t10k"])
    assert data.class_names == ("0", "1", "2")
    assert len(tfds.load("tiny_set", data_dir=store, split="train", download=False)) == 12
    assert [entry.name for entry in store.iterdir()] == ["tiny_set"]
    (entry,) = listing.prepared_datasets(store)
    assert (entry.name, entry.splits) == ("tiny_set:1.0.0", {"train": 12, "test": 6})


def test_streamed_records_equal_those_in_memory(tmp_path, caplog):
    write_idx(tmp_path, train=40)
    import_dataset("idx", tmp_path, "tiny_set", tmp_path / "store")
    held = catalog.load("tiny_set", data_dir=tmp_path / "store")
    for _ in range(2):  # the second time from the kept index
        streamed = catalog.load("tiny_set", data_dir=tmp_path / "store", memory_budget=0)
        assert not streamed.in_memory
        for one, other in ((held.train, streamed.train), (held.test, streamed.test)):
            np.testing.assert_array_equal(one.labels, other.labels)
            images = list(other.images.read(range(len(other))))
            np.testing.assert_array_equal(one.images.array, images)
            order = np.array([5, 0, 3])
            batch = other.images.batch(order)
            np.testing.assert_array_equal(one.images.array[order], batch)


def test_a_bit_that_turns_after_indexing_is_found_in_its_record(tmp_path):
    write_idx(tmp_path, train=40)
    import_dataset("idx", tmp_path, "tiny_set", tmp_path / "store")
    load = functools.partial(catalog.load, "tiny_set", data_dir=tmp_path / "store", memory_budget=0)
    images = load().train.images
    shard, offset, length, _ = images.table[7]
    file = images.paths[shard]
    for position in (offset, offset + length - 1):
        whole = file.read_bytes()
        file.write_bytes(flip(whole, position))
        again = load().train.images  # from the kept index: the size is what it was
        assert again.fingerprint() == images.fingerprint()
        with pytest.raises(DataError, match=f"^The record at byte {offset - 12} of {file} is dam"):
            again.load(7)
        np.testing.assert_array_equal(again.load(6), images.load(6))
        file.write_bytes(whole)


def test_index_of_files_that_were_replaced_is_made_again(tmp_path):
    write_idx(tmp_path, train=40)
    import_dataset("idx", tmp_path, "tiny_set", tmp_path / "store")
    load = functools.partial(catalog.load, "tiny_set", data_dir=tmp_path / "store", memory_budget=0)
    images = load().train.images
    (kept,) = images.paths[0].parent.glob("*index_train.npz")
    with np.load(kept) as archive:
        arrays = dict(archive)
    arrays["records"][:, 1] += 1
    np.savez(kept, **{**arrays, "sizes": arrays["sizes"] + 1})
    np.testing.assert_array_equal(load().train.images.table, images.table)


def test_fingerprint_sees_every_record(tmp_path):
    file = tmp_path / "records"
    file.write_bytes(bytes(99))
    table = np.array([[0, 12, 30, 5], [0, 58, 30, 6]])
    tables = [table, table[::-1], table[:1], table + np.array([0, 0, 0, 1])]
    found = {RecordImages([file], each, "image", (5, 4, 1)).fingerprint() for each in tables}
    file.write_bytes(bytes(98))
    found.add(RecordImages([file], table, "image", (5, 4, 1)).fingerprint())
    assert len(found) == 5


def flip(data, position):
    return data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]


@pytest.mark.parametrize("memory_budget", [0, 10**9])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("*train.tfrecord*", lambda data: data[:-20]),
        ("*train.tfrecord*", lambda data: flip(data, 60)),
        ("*train.tfrecord*", lambda data: b""),
        ("*train.tfrecord*", None),
        ("features.json", lambda data: data[:-20]),
        ("dataset_info.json", lambda data: data[:-20]),
    ],
)
def test_damaged_datasets_are_refused(tmp_path, name, change, memory_budget):
    write_idx(tmp_path)
    _, directory = import_dataset("idx", tmp_path, "tiny_set", tmp_path / "store")
    (path,) = directory.glob(name)
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match="tiny_set") as caught:
        catalog.load("tiny_set", data_dir=tmp_path / "store", memory_budget=memory_budget)
    assert "\n" not in str(caught.value)


def test_fashion_mnist_has_its_names_and_loads_by_plain_tfds(tmp_path):
    import tensorflow_datasets as tfds

    for prefix, count in (("train", 20), ("t10k", 10)):
        images, labels = RNG.integers(0, 256, (count, 28, 28)), np.arange(count) % 10
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    import_dataset("idx", tmp_path, "fashion_mnist", tmp_path / "store")
    settings = {"data_dir": tmp_path / "store", "download": False, "with_info": True}
    split, info = tfds.load("fashion_mnist", split="test", **settings)
    assert len(split) == 10
    assert tuple(info.features["label"].names) == FASHION_MNIST_CLASSES
    assert catalog.load("fashion_mnist", tmp_path / "store").class_names == FASHION_MNIST_CLASSES


def test_cifar10_becomes_what_tfds_would_download(tmp_path):
    import tensorflow_datasets as tfds

    files = write_cifar10(tmp_path / "c.tar.gz")
    import_dataset("cifar", tmp_path / "c.tar.gz", "cifar10", tmp_path / "store")
    data = catalog.load("cifar10", tmp_path / "store")
    table = np.frombuffer(b"".join(files[f"data_batch_{k}.bin"] for k in range(1, 6)), np.uint8)
    table = table.reshape(20, 3073)
    images = table[:, 1:].reshape(20, 3, 32, 32).transpose(0, 2, 3, 1)
    assert split_examples(data.train) == examples(images, table[:, 0])
    assert data.class_names == tuple(f"class{k}" for k in range(10))
    first = next(iter(tfds.load("cifar10", split="test", data_dir=tmp_path / "store")))
    assert first["id"].numpy().startswith(b"test_")


def test_cifar100_keeps_coarse_labels(tmp_path):
    import tensorflow_datasets as tfds

    for name, count in (("train", 8), ("test", 4)):
        (tmp_path / f"{name}.bin").write_bytes(cifar_bytes(count, kinds=2, classes=20))
    import_dataset("cifar", tmp_path, "cifar100", tmp_path / "store")
    data = catalog.load("cifar100", tmp_path / "store")
    assert data.num_classes == 100
    assert sorted(data.test.labels) == [1, 3, 5, 7]
    rows = tfds.load("cifar100", split="test", data_dir=tmp_path / "store")
    assert {(int(row["coarse_label"]), int(row["label"])) for row in rows} == {
        (0, 1),
        (2, 3),
        (4, 5),
        (6, 7),
    }


def test_jpeg_files_are_stored_as_they_are(tmp_path):
    from PIL import Image

    for index in range(10):
        path = tmp_path / "photos" / "ab"[index % 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((9 + index, 16, 3), 20 * index, np.uint8)
        Image.fromarray(pixels).save(path)
    _, directory = import_dataset("folder", tmp_path / "photos", "photos", tmp_path / "store")
    (record,) = directory.glob("*train.tfrecord*")
    stored = record.read_bytes()
    data = catalog.load("photos", tmp_path / "store")
    assert data.image_shape == (None, None, 3)
    kept = [path for path in tmp_path.rglob("*.jpg") if path.read_bytes() in stored]
    assert len(kept) == len(data.train) == 8
    for image in data.train.images.read(range(8)):
        assert image.shape[1:] == (16, 3)
        assert np.all(np.abs(image.astype(int) - 20 * (image.shape[0] - 9)) <= 2)


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_npz_and_folder_become_tfds_datasets(tmp_path, kind):
    from PIL import Image

    images = RNG.integers(0, 256, (20, 6, 4, 3), dtype=np.uint8)
    labels = np.arange(20) % 2
    path = tmp_path / "data"
    if kind == "npz":
        path = tmp_path / "data.npz"
        np.savez(path, images=images, labels=labels)
    for index, image in enumerate(images if kind == "folder" else ()):
        (path / f"c{labels[index]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path / f"c{labels[index]}" / f"{index:02d}.png")
    source = catalog.load(f"{kind}:{path}")
    import_dataset(kind, path, "mine", tmp_path / "store")
    data = catalog.load("mine", tmp_path / "store")
    assert split_examples(data.train) == split_examples(source.train)
    assert split_examples(data.test) == split_examples(source.test)
    assert data.class_names == source.class_names


def test_names_are_checked(tmp_path):
    write_idx(tmp_path)
    for name in ("../evil", "a/b", "Upper", "1st", "", "digits", "a b", "x\n"):
        with pytest.raises(DataError, match="`name` must be"):
            import_dataset("idx", tmp_path, name, tmp_path / "store")
    with pytest.raises(DataError, match="other features"):
        import_dataset("idx", tmp_path, "mnist", tmp_path / "store")
    with pytest.raises(DataError, match="configurations"):
        import_dataset("idx", tmp_path, "cifar10_corrupted", tmp_path / "store")
    with pytest.raises(DataError, match="`kind` must be"):
        import_dataset("zip", tmp_path, "mine", tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_an_existing_dataset_is_kept_unless_told(tmp_path):
    write_idx(tmp_path)
    import_dataset("idx", tmp_path, "mine", tmp_path / "store")
    write_idx(tmp_path, train=9)
    with pytest.raises(DataError, match="--overwrite"):
        import_dataset("idx", tmp_path, "mine", tmp_path / "store")
    assert len(catalog.load("mine", tmp_path / "store").train) == 12
    import_dataset("idx", tmp_path, "mine", tmp_path / "store", overwrite=True)
    assert len(catalog.load("mine", tmp_path / "store").train) == 9
    assert [entry.name for entry in (tmp_path / "store").iterdir()] == ["mine"]


def test_an_interrupted_import_leaves_nothing(tmp_path, monkeypatch):
    write_idx(tmp_path)

    def interrupt(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_logitkd.data.importers.os.rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        import_dataset("idx", tmp_path, "mine", tmp_path / "store")
    assert listing.prepared_datasets(tmp_path / "store") == []
    assert not any(path.is_file() for path in (tmp_path / "store").rglob("*"))


def test_an_unwritable_directory_is_refused(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot write"):
        import_dataset("idx", tmp_path, "mine", tmp_path / "file" / "store")


def corrupt(name, change):
    def damage(root):
        path = root / name
        path.write_bytes(change(path.read_bytes()))

    return damage


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (corrupt(IMAGES, lambda data: data[:-1]), "truncated"),
        (corrupt(IMAGES, lambda data: data[:9]), "truncated"),
        (corrupt(IMAGES, lambda data: data + b"x"), "too long"),
        (corrupt(IMAGES, lambda data: b"\0\0\x0d" + data[3:]), "magic number 00000803"),
        (corrupt(IMAGES, lambda data: b""), "an empty file"),
        (corrupt(IMAGES, lambda data: data[:4] + b"\xff" * 12), "more than"),
        (corrupt(LABELS, lambda data: idx_bytes(np.zeros(3))), "12 images, 3 labels"),
        (lambda root: (root / LABELS).unlink(), "both images and labels"),
        (lambda root: [path.unlink() for path in root.glob("train*")], "must hold train-images"),
    ],
)
def test_bad_idx_files_are_refused(tmp_path, damage, message):
    write_idx(tmp_path, ending="")
    damage(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        load_idx(tmp_path, "mine")
    assert "\n" not in str(caught.value)


def test_damaged_gzip_is_refused(tmp_path):
    write_idx(tmp_path)
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="damaged"):
        load_idx(tmp_path, "mine")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_batch_3.bin": None}, "must hold data_batch_3.bin"),
        ({"test_batch.bin": b"x" * 3072}, "multiple of 3073"),
        ({"test_batch.bin": b""}, "multiple of 3073"),
        ({"test_batch.bin": bytes([10] * 3073)}, "0..9. Received: 10"),
    ],
)
def test_bad_cifar_files_are_refused(tmp_path, changes, message):
    write_cifar10(tmp_path / "c.tar.gz", **changes)
    with pytest.raises(DataError, match=message):
        load_cifar(tmp_path / "c.tar.gz", "mine")


def test_the_pickled_cifar_is_refused(tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("cifar-10-batches-py/data_batch_1"))
    with pytest.raises(DataError, match=r"pickle.*cifar-10-binary.tar.gz"):
        load_cifar(path, "mine")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"no archive",
        lambda data: data[:4000],
        lambda data: data[:-8],
        lambda data: flip(data, 5000),
        lambda data: flip(data, len(data) - 6),
    ],
)
def test_damaged_archives_are_refused(tmp_path, damage):
    path = tmp_path / "c.tar.gz"
    write_cifar10(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="damaged"):
        load_cifar(path, "mine")


def test_archives_cannot_escape(tmp_path):
    """Members are read by their last name into memory; links and paths go nowhere."""
    path = tmp_path / "inside" / "c.tar.gz"
    path.parent.mkdir()
    write_cifar10(path, prefix="../../escape/")
    dataset, _ = load_cifar(path, "mine")
    assert len(dataset.train) == 20
    assert sorted(os.listdir(tmp_path)) == ["inside"]
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("data_batch_1.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match="no CIFAR binary files"):
        load_cifar(path, "mine")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir(FASHION), reason="needs dataset-fashion-mnist")
def test_the_real_fashion_mnist(tmp_path):
    source, _ = import_dataset("idx", FASHION, "fashion_mnist", tmp_path)
    data = catalog.load("fashion_mnist", tmp_path)
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    assert split_examples(data.train) == split_examples(source.train)
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
