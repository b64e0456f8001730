"""Images and labels in the IDX files of the MNIST family."""

import gzip
import itertools
import pathlib
import zlib

import numpy as np

from keras_logitkd.data.arrays import hold_out, of_arrays
from keras_logitkd.storage.errors import DataError, one_line

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_UNSIGNED_BYTES = 0x08
_LIMIT = 8 * 2**30


def load_idx(path, name):
    """Loads a folder of IDX files, gzipped or not.

    Args:
        path: folder with train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] and, with the
            prefix t10k or test, those of the test split.
        name: the dataset's name; "fashion_mnist" has its class names.

    Returns:
        A `Dataset` of images (height, width, 1); without test files a fixed stratified 20% is
        held out.

    Raises:
        DataError: if files are missing, truncated or no IDX files, or their counts differ.
    """
    root = pathlib.Path(path).expanduser()
    if not root.is_dir():
        raise DataError(f"{path}: no such folder of IDX files.")
    train = _part(root, ("train",))
    if train is None:
        raise DataError(
            f"{path} must hold train-images-idx3-ubyte and train-labels-idx1-ubyte, "
            "each perhaps with .gz."
        )
    test = _part(root, ("t10k", "test"))
    labels = train[1] if test is None else np.concatenate([train[1], test[1]])
    count = max(2, int(labels.max()) + 1)
    if name == "fashion_mnist" and count == len(FASHION_MNIST_CLASSES):
        class_names = FASHION_MNIST_CLASSES
    else:
        class_names = tuple(map(str, range(count)))
    if test is None:
        return hold_out(name, *train, class_names)
    if test[0].shape[1:] != train[0].shape[1:]:
        raise DataError(
            f"{path}: training and test images must have one size. "
            f"Received: {train[0].shape[1:3]} and {test[0].shape[1:3]}"
        )
    return of_arrays(name, class_names, train, test)


def _part(root, prefixes):
    """Reads the images and labels of one split, or returns None where there are none."""
    images_file = _find(root, prefixes, "images", 3)
    labels_file = _find(root, prefixes, "labels", 1)
    if images_file is None and labels_file is None:
        return None
    if images_file is None or labels_file is None:
        raise DataError(
            f"{root} must hold both images and labels. Received only: {images_file or labels_file}"
        )
    images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
    if len(images) != len(labels) or not len(images):
        raise DataError(
            f"{images_file} and {labels_file} must be equally many and not empty. "
            f"Received: {len(images)} images, {len(labels)} labels"
        )
    return images[..., None], labels.astype(np.int32)


def _find(root, prefixes, kind, rank):
    forms = itertools.product(prefixes, "-.", ("", ".gz"))
    paths = (root / f"{prefix}-{kind}{dot}idx{rank}-ubyte{end}" for prefix, dot, end in forms)
    return next((path for path in paths if path.is_file()), None)


def read_idx(path, rank):
    """Reads one IDX file of unsigned bytes.

    Args:
        path: the file; gzipped if it ends in .gz.
        rank: how many dimensions it must have.

    Returns:
        uint8 array of that rank.

    Raises:
        DataError: if the file is truncated, too long, damaged or something else.
    """
    path = pathlib.Path(path)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            magic = file.read(4)
            if magic != bytes((0, 0, _UNSIGNED_BYTES, rank)):
                raise DataError(
                    f"{path} must start with the IDX magic number 0000080{rank}. "
                    f"Received: {magic.hex() or 'an empty file'}"
                )
            header = file.read(4 * rank)
            shape = tuple(int(size) for size in np.frombuffer(header[: len(header) & ~3], ">u4"))
            size = int(np.prod(shape, dtype=object)) if len(shape) == rank else 0
            if size > _LIMIT:
                raise DataError(f"{path} declares a size of {shape}: more than {_LIMIT} bytes.")
            data = file.read(size)
            complete = len(shape) == rank and len(data) == size
            if not complete or file.read(1):
                raise DataError(
                    f"{path} declares the shape {shape} but is "
                    f"{'too long' if complete else 'truncated'}."
                )
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({one_line(error)}).") from error
    return np.frombuffer(data, np.uint8).reshape(shape)
