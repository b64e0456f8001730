"""Fonts that have the letters of a text, among those of this machine."""

import functools
import importlib.util
import os
import pathlib
import sys

from PIL import ImageFont

SIZE = 14  # pixels
_ENDINGS = (".ttf", ".otf", ".ttc")
# Draws a box for every character, each of its own.
_LAST_RESORT = "lastresort"
# A character that no font has: what is drawn for it is the font's box.
_NOBODYS = "\U0010fffe"


def font_for(text):
    """Returns the first font that has all letters of a text, or None.

    Pillow's own is tried first, then what matplotlib brings, then the fonts of this machine.

    Args:
        text: one line.

    Returns:
        PIL.ImageFont.FreeTypeFont of 14 pixels, or None.
    """
    own = ImageFont.load_default(size=SIZE)
    if _has(own, text):
        return own
    return next((font for font in map(_loaded, _files()) if font and _has(font, text)), None)


def _has(font, text):
    box = bytes(font.getmask(_NOBODYS))
    return all(
        bytes(font.getmask(letter)) != box
        for letter in set(text)
        if not letter.isspace() and letter.isprintable()
    )


@functools.cache
def _loaded(path):
    try:
        return ImageFont.truetype(str(path), SIZE)
    except (OSError, ValueError):
        return None


@functools.cache
def _files():
    """Paths of font files, those of matplotlib first."""
    found = []
    for folder in _folders():
        files = [file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS]
        # Of a family the shortest name is that of the upright, regular face.
        found += sorted(files, key=lambda file: ("Sans" not in file.stem, len(file.stem), file))
    return tuple(file for file in found if _LAST_RESORT not in file.stem.lower())


def _folders():
    home = pathlib.Path.home()
    folders = [_matplotlib()]
    if sys.platform == "darwin":
        folders += [pathlib.Path("/System/Library/Fonts"), pathlib.Path("/Library/Fonts")]
        folders.append(home / "Library" / "Fonts")
    elif sys.platform == "win32":
        folders.append(pathlib.Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts")
    else:
        folders += [pathlib.Path("/usr/share/fonts"), pathlib.Path("/usr/local/share/fonts")]
        folders += [home / ".fonts", home / ".local" / "share" / "fonts"]
    return [folder for folder in folders if folder is not None and folder.is_dir()]


def _matplotlib():
    """The fonts of matplotlib, found without the second that importing it takes."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    return pathlib.Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
