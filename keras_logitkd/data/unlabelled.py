"""Images without labels, for students to learn from what their teacher says of them."""

import os
import pathlib

import numpy as np

from keras_logitkd.data import decoding, folder, image_files, specs
from keras_logitkd.data.dataset import Split
from keras_logitkd.data.sources import ArrayImages, Images
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import DataError

NO_LABEL = -1


class JoinedImages(Images):
    """The images of two sources, one after the other.

    Args:
        first, second: sources of images with the same number of channels.
    """

    def __init__(self, first, second):
        self.sources = first, second
        self.count = len(first) + len(second)
        sides = [a if a == b else None for a, b in zip(first.shape, second.shape, strict=True)]
        varies = None in sides[:2]
        self.shape = (None, None, first.shape[-1]) if varies else first.shape

    def load(self, index):
        first, second = self.sources
        index = int(index)
        return first.load(index) if index < len(first) else second.load(index - len(first))

    def fingerprint(self):
        """Returns the sha256 (hex) of both sources."""
        return hashing.of(*(source.fingerprint() for source in self.sources))


def load_unlabelled(spec, dataset, memory_budget):
    """Loads all images of a folder and of the folders in it, whatever these are called.

    Every file is decoded first, as `image_files.assemble` does it.

    Args:
        spec: "folder:DIR" with options as in `specs`.
        dataset: the `Dataset` with labels that they stand beside; it says whether they are grey.
        memory_budget: bytes; images of one size that fit are held in memory.

    Returns:
        A `Split` with the specification as its name and `NO_LABEL` for each image, sorted by path.

    Raises:
        DataError: if it is no such folder, has no images, or some are unreadable.
    """
    if specs.kind_of(spec) != "folder":
        raise DataError(f"Images without labels must be folder:DIR. Received: {spec!r}")
    path, options = specs.parse(spec)
    root = pathlib.Path(os.path.abspath(pathlib.Path(path).expanduser()))
    if not root.is_dir():
        raise DataError(f"{spec}: no such folder. Received: {root}")
    paths, left_out = folder.find_unlabelled(spec, root)
    if not paths:
        raise DataError(
            f"{spec}: no images in {root}. "
            f"Allowed: files that end in {', '.join(decoding.SUFFIXES)}"
        )
    labels = np.full(len(paths), NO_LABEL, np.int32)
    found = image_files.Found(spec, root, (), {"unlabelled": (paths, labels)}, left_out)
    return image_files.one_split(found, dataset.image_shape[-1], memory_budget, options)


def joined(split, others):
    """Returns a `Split` of the examples of one and then those of another."""
    first, second = split.images, others.images
    if first.in_memory and second.in_memory and first.shape == second.shape:
        images = _Held(JoinedImages(first, second))
    else:
        images = JoinedImages(first, second)
    return Split(split.name, np.concatenate([split.labels, others.labels]), images)


class _Held(ArrayImages):
    """Joined images in memory, with the fingerprint of their sources."""

    def __init__(self, images):
        super().__init__(np.concatenate([source.array for source in images.sources]))
        self._joined_fingerprint = images.fingerprint()

    def fingerprint(self):
        return self._joined_fingerprint
