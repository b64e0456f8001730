"""Datasets that are arrays: the embedded digits and .npz files."""

import importlib.util
import logging
import pathlib
import zipfile
import zlib

import numpy as np

from keras_logitkd.data.dataset import HOLD_OUT, Dataset, Split, split_validation
from keras_logitkd.data.parts import PARTS
from keras_logitkd.data.sources import ArrayImages
from keras_logitkd.storage.errors import DataError, one_line
from keras_logitkd.storage.unpacking import check_zip

_log = logging.getLogger(__name__)


def load_digits():
    """Loads scikit-learn's 1,797 handwritten digits, 8x8x1, values 0..16.

    Returns:
        A `Dataset` with a fixed stratified split: 1,438 for training, 359 for testing.
    """
    # Reading the file spares the second that importing scikit-learn takes.
    package = pathlib.Path(importlib.util.find_spec("sklearn").origin).parent
    table = np.loadtxt(
        package / "datasets" / "data" / "digits.csv.gz", delimiter=",", dtype=np.uint8
    )
    images, labels = table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1].astype(np.int32)
    return hold_out("digits", images, labels, tuple("0123456789"))


def hold_out(name, images, labels, class_names, validation=None):
    """Makes a dataset as `of_arrays` does, with a fixed stratified 20% held out as test split."""
    parts = ((images[part], labels[part]) for part in split_validation(labels, HOLD_OUT))
    return of_arrays(name, class_names, *parts, validation)


def of_arrays(name, class_names, train, test, validation=None):
    """Makes a dataset that is held in memory.

    Args:
        name: the dataset's specification.
        class_names: tuple of strings.
        train, test: pairs of uint8 images (n, height, width, channels) and int32 labels (n,).
        validation: such a pair of the dataset's own validation part, which becomes the end of the
            training split. Defaults to None.

    Returns:
        A `Dataset`.
    """
    given = None
    if validation is not None:
        given = len(train[1]) + np.arange(len(validation[1]))
        train = tuple(map(np.concatenate, zip(train, validation, strict=True)))
    splits = [
        Split(part, labels, ArrayImages(images))
        for part, (images, labels) in (("train", train), ("test", test))
    ]
    return Dataset(name, tuple(class_names), train[0].shape[1:], *splits, validation=given)


def load_npz(path):
    """Loads an .npz file with x_train, y_train or images, labels, and what else it has.

    That are x_val, y_val (or x_valid, x_validation), x_test, y_test and class_names.

    Args:
        path: the file. Images are uint8 or exactly representable as such, (n, H, W) or (n, H, W,
            C); labels are integers 0..K-1, (n,) or (n, 1).

    Returns:
        A `Dataset`; without a test part a fixed stratified 20% is held out.

    Raises:
        DataError: if the file is missing, corrupt, or its arrays do not fit the above.
    """
    name = f"npz:{path}"
    arrays = _read_npz(pathlib.Path(path).expanduser())
    keys = ("x_train", "y_train") if "x_train" in arrays else ("images", "labels")
    if not set(keys) <= set(arrays):
        raise DataError(
            f"{name} must hold x_train, y_train[, x_test, y_test] or images, labels. "
            f"Received: {', '.join(sorted(arrays)) or 'no arrays'}"
        )
    images, labels = _part(name, arrays, *keys)
    class_names = _class_names(name, arrays, labels)
    words = [word for word in PARTS["validation"] if {f"x_{word}", f"y_{word}"} & set(arrays)]
    if len(words) > 1:
        raise DataError(f"{name} must hold one validation part. Received: {', '.join(words)}")
    train = images, labels
    validation = _other_part(name, arrays, words[0], train, class_names) if words else None
    test = _other_part(name, arrays, "test", train, class_names)
    if test is None:
        _log.info("%s has no test part: a fixed stratified 20%% is held out as test split.", name)
        return hold_out(name, images, labels, class_names, validation)
    return of_arrays(name, class_names, train, test, validation)


def _read_npz(path):
    if not path.is_file():
        raise DataError(f"npz:{path}: no such file.")
    parts = ("train", "test", *PARTS["validation"])
    wanted = {f"{axis}_{part}" for axis in "xy" for part in parts}
    wanted |= {"images", "labels", "class_names"}
    try:
        if zipfile.is_zipfile(path):
            check_zip(path)
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if key in wanted}
    except DataError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        ValueError,
        RuntimeError,  # encrypted, or a compression that zipfile does not know
        MemoryError,
    ) as error:
        raise DataError(
            f"npz:{path} is corrupt or no .npz file of plain arrays ({one_line(error)})."
        ) from error
    except (AttributeError, TypeError) as error:  # np.load returned a single array
        raise DataError(f"npz:{path} is not an .npz archive.") from error


def _other_part(name, arrays, word, train, class_names):
    """The images and labels of the part that a word names, or None where there is none."""
    keys = f"x_{word}", f"y_{word}"
    missing = [key for key in keys if key not in arrays]
    if len(missing) == 1:
        raise DataError(f"{name} must hold both {' and '.join(keys)}. Missing: {missing[0]}")
    if missing:
        return None
    images, labels = _part(name, arrays, *keys)
    if images.shape[1:] != train[0].shape[1:]:
        raise DataError(
            f"{name}: {word} images must have the shape of the training images. "
            f"Received: {images.shape[1:]}, training {train[0].shape[1:]}"
        )
    if labels.max() >= len(class_names):
        raise DataError(
            f"{name}: {keys[1]} must hold classes of y_train, 0..{len(class_names) - 1}. "
            f"Received: {labels.max()}"
        )
    return images, labels


def _part(name, arrays, image_key, label_key):
    """Returns the checked images and labels of one split."""
    images, labels = _images(name, image_key, arrays), _labels(name, label_key, arrays)
    if len(images) != len(labels) or not len(images):
        raise DataError(
            f"{name}: {image_key} and {label_key} must be equally many and not empty. "
            f"Received: {len(images)} images, {len(labels)} labels"
        )
    return images, labels


def _images(name, key, arrays):
    array = arrays[key]
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape[1:]:
        raise DataError(
            f"{name}: {key} must have shape (n, H, W), (n, H, W, 1) or (n, H, W, 3). "
            f"Received: shape {arrays[key].shape}"
        )
    return as_uint8(array, f"{name}: {key}")


def as_uint8(array, what):
    """Converts pixel values to uint8 without loss.

    Args:
        array: of booleans, integers in 0..255, or floats that are whole numbers in 0..255 or whole
            multiples of 1/255 in [0, 1].
        what: the name for the error message.

    Returns:
        uint8 array of the same shape; booleans and floats in [0, 1] are scaled by 255.

    Raises:
        DataError: if that would change a value.
    """
    if array.dtype == np.uint8 or not array.size:
        return array.astype(np.uint8)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must hold numbers. Received: dtype {array.dtype}")
    low, high = array.min(), array.max()
    unit = array.dtype.kind == "b" or (array.dtype.kind == "f" and high <= 1)
    output = np.empty(array.shape, np.uint8)
    exact = bool(low >= 0 and high <= 255)
    for start in range(0, len(array) if exact else 0, 4096):
        part = array[start : start + 4096].astype(np.float64) * (255 if unit else 1)
        rounded = np.rint(part)
        tolerance = 255 * float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0
        exact = exact and bool(np.all(np.abs(part - rounded) <= tolerance))
        output[start : start + 4096] = rounded
    if not exact:
        raise DataError(
            f"{what} must be uint8, or whole numbers in 0..255, or multiples of 1/255 in [0, 1]. "
            f"Received: {array.dtype} in [{low:.6g}, {high:.6g}]"
        )
    return output


def _labels(name, key, arrays):
    labels = arrays[key]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{name}: {key} must hold integer class numbers of shape (n,) or (n, 1). "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if len(labels) and (labels.min() < 0 or labels.max() > 2**31 - 1):
        raise DataError(
            f"{name}: {key} must hold classes 0..K-1. Received: {labels.min()}..{labels.max()}"
        )
    return labels.astype(np.int32)


def _class_names(name, arrays, labels):
    if "class_names" in arrays:
        class_names = tuple(str(value) for value in np.atleast_1d(arrays["class_names"]))
    else:
        class_names = tuple(str(value) for value in range(int(labels.max()) + 1))
        missing = len(class_names) - len(np.unique(labels))
        if missing:
            raise DataError(
                f"{name}: training labels must use every class 0..{len(class_names) - 1}. "
                f"Received: {missing} classes without examples"
            )
    if len(class_names) < 2 or labels.max() >= len(class_names):
        raise DataError(
            f"{name}: at least two classes are needed and labels must be below their count. "
            f"Received: {len(class_names)} classes, labels up to {labels.max()}"
        )
    return class_names
