"""What a check finds, counted by hand, and what it warns of."""

import logging
import shutil

import messy_folder
import numpy as np
import pytest
from PIL import Image

from keras_logitkd.data import arrays, catalog, check
from keras_logitkd.storage.errors import DataError


def of(root, options="?skip-unreadable"):
    return check.report(catalog.load(f"folder:{root}{options}", memory_budget=0))


def test_a_messy_folder_is_counted(messy):
    root, _ = messy
    damaged = messy_folder.damage(root)
    shutil.copy(root / "Train/äpfel/a.png", root / "testing/猫/again.png")
    shutil.copy(root / "Train/äpfel/a.png", root / "Train/猫/as a cat.png")
    Image.new("RGB", (30, 5)).save(root / "Valid/猫/wide.png")
    found = of(root)
    assert found["parts"] == {"train": 14, "validation": 3, "test": 3}
    assert found["classes"] == [
        {"name": "äpfel", "train": 6, "validation": 1, "test": 1},
        {"name": "猫", "train": 8, "validation": 2, "test": 2},
    ]
    assert [entry["file"] for entry in found["unreadable"]] == damaged
    assert found["sizes"] == {"smallest": [12, 8], "median": [12, 8], "largest": [30, 5]}
    assert found["duplicates"] == [
        {
            "parts": ["train", "test"],
            "files": ["Train/äpfel/a.png", "Train/猫/as a cat.png", "testing/猫/again.png"],
        }
    ]
    assert found["near_empty"] == []
    assert found["majority"] == {"class": "猫", "share": 8 / 14}


def test_arrays_are_compared_by_their_pixels():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    train, test = images[[0, 1, 1, 2]], images[[2, 5]]
    labels = np.array([0, 0, 0, 1], np.int32)
    data = arrays.of_arrays("x", ("a", "b"), (train, labels), (test, labels[2:]))
    found = check.report(data)
    assert found["duplicates"] == [
        {"parts": ["train"], "files": ["train 1", "train 2"]},
        {"parts": ["train", "test"], "files": ["train 3", "test 0"]},
    ]
    assert found["near_empty"] == ["b"]
    assert found["sizes"]["median"] == [3, 2]


def test_a_training_is_warned(messy, caplog):
    caplog.set_level(logging.WARNING, "keras_logitkd")
    root, _ = messy
    folder = root / "Train"
    for file in (folder / "äpfel").rglob("*.*"):
        if file.name != "a.png":
            file.unlink()
    shutil.copy(folder / "猫/deep.png", root / "Valid/猫/2.png")
    shutil.copy(folder / "猫/deep.png", root / "testing/猫/2.png")
    catalog.load(f"folder:{root}", memory_budget=0)
    assert caplog.messages == []
    catalog.load(f"folder:{root}", memory_budget=0, checked=True)
    name = f"folder:{root}: "
    same = "Train/猫/deep.png = Valid/猫/2.png = testing/猫/2.png"
    assert [text.removeprefix(name) for text in caplog.messages] == [
        "one image to train on in the class äpfel.",
        "88% of the training images are of the class 猫: accuracy says little.",
        f"pictures of the test part that are in training, too, so that its accuracy is too high: "
        f"1 ({same}).",
        f"pictures of the validation part that are in training, too, so that its accuracy is too "
        f"high: 1 ({same}).",
    ]


def test_a_class_without_readable_images_is_refused(messy):
    root, _ = messy
    for file in (root / "Train/äpfel").rglob("*.*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.raises(DataError, match="no image of the class äpfel to train on can be read"):
        of(root)
