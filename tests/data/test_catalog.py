"""Every way to name a dataset, and every way it can be wrong."""

import logging
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_logitkd.data import catalog
from keras_logitkd.data.arrays import as_uint8
from keras_logitkd.storage.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8)
LABELS = np.arange(20) % 4


def write_npz(path, **arrays):
    np.savez(path / "data.npz", **arrays)
    return f"npz:{path / 'data.npz'}"


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    data, original = catalog.load("digits"), load_digits()
    assert (len(data.train), len(data.test)) == (1438, 359)
    assert data.image_shape == (8, 8, 1)
    assert data.num_classes == 10
    ours = [
        (image.tobytes(), label)
        for split in (data.train, data.test)
        for image, label in zip(split.images.array, split.labels, strict=True)
    ]
    images = original.images.astype(np.uint8)
    theirs = [(i.tobytes(), y) for i, y in zip(images, original.target, strict=True)]
    assert sorted(ours) == sorted(theirs)
    assert data.train.images.array.max() == 16


def test_digits_fingerprint_is_pinned():
    """Stores of teacher logits are keyed by it."""
    assert catalog.load("digits").fingerprint()[:16] == "3566ff5c01ea53bb"


def test_digits_and_npz_import_no_tensorflow(tmp_path):
    spec = write_npz(tmp_path, images=IMAGES, labels=LABELS)
    code = (
        "import sys; from keras_logitkd.data import catalog\n"
        f"catalog.load('digits'); catalog.load({spec!r})\n"
        "sys.exit(any(n in sys.modules for n in ('tensorflow', 'tensorflow_datasets', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_npz_with_test_part(tmp_path):
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:8], "y_test": LABELS[:8]}
    data = catalog.load(write_npz(tmp_path, **arrays))
    np.testing.assert_array_equal(data.train.images.array, IMAGES)
    np.testing.assert_array_equal(data.train.labels, LABELS)
    np.testing.assert_array_equal(data.test.images.array, IMAGES[:8])
    assert data.train.labels.dtype == np.int32
    assert data.class_names == ("0", "1", "2", "3")


def test_npz_without_test_part_holds_out_a_fifth(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="keras_logitkd"):
        data = catalog.load(write_npz(tmp_path, images=IMAGES[..., 0], labels=LABELS[:, None]))
    assert (len(data.train), len(data.test)) == (16, 4)
    assert sorted(data.test.labels) == [0, 1, 2, 3]
    assert data.image_shape == (4, 5, 1)
    assert "held out" in caplog.text


def test_npz_class_names_allow_empty_classes(tmp_path):
    names = np.array(["a", "b", "c", "d", "e"])
    data = catalog.load(write_npz(tmp_path, images=IMAGES, labels=LABELS, class_names=names))
    assert data.class_names == ("a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    "array",
    [
        IMAGES.astype(np.float32) / 255,
        IMAGES.astype(np.float64) / 255.0,
        IMAGES.astype(np.float32) * np.float32(1 / 255),
        IMAGES.astype(np.float32),
        IMAGES.astype(np.int64),
    ],
)
def test_as_uint8_is_exact(array):
    np.testing.assert_array_equal(as_uint8(array, "x"), IMAGES)


def test_as_uint8_scales_booleans():
    np.testing.assert_array_equal(as_uint8(np.array([True, False]), "x"), [255, 0])


@pytest.mark.parametrize(
    "array",
    [
        np.array([0.5, 0.1]),
        np.array([-1.0, 1.0]),
        np.array([0, 256]),
        np.array([-1, 3]),
        np.array([0.0, np.nan]),
        np.array([0.0, np.inf]),
        np.array([3.5, 100.0]),
        np.array(["a"]),
        np.array([1 + 2j]),
    ],
)
def test_as_uint8_refuses_what_it_would_change(array):
    with pytest.raises(DataError):
        as_uint8(array, "x")


GOOD = {"x_train": IMAGES, "y_train": LABELS}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": IMAGES}, "must hold x_train, y_train"),
        ({"x_train": IMAGES}, "must hold x_train, y_train"),
        (GOOD | {"x_test": IMAGES}, "Missing: y_test"),
        (GOOD | {"y_train": LABELS[:5]}, "20 images, 5 labels"),
        (GOOD | {"y_train": LABELS.astype(float)}, "integer class numbers"),
        (GOOD | {"y_train": np.eye(4)[LABELS]}, "integer class numbers"),
        (GOOD | {"y_train": LABELS - 1}, "0..K-1. Received: -1..2"),
        (GOOD | {"y_train": LABELS + 1}, "classes without examples"),
        (GOOD | {"y_train": LABELS * 0}, "two classes"),
        (GOOD | {"x_train": IMAGES[:, 0, 0]}, "must have shape"),
        (GOOD | {"x_train": np.zeros((20, 4, 4, 2), np.uint8)}, "must have shape"),
        (GOOD | {"x_train": IMAGES / 3}, "multiples of 1/255"),
        (GOOD | {"x_train": IMAGES[:0], "y_train": LABELS[:0]}, "not empty"),
        (GOOD | {"x_test": IMAGES[:, :2], "y_test": LABELS}, "shape of the training"),
        (GOOD | {"x_test": IMAGES, "y_test": LABELS + 1}, "0..3. Received: 4"),
        (GOOD | {"x_test": IMAGES[:0], "y_test": LABELS[:0]}, "not empty"),
        (GOOD | {"class_names": np.array(["a", "b"])}, "2 classes, labels up to 3"),
        ({"images": np.array([{}], dtype=object), "labels": LABELS}, "plain arrays"),
    ],
)
def test_npz_refuses(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message.replace(".", r"\.")) as caught:
        catalog.load(write_npz(tmp_path, **arrays))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["text", "truncated", "flipped", "npy", "empty"])
def test_corrupt_npz_is_refused(tmp_path, damage):
    path = tmp_path / "data.npz"
    write_npz(tmp_path, **GOOD)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    contents = {
        "text": b"hello",
        "truncated": path.read_bytes()[:300],
        "flipped": bytes(data),
        "empty": b"",
    }
    if damage == "npy":
        with open(path, "wb") as file:
            np.save(file, IMAGES)
    else:
        path.write_bytes(contents[damage])
    with pytest.raises(DataError) as caught:
        catalog.load(f"npz:{path}")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.booleans())
def test_a_flipped_byte_never_changes_an_npz(tmp_path_factory, share, bits, compressed):
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    (np.savez_compressed if compressed else np.savez)(path, **GOOD)
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= bits
    path.write_bytes(data)
    try:
        loaded = catalog.load(f"npz:{path}")
    except DataError:
        return
    whole = sorted(
        image.tobytes() for split in (loaded.train, loaded.test) for image in split.images.array
    )
    assert whole == sorted(image.tobytes() for image in IMAGES)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("npz:", "needs a path"),
        ("folder:", "needs a path"),
        ("npz:/no/such.npz", "no such file"),
        ("folder:/no/such", "no such folder"),
        ("digitz", "Near: digits"),
        ("cifar101", "Near: cifar10"),
        ("no_such_dataset_at_all", "Allowed: digits, a TFDS name"),
        ("huggingface:mnist", "Unknown dataset"),
        ("../escape", "Unknown dataset"),
        ("", "Unknown dataset"),
        ("imdb_reviews", "not image classification"),
        ("cifar10/no_config", "cannot be opened"),
    ],
)
def test_unusable_names_are_refused(tmp_path, spec, message):
    with pytest.raises(DataError, match=message) as caught:
        catalog.load(spec, data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_no_network_is_one_line_within_seconds(tmp_path, monkeypatch, capfd):
    def refuse(address, timeout):
        raise OSError("no network")

    monkeypatch.setattr("socket.create_connection", refuse)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(DataError, match="logitkd data import") as caught:
        catalog.load("cifar100", data_dir=tmp_path)
    assert "www.cs.toronto.edu" in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
