"""Class names on contact sheets: drawn by a font that has their letters, or a number."""

import numpy as np
from PIL import Image, ImageDraw

from keras_logitkd.data import arrays, fonts
from keras_logitkd.data.contact_sheet import contact_sheet


def sheet_of(*class_names):
    labels = np.arange(4, dtype=np.int32) % 2
    images = np.zeros((4, 5, 5, 1), np.uint8)
    data = arrays.of_arrays("x", class_names, (images, labels), (images, labels))
    return contact_sheet(data.train, class_names, columns=2)


def drawn(text, font):
    canvas = Image.new("RGB", (100, 60), "white")
    ImageDraw.Draw(canvas).text((4, 28 + 4), text, fill="black", font=font, anchor="lm")
    return np.asarray(canvas)[:60, : int(font.getlength(text))]


def test_umlauts_and_cyrillic_are_drawn_in_a_font_that_has_them():
    names = ("Äpfel", "Щука")
    pixels = np.asarray(sheet_of(*names))
    for row, name in enumerate(names):
        font = fonts.font_for(name)
        masks = [bytes(font.getmask(letter)) for letter in (*name, "\U0010fffe")]
        assert len(set(masks)) == len(set(name)) + 1  # no letter is a box
        expected = drawn(name, font)
        here = pixels[60 * row : 60 * row + 60, : expected.shape[1]]
        np.testing.assert_array_equal(here[4:], expected[4:])


def test_names_that_no_font_has_are_numbers(monkeypatch):
    monkeypatch.setattr(fonts, "_files", tuple)
    assert fonts.font_for("猫") is None
    first = np.asarray(sheet_of("猫", "dog"))
    np.testing.assert_array_equal(first, np.asarray(sheet_of("class 0", "dog")))
    assert fonts.font_for("dog") is not None


def test_the_last_resort_is_no_font():
    assert all("lastresort" not in file.stem.lower() for file in fonts._files())
