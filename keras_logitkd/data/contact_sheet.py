"""One picture of a split: a row of examples for each class."""

import numpy as np
from PIL import Image, ImageDraw

from keras_logitkd.data import fonts

_CELL = 56
_GAP = 4


def contact_sheet(split, class_names, columns=10, rows=20):
    """Draws the first examples of each class.

    Args:
        split: a `Split`.
        class_names: tuple of strings.
        columns: examples per class. Defaults to 10.
        rows: most classes to draw; of more classes they are evenly spaced. Defaults to 20.

    Returns:
        PIL.Image.Image, one row per class with its name on the left, or its number where no font
        of this machine has the letters of the name.
    """
    count = len(class_names)
    shown = range(count) if count <= rows else [count * row // rows for row in range(rows)]
    chosen = [np.flatnonzero(split.labels == label)[:columns] for label in shown]
    scale = _display_scale(split, chosen)
    titles = [_title(label, class_names[label]) for label in shown]
    margin = 2 * _GAP + max(int(font.getlength(name)) for name, font in titles)
    step = _CELL + _GAP
    size = (margin + columns * step + _GAP, len(chosen) * step + _GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for row, ((name, font), indices) in enumerate(zip(titles, chosen, strict=True)):
        top = _GAP + row * step
        draw.text((_GAP, top + _CELL // 2), name, fill="black", font=font, anchor="lm")
        for column, pixels in enumerate(split.images.read(indices)):
            cell = _cell(pixels, scale)
            left = margin + column * step
            offset = ((_CELL - cell.width) // 2, (_CELL - cell.height) // 2)
            sheet.paste(cell, (left + offset[0], top + offset[1]))
    return sheet


def _title(label, class_name):
    """What is written beside a row, and the font that has all of it."""
    name = _short(class_name)
    font = fonts.font_for(name)
    return (name, font) if font else (f"class {label}", fonts.font_for(f"class {label}"))


def _short(name, limit=24):
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _display_scale(split, chosen):
    """Returns the factor that makes dark sets visible, such as digits with values 0..16."""
    indices = np.concatenate(chosen)
    highest = max((int(pixels.max()) for pixels in split.images.read(indices)), default=255)
    return 255 / highest if 0 < highest < 64 else 1.0


def _cell(pixels, scale):
    """Returns an image that fits into a cell, enlarged by whole factors only."""
    pixels = np.rint(pixels * scale).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    factor = _CELL / max(image.size)
    if factor >= 1:
        size = (image.width * int(factor), image.height * int(factor))
        return image.resize(size, Image.Resampling.NEAREST)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BOX)
