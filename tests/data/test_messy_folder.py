"""Folders as people have them, beside what Pillow makes of each file."""

import logging
import os
import re
import shutil

import messy_folder
import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_logitkd.data import catalog, decoding, file_facts
from keras_logitkd.data.statistics import channel_statistics
from keras_logitkd.storage.errors import DataError


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "keras_logitkd")
    return caplog


def by_name(*splits):
    """Pixels by the name of the file."""
    return {
        split.images.files.name_of(index): split.images.load(index)
        for split in splits
        for index in range(len(split))
    }


def test_every_image_is_what_pillow_makes_of_it(messy):
    root, expected = messy
    data = catalog.load(f"folder:{root}")
    assert data.in_memory
    for dataset in (data, catalog.load(f"folder:{root}", memory_budget=0)):
        read = by_name(dataset.train, dataset.test)
        assert set(read) == set(expected)
        for name, pixels in expected.items():
            np.testing.assert_array_equal(read[name], pixels, err_msg=name)


def test_parts_and_what_was_left_out_are_said(messy, said):
    root, _ = messy
    data = catalog.load(f"folder:{root}")
    assert data.class_names == messy_folder.CLASSES
    assert data.image_shape == (8, 12, 3)
    assert np.bincount(data.train.labels[data.training]).tolist() == [6, 7]
    assert data.train.labels[data.validation].tolist() == [0, 1]
    assert data.test.labels.tolist() == [0, 1]
    (line,) = [text for text in said.messages if "images; left out" in text]
    assert line.endswith(
        "read train 13, validation 2, test 2 images; left out: 3 hidden, 1 outside of the parts, "
        "1 outside of class folders, 1 .txt."
    )


def test_a_photograph_stands_up_and_sizes_are_those_that_are_seen(messy):
    root, expected = messy
    name = f"Train/{messy_folder.CLASSES[0]}/photo.jpg"
    with Image.open(root / name) as stored:
        assert stored.size == (8, 12)
    assert expected[name].shape == (8, 12, 3)
    (facts,) = file_facts.examine(root, [root / name], decoded=True)
    assert (facts.width, facts.height, facts.problem) == (12, 8, None)


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ("", (255, 255, 255)),
        ("?background=black", (0, 0, 0)),
        ("?skip-unreadable&background=#00ff00", (0, 255, 0)),
    ],
)
def test_transparent_pixels_show_the_background(messy, options, seen):
    root, _ = messy
    data = catalog.load(f"folder:{root}{options}")
    pixels = by_name(data.train)[f"Train/{messy_folder.CLASSES[1]}/rgba.png"]
    np.testing.assert_array_equal(pixels[:, :6], np.broadcast_to(seen, (8, 6, 3)))
    np.testing.assert_array_equal(pixels[:, 6:], np.broadcast_to((255, 0, 0), (8, 6, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("?background=reddish", "must be a colour such as white or #e0e0e0. Received: 'reddish'"),
        ("?background=", "must have the options background=COLOUR or skip-unreadable"),
        ("?skip", "Received: 'skip'"),
    ],
)
def test_unknown_options_are_refused(messy, options, message):
    with pytest.raises(DataError, match=re.escape(message)):
        catalog.load(f"folder:{messy[0]}{options}")


def test_a_path_with_a_question_mark_is_a_path(messy):
    root, _ = messy
    odd = root.with_name("what?skip")
    root.rename(odd)
    assert len(catalog.load(f"folder:{odd}?skip-unreadable").test) == 2
    assert len(catalog.load(f"folder:{odd}").test) == 2


def test_half_transparent_pixels_are_mixed_with_the_background(tmp_path):
    Image.new("RGBA", (1, 1), (200, 100, 0, 64)).save(tmp_path / "x.png")
    mixed = [round((64 * colour + 191 * 255) / 255) for colour in (200, 100, 0)]
    np.testing.assert_allclose(decoding.decode(tmp_path / "x.png", 3)[0, 0], mixed, atol=1)
    grey = Image.merge("LA", (Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 0)))
    grey.save(tmp_path / "la.png")
    assert decoding.decode(tmp_path / "la.png", 1, (40, 40, 40))[0, 0, 0] == 40


@pytest.mark.parametrize(
    ("values", "suffix", "expected"),
    [
        (np.array([[0, 128, 129, 65535]], np.uint16), "png", [0, 0, 1, 255]),
        (np.array([[0, 257, 65535]], np.int32), "tif", [0, 1, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), "tif", [0, 128, 255]),
        (np.array([[0.0, 99.6, 255.0]], np.float32), "tif", [0, 100, 255]),
        (np.array([[0, 70000]], np.int32), "tif", "0..65535: 0..70000"),
        (np.array([[-1.0, 1.0]], np.float32), "tif", "0..1 or 0..255: -1.0..1.0"),
        (np.array([[np.nan, 1.0]], np.float32), "tif", "0..1 or 0..255: nan..nan"),
    ],
)
def test_grey_of_more_than_8_bits_is_scaled(tmp_path, values, suffix, expected):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(values).save(path)
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected):
            decoding.decode(path, 1)
    else:
        assert decoding.decode(path, 1)[0, :, 0].tolist() == expected
        assert decoding.decode(path, 3)[0, :, 2].tolist() == expected


def test_all_unreadable_files_are_listed_at_once(messy):
    root, _ = messy
    names = messy_folder.damage(root)
    for options in ({}, {"memory_budget": 0, "checked": True}):
        with pytest.raises(DataError, match="cannot read 3 of 20 images: ") as caught:
            catalog.load(f"folder:{root}", **options)
        assert all(name in str(caught.value) for name in names)
        assert "empty.png (an empty file)" in str(caught.value)
        assert "text.jpg (no image format that Pillow knows)" in str(caught.value)
        assert "--skip-unreadable" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_unreadable_files_are_left_out_where_that_is_asked_for(messy, said):
    root, expected = messy
    whole = catalog.load(f"folder:{root}")
    names = messy_folder.damage(root)
    data = catalog.load(f"folder:{root}?skip-unreadable", memory_budget=0)
    assert [name for name, _ in data.unreadable] == names
    assert set(by_name(data.train, data.test)) == set(expected)
    assert data.fingerprint() == whole.fingerprint()
    assert "3 unreadable" in said.messages[-1]


def test_channel_statistics_are_of_what_is_trained_on(messy):
    root, expected = messy
    trained = [pixels for name, pixels in expected.items() if name.startswith("Train")]
    mean = np.mean(trained, axis=(0, 1, 2))
    for budget in (2**30, 0):
        data = catalog.load(f"folder:{root}", memory_budget=budget)
        measured = channel_statistics(data.train, data.training)
        np.testing.assert_allclose(measured[0], mean)
        np.testing.assert_allclose(measured[1], np.std(trained, axis=(0, 1, 2)))


def move(root, *pairs):
    for old, new in pairs:
        if new is None:
            shutil.rmtree(root / old)
        else:
            (root / new).parent.mkdir(exist_ok=True)
            (root / old).rename(root / new)


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ([], (13, 2, 2)),
        ([("Train", "training"), ("Valid", "VALIDATION"), ("testing", "test")], (13, 2, 2)),
        ([("Valid", "val"), ("testing", None)], (10, 2, 3)),
        ([("Valid", None), ("testing", "TEST")], (13, None, 2)),
        ([("Valid", None), ("testing", None)], (10, None, 3)),
    ],
)
def test_parts_have_many_names(messy, said, changes, sizes):
    root, _ = messy
    move(root, *changes)
    data = catalog.load(f"folder:{root}")
    trained = len(data.train) if data.training is None else len(data.training)
    validation = None if data.validation is None else len(data.validation)
    assert (trained, validation, len(data.test)) == sizes
    is_held_out = any("has no test part: a fixed" in text for text in said.messages)
    assert is_held_out == (sizes[0] == 10)


def test_a_class_called_valid_is_a_class(messy):
    root, _ = messy
    move(root, ("Train/äpfel", "valid"), ("Train/猫", "invalid"))
    move(root, ("Train", None), ("testing", None), ("Valid", None), ("licences", None))
    assert catalog.load(f"folder:{root}").class_names == ("invalid", "valid")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("Valid", "train/x")], "one folder for the train part. Received: Train and train"),
        ([("Train", None)], r"must hold a folder of the training part \(train or training\)"),
        ([("testing/猫", "testing/dog")], "train and test must hold the same classes.*dog, 猫"),
        ([("testing", "x"), ("x/猫/1.bmp", "test/1.bmp")], "test is read as the test part"),
        ([("Train/äpfel", None)], "must hold at least two class folders"),
    ],
)
def test_parts_that_do_not_fit_are_refused(messy, changes, message):
    root, _ = messy
    move(root, *changes)
    with pytest.raises(DataError, match=message) as caught:
        catalog.load(f"folder:{root}")
    assert "\n" not in str(caught.value)


def test_a_class_without_test_images_is_said(messy, said):
    root, _ = messy
    shutil.rmtree(root / "testing" / "猫")
    assert catalog.load(f"folder:{root}").test.labels.tolist() == [0]
    assert any(text.endswith("no image of 猫 in the test part.") for text in said.messages)


def test_links_to_folders_are_followed_and_a_loop_ends(messy):
    root, expected = messy
    (root / "Train" / "äpfel" / "again").symlink_to(root / "Train" / "äpfel")
    (root / "testing" / "猫" / "more").symlink_to(root / "Valid" / "猫")
    data = catalog.load(f"folder:{root}")
    assert len(data.test) == 3
    assert len(data.train) == len(expected) - 2


@pytest.mark.parametrize("suffix", ["tif", "png", "webp", "jpg"])
def test_every_orientation_in_every_format(tmp_path, suffix):
    upright = Image.fromarray(np.random.default_rng(2).integers(0, 256, (3, 5, 3), np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.{suffix}"
        upright.save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
        with Image.open(path) as stored:
            shown = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
        assert shown.shape[:2] == ((3, 5) if orientation < 5 else (5, 3))
        np.testing.assert_array_equal(decoding.decode(path, 3), shown)
        assert decoding.header(path, path.read_bytes()) == (*shown.shape[1::-1], False)


def test_files_that_other_readers_see_alike_are_stored_as_they_are(messy):
    root, expected = messy
    data = catalog.load(f"folder:{root}", memory_budget=0)
    as_file = set()
    for index, path in enumerate(data.train.images.paths):
        stored = data.train.images.encoded(index)
        if isinstance(stored, str):
            as_file.add(path.name)
            with Image.open(stored) as image:
                stored = np.asarray(image)
        np.testing.assert_array_equal(stored, expected[data.train.images.name_of(index)])
    assert as_file == {"a.png", "d.JPEG"}


def test_a_folder_that_may_not_be_read_is_one_line(messy, monkeypatch):
    root, _ = messy
    scandir = os.scandir

    def denied(path):
        if os.fspath(path).endswith("best"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"cannot be listed \(Permission denied: .*best\)"):
        catalog.load(f"folder:{root}")
