"""Image files as 8-bit pixels, whatever is in them."""

import contextlib
import io
import os
import pathlib

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from keras_logitkd.storage.errors import DataError, one_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
VERSION = 1  # of what is made of a file's bytes; part of fingerprints
_DEEP_MODES = ("I", "F")
_GREY_MODES = ("1", "L", "LA", "La", *_DEEP_MODES)
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_ORIENTATION = 0x0112
_DEEPEST = 65535
_UNKNOWN = "no image format that Pillow knows"
WHITE = (255, 255, 255)


class UnreadableImageError(DataError):
    """A file that is no readable image; `reason` is why, a text."""

    def __init__(self, path, reason):
        super().__init__(f"Cannot read the image {path} ({reason}).")
        self.reason = reason


def colour(name):
    """Returns (red, green, blue) of a colour's name; DataError if Pillow knows none of it."""
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise DataError(
            f"`background` must be a colour such as white or #e0e0e0. Received: {name!r}"
        ) from error


def decode(path, channels, background=WHITE, content=None):
    """Reads an image file as people see it; of moving pictures the first frame.

    The orientation of a photograph is applied. Transparent pixels show the background. Grey with 16
    bits a pixel is divided by 257 and rounded; grey in floating point is taken as 0..1, and as
    0..255 where a value is above 1. Other kinds of pixels are converted by Pillow.

    Args:
        path: the file.
        channels: 1 for grey or 3 for RGB.
        background: (red, green, blue) behind transparent pixels. Defaults to white.
        content: the file's bytes where they were read already. Defaults to None.

    Returns:
        uint8 array of shape (height, width, channels).

    Raises:
        UnreadableImageError: if the file is no readable image.
    """
    with _reading(path), Image.open(path if content is None else io.BytesIO(content)) as image:
        pixels = np.asarray(_plain(image, channels, background))
    return pixels.reshape(*pixels.shape[:2], channels)


def header(path, content):
    """Reads what comes before the pixels of an image file.

    Args:
        path: the file, for the error.
        content: its bytes.

    Returns:
        (width, height, is_grey), in pixels, the orientation applied.

    Raises:
        UnreadableImageError: if the file is no readable image.
    """
    with _reading(path), Image.open(io.BytesIO(content)) as image:
        grey = _is_grey(image.mode)
        if not _is_on_its_side(image):
            return (*image.size, grey)
        if image.format == "TIFF":  # Pillow turns it, when it is opened or when it is read
            image.load()
            return (*image.size, grey)
        return (*image.size[::-1], grey)


@contextlib.contextmanager
def _reading(path):
    try:
        yield
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        empty = os.stat(path).st_size == 0
        raise UnreadableImageError(path, "an empty file" if empty else _UNKNOWN) from error
    except Exception as error:  # a damaged file raises whatever its format's reader does
        raise UnreadableImageError(path, one_line(error)) from error


def is_plain(path, channels):
    """Whether every reader of image files makes of one what `decode` does."""
    with Image.open(path) as image:
        return (
            image.format in ("JPEG", "PNG")
            and image.mode == ("L" if channels == 1 else "RGB")
            and "transparency" not in image.info
            and image.getexif().get(_ORIENTATION, 1) == 1
        )


def is_image(path):
    """Whether the ending of a path is that of an image."""
    return pathlib.PurePath(path).suffix.lower() in SUFFIXES


def _is_grey(mode):
    return mode in _GREY_MODES or mode.startswith("I;16")


def _is_on_its_side(image):
    return image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)


def _plain(image, channels, background):
    mode = "L" if channels == 1 else "RGB"
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP_MODES or image.mode.startswith("I;16"):
        return Image.fromarray(_shallow(np.asarray(image))).convert(mode)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        behind = Image.new("RGBA", image.size, (*background, 255))
        image = Image.alpha_composite(behind, image).convert("RGB")
    return image.convert(mode)


def _shallow(values):
    """Grey of more than 8 bits as uint8."""
    low, high = values.min(), values.max()
    is_float = values.dtype.kind == "f"
    if not (low >= 0 and high <= (255 if is_float else _DEEPEST)):  # nan is refused, too
        allowed = "0..1 or 0..255" if is_float else f"0..{_DEEPEST}"
        raise ValueError(f"grey values of {values.dtype} must lie in {allowed}: {low}..{high}")
    scale = (255 if high <= 1 else 1) if is_float else 255 / _DEEPEST
    return np.rint(values.astype(np.float64) * scale).astype(np.uint8)
