"""Datasets that are folders of image files, one folder per class."""

import collections
import contextlib
import os
import pathlib

import numpy as np

from keras_logitkd.data import decoding, image_files, specs
from keras_logitkd.data.parts import PARTS, part_of
from keras_logitkd.storage.errors import DataError, one_line


def load_folder(spec, memory_budget, checked=False):
    """Loads DIR/train/CLASS/..., DIR/val/CLASS/... and DIR/test/CLASS/..., or DIR/CLASS/....

    The parts may have any of the names of `parts.PARTS`, in upper or lower case. Files may be in
    folders inside a class.

    Args:
        spec: "folder:DIR" with options as in `specs`.
        memory_budget: bytes; images of one size that fit are held in memory.
        checked: whether every file is decoded first, see `image_files.assemble`.

    Returns:
        A `Dataset`; classes and files are in sorted order.

    Raises:
        DataError: if there is no such folder, a part is there twice, training has no class or one
            only, a class has no images, another part has classes that training does not have, or
            images are unreadable.
    """
    path, options = specs.parse(spec)
    root = pathlib.Path(os.path.abspath(pathlib.Path(path).expanduser()))
    if not root.is_dir():
        raise DataError(f"{spec}: no such folder. Received: {root}")
    return image_files.assemble(find(spec, root), memory_budget, options, checked)


def find(name, root):
    """Lists the labelled images of a folder without opening them.

    Args:
        name: the dataset's specification, for messages.
        root: absolute pathlib.Path of a folder.

    Returns:
        An `image_files.Found`.

    Raises:
        DataError: as `load_folder`, but for unreadable images.
    """
    left_out = collections.Counter()
    with _listing(name):
        return _found(name, root, left_out)


def find_unlabelled(name, root):
    """Lists all images of a folder, whatever the folders in it are called.

    Arguments are those of `find`.

    Returns:
        (paths, left_out): sorted list of pathlib.Path, and Counter of reasons for other files.

    Raises:
        DataError: if the folder cannot be listed.
    """
    left_out = collections.Counter()
    with _listing(name):
        return _images_of(root, left_out), left_out


@contextlib.contextmanager
def _listing(name):
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}: {error.filename}"
        raise DataError(f"{name} cannot be listed ({one_line(reason)}).") from error


def _found(name, root, left_out):
    folders = _parts(name, root, left_out)
    classes = {part: _class_folders(folder, left_out) for part, folder in folders.items()}
    class_names = tuple(sorted(classes["train"]))
    if len(class_names) < 2:
        raise DataError(
            f"{name}: {folders['train']} must hold at least two class folders with images. "
            f"Received: {len(class_names)}"
        )
    parts = {}
    for part, by_name in classes.items():
        odd = sorted(set(by_name) - set(class_names))
        if odd:
            raise DataError(
                f"{name}: train and {part} must hold the same classes. Different: "
                f"{', '.join(sorted(set(by_name) ^ set(class_names)))}"
            )
        parts[part] = _labelled(class_names, by_name, left_out)
        _check_filled(name, part, folders[part], class_names, parts[part][1])
    return image_files.Found(name, root, class_names, parts, left_out)


def _parts(name, root, left_out):
    """The folder of each part; the root alone where it has class folders itself."""
    named = collections.defaultdict(list)
    folders, files = _entries(root, left_out)
    for entry in folders:
        named[part_of(entry.name)].append(entry)
    # A class may be called "valid"; with "train" or "test" beside it, it is a part.
    if "train" not in named and "test" not in named:
        left_out["outside of class folders"] += len(files)
        return {"train": root}
    for part, found in named.items():
        if part is not None and len(found) > 1:
            raise DataError(
                f"{name} must hold one folder for the {part} part. Received: "
                f"{' and '.join(sorted(entry.name for entry in found))}"
            )
    if "train" not in named:
        raise DataError(
            f"{name} must hold a folder of the training part ({' or '.join(PARTS['train'])}) "
            f"beside {named['test'][0].name}, or class folders only"
        )
    others = [file for folder in named.pop(None, ()) for file in _files(folder, left_out)]
    left_out["outside of the parts"] += len(files + others)
    parts = {part: named[part][0] for part in PARTS if part in named}
    for part, folder in parts.items():
        if not _entries(folder, collections.Counter())[0]:
            raise DataError(
                f"{name}: {folder} is read as the {part} part and must hold class folders. "
                "Received: none. Rename it if it is a class"
            )
    return parts


def _class_folders(folder, left_out):
    folders, files = _entries(folder, left_out)
    left_out["outside of class folders"] += len(files)
    return {entry.name: entry for entry in folders}


def _labelled(class_names, by_name, left_out):
    """The sorted images of class folders, and their classes as int32."""
    paths, labels = [], []
    for label, class_name in enumerate(class_names):
        images = _images_of(by_name[class_name], left_out) if class_name in by_name else []
        paths += images
        labels += [label] * len(images)
    return paths, np.array(labels, np.int32)


def _images_of(folder, left_out):
    """The images in a folder and in those inside it, sorted; other files are left out."""
    files = _files(folder, left_out)
    for file in files:
        if not decoding.is_image(file):
            left_out[file.suffix.lower() or "without an ending"] += 1
    return [file for file in files if decoding.is_image(file)]


def _check_filled(name, part, folder, class_names, labels):
    """Refuses a class without training images, and a part without any."""
    counts = np.bincount(labels, minlength=len(class_names))
    if part == "train" and not counts.all():
        empty = folder / class_names[int(np.argmin(counts))]
        raise DataError(
            f"{name}: no images in the class folder {empty}. "
            f"Allowed: files that end in {', '.join(decoding.SUFFIXES)}"
        )
    if not counts.any():
        raise DataError(f"{name}: no images in {folder}. Remove it, or put some there")


def _files(folder, left_out):
    """All files of a folder and of those inside it, sorted; hidden ones are left out."""
    files, seen = [], {os.path.realpath(folder)}
    for here, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        kept = [name for name in folders if not _is_hidden(name)]
        # A link to a folder around it would have no end.
        places = {name: os.path.realpath(os.path.join(here, name)) for name in kept}
        folders[:] = [name for name in kept if places[name] not in seen]
        seen |= set(places.values())
        left_out["hidden"] += sum(map(_is_hidden, names))
        files += [pathlib.Path(here, name) for name in names if not _is_hidden(name)]
    return sorted(files)


def _raise(error):
    raise error  # by itself, os.walk leaves out what it may not read


def _entries(folder, left_out):
    """The folders and the files in a folder, sorted; hidden ones are left out."""
    entries = sorted(folder.iterdir())
    visible = [entry for entry in entries if not _is_hidden(entry.name)]
    left_out["hidden"] += len(entries) - len(visible)
    folders = [entry for entry in visible if entry.is_dir()]
    return folders, [entry for entry in visible if not entry.is_dir()]


def _is_hidden(name):
    """Whether it is what operating systems leave in copied folders."""
    return name.startswith((".", "__")) or name.lower() in ("thumbs.db", "desktop.ini")
