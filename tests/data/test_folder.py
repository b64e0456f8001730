"""Image folders: in memory and streamed alike, and what they refuse."""

import os

import numpy as np
import pytest
from PIL import Image

from keras_logitkd.data import catalog, pipeline
from keras_logitkd.data.statistics import channel_statistics
from keras_logitkd.data.views.augmentation import Augmentation
from keras_logitkd.storage.errors import DataError

RNG = np.random.default_rng(1)


def write_images(root, sizes, suffix="png", grey=False, classes=("ant", "bee")):
    """Writes one image per size and class; returns the arrays in index order."""
    arrays = []
    for name in classes:
        (root / name).mkdir(parents=True)
        for number, size in enumerate(sizes):
            array = RNG.integers(0, 256, size if grey else (*size, 3), dtype=np.uint8)
            Image.fromarray(array).save(root / name / f"{number:03d}.{suffix}")
            arrays.append(array[..., None] if grey else array)
    return arrays


def test_parted_folder_is_read_in_sorted_order(tmp_path):
    train = write_images(tmp_path / "train", [(3, 4)] * 3)
    test = write_images(tmp_path / "test", [(3, 4)] * 2)
    (tmp_path / "train" / "ant" / "notes.txt").write_text("no image")
    data = catalog.load(f"folder:{tmp_path}")
    assert data.class_names == ("ant", "bee")
    assert data.image_shape == (3, 4, 3)
    assert data.in_memory
    np.testing.assert_array_equal(data.train.images.array, train)
    np.testing.assert_array_equal(data.test.images.array, test)
    np.testing.assert_array_equal(data.train.labels, [0, 0, 0, 1, 1, 1])


def test_folder_without_parts_holds_out_a_fifth(tmp_path):
    write_images(tmp_path, [(2, 2)] * 10, suffix="bmp", grey=True)
    data = catalog.load(f"folder:{tmp_path}")
    assert (len(data.train), len(data.test)) == (16, 4)
    assert np.bincount(data.test.labels).tolist() == [2, 2]
    assert data.image_shape == (2, 2, 1)


@pytest.mark.parametrize("suffix", ["png", "JPG", "gif"])
def test_streamed_and_held_images_are_equal(tmp_path, suffix):
    write_images(tmp_path, [(5, 6)] * 5, suffix=suffix)
    held = catalog.load(f"folder:{tmp_path}").train
    streamed = catalog.load(f"folder:{tmp_path}", memory_budget=0).train
    assert not streamed.images.in_memory
    settings = {"batch_size": 3, "epochs": 2, "seed": 1}
    crops = Augmentation(pad=1, flip=True)
    for one, other in zip(
        pipeline.train_batches(held, **settings, augmentation=crops),
        pipeline.train_batches(streamed, **settings, augmentation=crops),
        strict=True,
    ):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
    for one, other in zip(channel_statistics(held), channel_statistics(streamed), strict=True):
        np.testing.assert_allclose(one, other)


def test_varying_sizes_stream_through_resized_crops(tmp_path):
    write_images(tmp_path, [(9, 12), (20, 7), (8, 8), (30, 31), (5, 5)])
    data = catalog.load(f"folder:{tmp_path}")
    assert data.image_shape == (None, None, 3)
    crops = Augmentation(resized_crop=6, flip=True)
    assert crops.output_shape(data.image_shape) == (6, 6, 3)
    settings = {"batch_size": 3, "seed": 1, "augmentation": crops}
    full = list(pipeline.train_batches(data.train, epochs=2, **settings))
    tail = list(pipeline.train_batches(data.train, epochs=2, initial_epoch=1, **settings))
    for one, other in zip(full[-len(tail) :], tail, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
    assert full[0]["image"].shape == (3, 6, 6, 3)
    (batch,) = pipeline.eval_batches(data.test, batch_size=8, augmentation=crops)
    assert batch["image"].shape == (2, 6, 6, 3)
    with pytest.raises(DataError, match="resized_crop"):
        pipeline.eval_batches(data.test, batch_size=8, augmentation=Augmentation(pad=4, flip=True))


def test_fingerprint_sees_a_changed_file(tmp_path):
    write_images(tmp_path, [(5, 5)] * 5)
    before = catalog.load(f"folder:{tmp_path}", memory_budget=0)
    train, test = before.train.fingerprint(), before.test.fingerprint()
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(before.train.images.paths[0])
    after = catalog.load(f"folder:{tmp_path}", memory_budget=0)
    assert after.train.fingerprint() != train
    assert after.test.fingerprint() == test


def test_fingerprint_sees_a_file_that_was_changed_in_place(tmp_path):
    write_images(tmp_path, [(5, 5)] * 5, suffix="bmp")
    images = catalog.load(f"folder:{tmp_path}", memory_budget=0).train.images
    before, path = images.fingerprint(), images.paths[0]
    size, changed = path.stat().st_size, path.stat().st_mtime + 7
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, (changed, changed))
    assert path.stat().st_size == size
    after = catalog.load(f"folder:{tmp_path}", memory_budget=0).train.images
    assert after.fingerprint() != before


def test_palette_and_transparent_images_become_rgb(tmp_path):
    for name, mode in (("ant", "P"), ("bee", "RGBA")):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("RGB", (2, 2), (255, 0, 0)).convert(mode).save(
                tmp_path / name / f"{number}.png"
            )
    data = catalog.load(f"folder:{tmp_path}")
    np.testing.assert_array_equal(
        data.train.images.array, np.full((8, 2, 2, 3), [255, 0, 0], np.uint8)
    )


def break_empty(root):
    for entry in root.rglob("*.png"):
        entry.unlink()


def break_one_class(root):
    for entry in (root / "bee").iterdir():
        entry.unlink()
    (root / "bee").rmdir()


def break_image(root):
    (root / "bee" / "001.png").write_bytes(b"no picture")


def break_truncated(root):
    path = root / "bee" / "001.png"
    path.write_bytes(path.read_bytes()[:60])


def break_parts(root):
    (root / "ant").rename(root / "train")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_empty, "no images in the class folder .*ant"),
        (break_one_class, "at least two class folders"),
        (break_image, "cannot read 1 of 6 images: bee/001.png"),
        (break_truncated, "cannot read 1 of 6 images: bee/001.png"),
        (break_parts, "train is read as the train part and must hold class folders"),
    ],
)
def test_folder_refuses(tmp_path, damage, message):
    write_images(tmp_path, [(4, 4)] * 3)
    damage(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        catalog.load(f"folder:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_different_classes_in_test_are_refused(tmp_path):
    write_images(tmp_path / "train", [(4, 4)])
    write_images(tmp_path / "test", [(4, 4)], classes=("ant", "cow"))
    with pytest.raises(DataError, match="Different: bee, cow"):
        catalog.load(f"folder:{tmp_path}")


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least two class folders"):
        catalog.load(f"folder:{tmp_path}")
