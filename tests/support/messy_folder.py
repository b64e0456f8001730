"""A folder of photographs as people have them: every row of cases/folders.md that is in a file."""

import numpy as np
from PIL import Image, ImageOps

CLASSES = ("äpfel", "猫")


def write(root, size=(12, 8), more=0):
    """Writes Train/, Valid/ and testing/ with both classes in each.

    Args:
        root: the folder to make.
        size: (width, height) of the images as they are shown. Defaults to (12, 8).
        more: plain images to add to each class of the training part. Defaults to none.

    Returns:
        Dict of the path of each image in its folder to the RGB pixels that Pillow makes of it.
    """
    rng = np.random.default_rng(7)
    expected = {}

    def path(name):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        return root / name

    def save(name, image, shown=None, **options):
        image.save(path(name), **options)
        with Image.open(root / name) as stored:
            expected[name] = np.asarray(stored.convert("RGB") if shown is None else shown)

    def noise(mode="RGB"):
        shape = (size[1], size[0], len(Image.new(mode, (1, 1)).getbands()))
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        return Image.fromarray(pixels[..., 0] if shape[2] == 1 else pixels, mode)

    apples, cats = (f"Train/{name}" for name in CLASSES)
    save(f"{apples}/a.png", noise())
    save(f"{apples}/b.webp", noise(), lossless=True)
    save(f"{apples}/c.tif", noise())
    save(f"{apples}/from 2019/d.JPEG", noise())
    save(f"{apples}/from 2019/best/e.TIFF", noise("L"))
    _on_its_side(save, f"{apples}/photo.jpg", noise(), path)
    _transparent(save, cats, noise, path)
    _deep(save, cats, rng, size)
    save(f"{cats}/print.jpg", noise("RGB").convert("CMYK"))
    save(f"{cats}/old.gif", noise("L").convert("P"))
    for part in ("Valid", "testing"):
        for name in CLASSES:
            save(f"{part}/{name}/1.bmp", noise())
    for number in range(more):
        save(f"{apples}/more{number:02d}.png", noise().point(lambda value: value // 3))
        save(f"{cats}/more{number:02d}.png", noise().point(lambda value: 170 + value // 3))
    for name in ("Train/readme.md", f"{apples}/notes.txt", f"{apples}/.DS_Store"):
        path(name).write_text("no image")
    path(f"{cats}/from 2019/Thumbs.db").write_text("no image")
    path(f"__MACOSX/{CLASSES[0]}/._a.png").write_text("no image")
    path("licences/one.txt").write_text("no image")
    return expected


def damage(root):
    """Adds three files to the test part that are no images; returns their names."""
    folder = root / "testing" / CLASSES[0]
    whole = (root / "Train" / CLASSES[0] / "from 2019" / "d.JPEG").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("a text with the ending of an image")
    return [f"testing/{CLASSES[0]}/{name}" for name in ("cut.jpg", "empty.png", "text.jpg")]


def _on_its_side(save, name, image, path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path(name), exif=exif, quality=95)
    with Image.open(path(name)) as stored:
        shown = ImageOps.exif_transpose(stored)
        save(name, image.transpose(Image.Transpose.ROTATE_90), shown, exif=exif, quality=95)


def _transparent(save, folder, noise, path):
    """Red that is hidden behind transparency, in a strip of each kind of image."""
    width, height = noise().size
    mask = Image.new("L", (width, height), 255)
    mask.paste(0, (0, 0, width // 2, height))
    hidden = Image.new("RGB", (width, height), (255, 0, 0))
    shown = Image.composite(hidden, Image.new("RGB", (width, height), "white"), mask)
    rgba = hidden.copy()
    rgba.putalpha(mask)
    save(f"{folder}/rgba.png", rgba, shown)
    palette = Image.new("P", (width, height), 1)
    palette.putpalette([255, 0, 0, 255, 0, 0])
    palette.paste(0, (0, 0, width // 2, height))
    save(f"{folder}/palette.png", palette, shown, transparency=0)
    grey = Image.merge("LA", (Image.new("L", (width, height), 9), mask))
    dark = Image.composite(
        Image.new("RGB", (width, height), (9, 9, 9)),
        Image.new("RGB", (width, height), "white"),
        mask,
    )
    save(f"{folder}/la.png", grey, dark)


def _deep(save, folder, rng, size):
    values = rng.integers(0, 2**16, size[::-1], dtype=np.uint16)
    shown = np.rint(values / 257).astype(np.uint8)
    save(f"{folder}/deep.png", Image.fromarray(values), np.stack([shown] * 3, axis=-1))
    unit = rng.random(size[::-1], dtype=np.float32)
    shown = np.rint(unit.astype(np.float64) * 255).astype(np.uint8)
    save(f"{folder}/float.tif", Image.fromarray(unit), np.stack([shown] * 3, axis=-1))
