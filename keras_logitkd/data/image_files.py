"""Datasets whose images are files of their own: from what was found to a `Dataset`."""

import collections
import dataclasses
import functools
import logging
import pathlib

import numpy as np

from keras_logitkd.data import decoding, file_facts
from keras_logitkd.data.dataset import HOLD_OUT, Dataset, Split, split_validation
from keras_logitkd.data.sources import ArrayImages, Images
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import DataError

_SHOWN = 5

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Found:
    """The labelled image files of a dataset, none of them opened yet.

    Args:
        name: the dataset's specification.
        root: absolute pathlib.Path that files are named from in messages.
        class_names: tuple of strings.
        parts: dict of "train" and, where there are such parts, "validation" and "test", to pairs
            of a list of absolute paths and an int32 array of their classes.
        left_out: collections.Counter of reasons and how many files were left out for each.
    """

    name: str
    root: pathlib.Path
    class_names: tuple
    parts: dict
    left_out: collections.Counter = dataclasses.field(default_factory=collections.Counter)


class FileImages(Images):
    """Image files, decoded when they are needed.

    Args:
        root: pathlib.Path that files are named from in messages.
        paths: list of paths, in the order of the stable index.
        facts: list of their `file_facts.Facts`.
        classes: list of the names of their classes.
        shape: (height, width, channels); height and width are None where sizes vary.
        background: (red, green, blue) behind transparent pixels. Defaults to white.
    """

    def __init__(self, root, paths, facts, classes, shape, background=decoding.WHITE):
        self.root, self.paths, self.facts, self.classes = root, paths, facts, classes
        self.shape, self.background, self.count = shape, background, len(paths)

    @property
    def files(self):
        """Itself: `HeldFiles` has the same of its images."""
        return self

    def load(self, index):
        return decoding.decode(self.paths[int(index)], self.shape[-1], self.background)

    def short_side(self, index):
        fact = self.facts[int(index)]  # known without decoding the file
        return min(fact.height, fact.width)

    def encoded(self, index):
        """Returns image `index` for storing: its path if any reader decodes the file alike."""
        path = self.paths[index]
        pixels = self.load(index)  # a damaged file must not be stored
        return str(path) if decoding.is_plain(path, self.shape[-1]) else pixels

    def fingerprint(self):
        """Returns the sha256 (hex) of what the files hold, their classes and order, and how they
        are decoded. Names, places and times of the files have no part in it."""
        options = f"{decoding.VERSION} {self.shape[-1]} {self.background}\n"
        pairs = zip(self.classes, self.facts, strict=True)
        return hashing.of(options, *(f"{name}\0{fact.digest}\n" for name, fact in pairs))

    def name_of(self, index):
        """Returns how the file of image `index` is called in messages."""
        return short(self.paths[index], self.root)


class HeldFiles(ArrayImages):
    """Image files of one size, held in memory.

    Args:
        files: the `FileImages`.
    """

    def __init__(self, files):
        pixels = np.fromiter(
            files.read(range(len(files))), np.dtype((np.uint8, files.shape)), len(files)
        )
        super().__init__(pixels)
        self.files = files

    def fingerprint(self):
        """Returns that of the files."""
        return self.files.fingerprint()

    def encoded(self, index):
        return self.files.encoded(index)


def assemble(found, memory_budget, options, checked=False):
    """Makes a dataset of what was found.

    Without a test part a fixed stratified 20% of the training part is held out.

    Args:
        found: a `Found`.
        memory_budget: bytes; images of one size that fit are held in memory.
        options: the `specs.Options` of its specification.
        checked: whether all files are decoded first, or were before. Defaults to False: only those
            of a dataset that is held in memory, or of which unreadable ones are left out.

    Returns:
        A `Dataset`.

    Raises:
        DataError: if images are unreadable and not left out, or a class has none.
    """
    background = decoding.colour(options.background)
    paths = [path for part_paths, _ in found.parts.values() for path in part_paths]
    look = functools.partial(file_facts.examine, found.root, paths)
    facts = look(checked or options.skip_unreadable)
    shape = _common_shape(facts)
    held = None not in shape and len(paths) * int(np.prod(shape)) <= memory_budget
    if held:
        facts = look(True)
    known = dict(zip(paths, facts, strict=True))
    skipped = _skipped(found, known, options)
    parts = _with_test(found, _readable(found, known))
    _tell(found, parts, len(skipped))

    validation = None
    if len(own := parts.get("validation", ((), ()))[0]):
        validation = len(parts["train"][0]) + np.arange(len(own))

    def split(name, *sources):
        files = _files(found, [parts[part] for part in sources if part in parts], known)
        images = FileImages(found.root, *files[:3], shape, background)
        return Split(name, files[-1], HeldFiles(images) if held else images)

    splits = split("train", "train", "validation"), split("test", "test")
    return Dataset(
        found.name,
        found.class_names,
        shape,
        *splits,
        validation=validation,
        unreadable=tuple(skipped),
    )


def one_split(found, channels, memory_budget, options):
    """Makes a split of all that was found, after it was decoded; arguments as for `assemble`.

    Args:
        found: a `Found` with one part.
        channels: 1 for grey or 3 for RGB, whatever the images are.
        memory_budget: bytes; images of one size that fit are held in memory.
        options: the `specs.Options` of its specification.

    Returns:
        A `Split` with the name of what was found.

    Raises:
        DataError: if images are unreadable and not left out, or none is left.
    """
    ((part, (paths, labels)),) = found.parts.items()
    known = dict(zip(paths, file_facts.examine(found.root, paths, True), strict=True))
    skipped = _skipped(found, known, options)
    kept = [place for place, path in enumerate(paths) if known[path].problem is None]
    if not kept:
        raise DataError(f"{found.name}: none of its {len(paths):,} images can be read.")
    paths, labels = [paths[place] for place in kept], labels[kept]
    _tell(found, {part: (paths, labels)}, len(skipped))
    facts = [known[path] for path in paths]
    shape = (*_common_shape(facts)[:2], channels)
    background = decoding.colour(options.background)
    images = FileImages(found.root, paths, facts, [""] * len(paths), shape, background)
    held = None not in shape and len(paths) * int(np.prod(shape)) <= memory_budget
    return Split(found.name, labels, HeldFiles(images) if held else images)


def _files(found, parts, known):
    """Paths, facts, names of classes and labels of several parts, one after another."""
    paths = [path for part, _ in parts for path in part]
    labels = np.concatenate([part for _, part in parts])
    facts = [known[path] for path in paths]
    return paths, facts, [found.class_names[label] for label in labels], labels


def listed(items):
    """Returns a text of the first items of a list and the number of those after them."""
    more = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(map(str, items[:_SHOWN])) + more


def short(path, root):
    """Returns a path as it is named from a folder, or whole where it is outside of it."""
    path = pathlib.Path(path)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _common_shape(facts):
    """The images' shape, with None for sizes that vary."""
    readable = [fact for fact in facts if fact.problem is None]
    channels = 1 if readable and all(fact.is_grey for fact in readable) else 3
    sizes = {(fact.height, fact.width) for fact in readable}
    return (*(sizes.pop() if len(sizes) == 1 else (None, None)), channels)


def _skipped(found, known, options):
    """(file, reason) of those that cannot be read; DataError if they are not to be left out."""
    bad = [(short(p, found.root), fact.problem) for p, fact in known.items() if fact.problem]
    if bad and not options.skip_unreadable:
        names = listed([f"{name} ({problem})" for name, problem in bad])
        raise DataError(
            f"{found.name}: cannot read {len(bad):,} of {len(known):,} images: {names}. Mend or "
            "remove them, or leave them out with --skip-unreadable (?skip-unreadable behind the "
            "path)"
        )
    return bad


def _readable(found, known):
    """The parts without what cannot be read; DataError if a class has nothing to train on."""
    parts = {}
    for name, (paths, labels) in found.parts.items():
        kept = [place for place, path in enumerate(paths) if known[path].problem is None]
        parts[name] = [paths[place] for place in kept], labels[kept]
    empty = set(range(len(found.class_names))) - set(parts["train"][1].tolist())
    if empty:
        names = listed([found.class_names[label] for label in sorted(empty)])
        raise DataError(f"{found.name}: no image of the class {names} to train on can be read.")
    return parts


def _with_test(found, parts):
    if "test" in parts:
        return parts
    _log.info(
        "%s has no test part: a fixed stratified 20%% of the training part is held out as test "
        "split.",
        found.name,
    )
    paths, labels = parts["train"]
    kept, held = split_validation(labels, HOLD_OUT)
    train = [paths[place] for place in kept], labels[kept]
    return {**parts, "train": train, "test": ([paths[place] for place in held], labels[held])}


def _tell(found, parts, skipped):
    """Says what was read and what was not, once for each loading."""
    counts = ", ".join(f"{name} {len(paths):,}" for name, (paths, _) in parts.items())
    left_out = found.left_out + collections.Counter({"unreadable": skipped})
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())
    _log.info("%s: read %s images; left out: %s.", found.name, counts, reasons or "none")
    for name, (_, labels) in parts.items():
        if name not in found.parts or not len(labels):
            continue
        missing = sorted(set(range(len(found.class_names))) - set(labels.tolist()))
        if missing:
            names = listed([found.class_names[label] for label in missing])
            _log.warning("%s: no image of %s in the %s part.", found.name, names, name)
