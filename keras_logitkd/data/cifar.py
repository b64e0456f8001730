"""CIFAR-10 and CIFAR-100 in their binary version; archives are read without unpacking them."""

import dataclasses
import gzip
import pathlib
import tarfile
import zlib

import numpy as np

from keras_logitkd.data.arrays import of_arrays
from keras_logitkd.storage.errors import DataError, one_line

_PIXELS = 3 * 32 * 32
_LIMIT = 2**30


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The files of one version; each record is its labels and then the pixels."""

    archive: str
    train: tuple
    test: str
    label_keys: tuple
    name_files: tuple
    classes: tuple


_LAYOUTS = (
    _Layout(
        "cifar-10-binary.tar.gz",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test_batch.bin",
        ("label",),
        ("batches.meta.txt",),
        (10,),
    ),
    _Layout(
        "cifar-100-binary.tar.gz",
        ("train.bin",),
        "test.bin",
        ("coarse_label", "label"),
        ("coarse_label_names.txt", "fine_label_names.txt"),
        (20, 100),
    ),
)
_WANTED = {name for layout in _LAYOUTS for name in (*layout.train, layout.test, *layout.name_files)}
_PICKLED = {"data_batch_1", "test_batch", "batches.meta", "meta", "train", "test"}


def load_cifar(path, name):
    """Loads CIFAR-10 or CIFAR-100.

    Args:
        path: cifar-10-binary.tar.gz, cifar-100-binary.tar.gz, or the folder of their .bin files.
        name: the dataset's name.

    Returns:
        (Dataset, extras): `extras` holds per split a dict of further labels, int32 (n,), and under
        "names" their class names; it is empty but for CIFAR-100's "coarse_label".

    Raises:
        DataError: if files are missing, damaged, or those of the Python (pickle) version.
    """
    root = pathlib.Path(path).expanduser()
    if root.is_dir():
        files = _folder_files(root)
    elif root.is_file():
        files = _archive_files(root)
    else:
        raise DataError(f"{path}: no such archive or folder.")
    layout = next((each for each in _LAYOUTS if each.train[0] in files), None)
    if layout is None:
        raise _no_binaries(path, files)
    for file in (*layout.train, layout.test):
        if file not in files:
            raise DataError(f"{path} must hold {file} of {layout.archive}.")
    names = [
        _class_names(files.get(file), count)
        for file, count in zip(layout.name_files, layout.classes, strict=True)
    ]
    parts, extras = [], {}
    for part, part_files in (("train", layout.train), ("test", (layout.test,))):
        images, labels = _records(path, layout, [(file, files[file]) for file in part_files])
        parts.append((images, labels[:, -1]))
        if len(layout.label_keys) > 1:
            extras[part] = {layout.label_keys[0]: labels[:, 0]}
            extras["names"] = {layout.label_keys[0]: names[0]}
    return of_arrays(name, names[-1], *parts), extras


def _no_binaries(path, files):
    archives = " or ".join(layout.archive for layout in _LAYOUTS)
    if _PICKLED & set(files):
        return DataError(
            f"{path} is the Python version of CIFAR: pickle files can run any code and are not "
            f"read. Take the binary version: {archives}"
        )
    return DataError(f"{path} holds no CIFAR binary files. Allowed: {archives}, or their folder")


def _folder_files(root):
    folders = (root, *sorted(entry for entry in root.iterdir() if entry.is_dir()))
    found = {}
    for folder in folders:
        for file in folder.iterdir():
            if file.name in _WANTED | _PICKLED and file.is_file():
                found.setdefault(file.name, b"" if file.name in _PICKLED else file.read_bytes())
    return found


def _archive_files(path):
    """Reads the wanted members into memory; nothing is written, so no name can escape."""
    found = {}
    try:
        compressed = _is_sound_gzip(path)
        with tarfile.open(path, "r:gz" if compressed else "r:") as archive:
            for member in archive:
                file = pathlib.PurePosixPath(member.name).name
                if not member.isfile() or file not in _WANTED | _PICKLED:
                    continue
                if member.size > _LIMIT:
                    raise DataError(f"{path}: {member.name} is larger than {_LIMIT} bytes.")
                pickled = file in _PICKLED
                found.setdefault(file, b"" if pickled else archive.extractfile(member).read())
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged or no tar archive ({one_line(error)}).") from error
    return found


def _is_sound_gzip(path):
    """Reads a gzip file to its checksum, which tarfile does not look at; False if it is none."""
    with open(path, "rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return False
    size = 0
    with gzip.open(path) as file:
        while chunk := file.read(2**20):
            size += len(chunk)
            if size > _LIMIT:
                raise DataError(f"{path} unpacks to more than {_LIMIT} bytes.")
    return True


def _class_names(data, count):
    lines = () if data is None else tuple(data.decode("utf-8", "replace").split())
    return lines if len(lines) == count else tuple(map(str, range(count)))


def _records(path, layout, files):
    """Splits the records into images (n, 32, 32, 3) and labels (n, kinds of labels)."""
    kinds = len(layout.label_keys)
    for file, data in files:
        if not data or len(data) % (kinds + _PIXELS):
            raise DataError(
                f"{path}: {file} must be a multiple of {kinds + _PIXELS} bytes. "
                f"Received: {len(data)} bytes"
            )
    table = np.frombuffer(b"".join(data for _, data in files), np.uint8)
    table = table.reshape(-1, kinds + _PIXELS)
    labels = table[:, :kinds].astype(np.int32)
    for key, column, count in zip(layout.label_keys, labels.T, layout.classes, strict=True):
        if column.max() >= count:
            raise DataError(f"{path}: {key} must lie in 0..{count - 1}. Received: {column.max()}")
    return table[:, kinds:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
