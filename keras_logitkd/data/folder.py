"""Datasets that are folders of image files, one folder per class."""

import contextlib
import logging
import pathlib

import numpy as np
from PIL import Image

from keras_logitkd.data.arrays import HOLD_OUT
from keras_logitkd.data.dataset import Dataset, Split, split_validation
from keras_logitkd.data.sources import ArrayImages, Images
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import DataError, one_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_GREY_MODES = ("1", "L", "LA")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")

_log = logging.getLogger(__name__)


class FileImages(Images):
    """Image files, decoded when they are needed (the first frame of a GIF).

    Args:
        root: the folder of the dataset.
        paths: list of paths, in the order of the stable index.
        shape: (height, width, channels); height and width are None where sizes vary.
    """

    def __init__(self, root, paths, shape):
        self.root, self.paths, self.shape = root, paths, shape
        self.count = len(paths)

    def load(self, index):
        return decode(self.paths[int(index)], self.shape[-1])

    def encoded(self, index):
        """Returns image `index` for storing: its path if any reader decodes the file alike."""
        path = self.paths[index]
        with Image.open(path) as image:
            plain = image.mode == ("L" if self.shape[-1] == 1 else "RGB")
            portable = plain and image.format in ("JPEG", "PNG")
        pixels = self.load(index)  # a damaged file must not be stored
        return str(path) if portable else pixels

    def fingerprint(self):
        """Returns the sha256 (hex) of names, sizes and modification times of the files."""
        parts = [repr(self.shape)]
        for path in self.paths:
            stat = path.stat()
            name = path.relative_to(self.root).as_posix()
            parts.append(f"{name}\0{stat.st_size}\0{int(stat.st_mtime)}\n")
        return hashing.of(*parts)


def decode(path, channels):
    """Reads an image file as uint8 array (height, width, channels), 1 for grey or 3 for RGB.

    Transparency is dropped.

    Raises:
        DataError: if the file is no readable image.
    """
    with _opened(path) as image:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


@contextlib.contextmanager
def _opened(path):
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"Cannot read the image {path} ({one_line(error)}).") from error


def load_folder(path, memory_budget):
    """Loads PATH/train/CLASS/* and PATH/test/CLASS/*, or PATH/CLASS/* with a held-out 20%.

    Args:
        path: the folder; images are .png, .jpg, .jpeg, .bmp or .gif.
        memory_budget: bytes; images of one size that fit are held in memory.

    Returns:
        A `Dataset`; classes and files are in sorted order.

    Raises:
        DataError: if there is no such folder, a class has no images, the classes of training and
            test differ, there is only one class, or an image is unreadable.
    """
    root = pathlib.Path(path).expanduser()
    name = f"folder:{path}"
    if not root.is_dir():
        raise DataError(f"{name}: no such folder.")
    parted = (root / "train").is_dir() or (root / "test").is_dir()
    if parted and not ((root / "train").is_dir() and (root / "test").is_dir()):
        raise DataError(f"{name} must hold both folders, train and test, or class folders only.")
    class_names, paths, labels = _class_files(name, root / "train" if parted else root)
    if parted:
        test_names, test_paths, test_labels = _class_files(name, root / "test")
        if test_names != class_names:
            odd = ", ".join(sorted(set(test_names) ^ set(class_names)))
            raise DataError(f"{name}: train and test must hold the same classes. Different: {odd}")
    else:
        _log.info("%s has no test part: a fixed stratified 20%% is held out as test split.", name)
        kept, held = split_validation(labels, HOLD_OUT)
        test_paths, test_labels = [paths[i] for i in held], labels[held]
        paths, labels = [paths[i] for i in kept], labels[kept]
    shape = _common_shape(paths + test_paths)
    count = len(paths) + len(test_paths)
    in_memory = None not in shape and count * int(np.prod(shape)) <= memory_budget

    def split(part, part_paths, part_labels):
        images = FileImages(root, part_paths, shape)
        if in_memory:
            pixels = images.read(range(len(images)))
            images = ArrayImages(np.fromiter(pixels, np.dtype((np.uint8, shape)), len(images)))
        return Split(part, part_labels, images)

    parts = split("train", paths, labels), split("test", test_paths, test_labels)
    return Dataset(name, class_names, shape, *parts)


def _class_files(name, root):
    """Lists a folder of class folders: class names, sorted paths, int32 labels."""
    # Hidden entries and __MACOSX are what operating systems leave in copied folders.
    folders = sorted(
        entry
        for entry in root.iterdir()
        if entry.is_dir() and not entry.name.startswith((".", "__"))
    )
    paths, labels = [], []
    for label, folder in enumerate(folders):
        files = sorted(
            file
            for file in folder.iterdir()
            if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
        )
        if not files:
            raise DataError(
                f"{name}: no images in the class folder {folder}. "
                f"Allowed: files that end in {', '.join(SUFFIXES)}"
            )
        paths += files
        labels += [label] * len(files)
    if len(folders) < 2:
        raise DataError(
            f"{name}: {root} must hold at least two class folders with images. "
            f"Received: {len(folders)}"
        )
    return tuple(folder.name for folder in folders), paths, np.array(labels, np.int32)


def _common_shape(paths):
    """Opens every file's header: the images' shape, with None for sizes that vary."""
    sizes, modes = set(), set()
    for path in paths:
        with _opened(path) as image:
            sizes.add(image.size)
            mode = image.mode
        if mode not in _GREY_MODES + _COLOUR_MODES:
            raise DataError(f"Images must have 8 bits a channel. Received: {path}, mode {mode}")
        modes.add(mode)
    channels = 1 if modes.issubset(_GREY_MODES) else 3
    if len(sizes) > 1:
        return (None, None, channels)
    width, height = sizes.pop()
    return (height, width, channels)
