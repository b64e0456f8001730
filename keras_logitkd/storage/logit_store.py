"""Teacher logits on disk: one per (view, example), exact, shared by every run on that teacher.

A store is a directory with `manifest.json` and one `view-N.npy` for each view, of shape
(examples, classes). The manifest says what the logits are a function of and holds a checksum of
every view and of itself. Files appear under their names only when they are complete.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import math
import pathlib
from typing import ClassVar

import numpy as np

from keras_logitkd.storage import hashing
from keras_logitkd.storage.atomic import replacing, write_json
from keras_logitkd.storage.hashing import model_fingerprint  # noqa: F401 (public here)
from keras_logitkd.storage.lock import NAME, FileLock
from keras_logitkd.storage.schema import Described

FORMAT = 1
DTYPES = ("float32", "float16")
MEMORY_BUDGET = 2**30  # bytes of views that are kept in memory; larger ones are memory-mapped


class DamagedStoreError(ValueError):
    """A manifest or a view is not what was written."""


@dataclasses.dataclass(frozen=True)
class StoreKey(Described):
    """What stored logits are a function of. Two stores with equal keys hold equal logits.

    Args:
        teacher: fingerprint of the teacher, see `model_fingerprint`; several joined by commas.
        dataset: fingerprint of the split: its images and labels in their order.
        examples: fingerprint of the examples that are used and their order.
        count: number of examples.
        classes: number of classes.
        preprocessing: what is done to an image, a dict of JSON values.
        view_seed: of the views. Defaults to 0.
        dtype: `"float32"` or `"float16"`. Defaults to `"float32"`.

    Raises:
        ValueError: If `dtype` is another, or `count` or `classes` is not positive.
    """

    ALWAYS: ClassVar = (
        *("teacher", "dataset", "examples", "count", "classes", "preprocessing"),
        *("view_seed", "dtype"),
    )

    teacher: str
    dataset: str
    examples: str
    count: int
    classes: int
    preprocessing: dict
    view_seed: int = 0
    dtype: str = "float32"

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise ValueError(
                f"`dtype` must be one of {', '.join(DTYPES)}. Received: dtype={self.dtype!r}"
            )
        if self.count < 1 or self.classes < 1:
            raise ValueError(
                "`count` and `classes` must be at least 1. "
                f"Received: count={self.count}, classes={self.classes}"
            )

    @property
    def view_bytes(self):
        """Size of one view, without the header of its file."""
        return self.count * self.classes * np.dtype(self.dtype).itemsize

    def digest(self):
        """Returns the sha256 (hex) of all fields."""
        return hashing.of_json(self.to_config())


class LogitStore:
    """Logits of a teacher under numbered views.

    Args:
        path: directory of the store; it is created with the first view.
        key: the `StoreKey` of the logits at hand. Defaults to None: that of the manifest.
        about: dict of JSON values for people, no part of the key. Defaults to none.
        memory_budget: bytes of views that are kept in memory. Defaults to 1 GiB.

    Attributes:
        key: the `StoreKey`.
        classes: number of classes.

    Raises:
        DamagedStoreError: If the manifest was edited or cannot be read.
        ValueError: If the store holds other logits; the message names the fields that differ.
    """

    def __init__(self, path, key=None, about=None, memory_budget=MEMORY_BUDGET):
        self.path = pathlib.Path(path)
        self.key, self.about = key, about or {}
        self._memory_budget = memory_budget
        self._open = collections.OrderedDict()
        self._checksums = {}
        self._reload()
        if self.key is None:
            raise ValueError(f"There is no logit store at {self.path}: it has no manifest.json")
        self.classes = self.key.classes

    @property
    def views(self):
        """Numbers of the views that are complete, sorted."""
        return sorted(self._checksums)

    @property
    def size(self):
        """Bytes of all its files."""
        return sum(file.stat().st_size for file in self.path.glob("*"))

    def read(self, view):
        """Returns a view, checked against its checksum when it is first read.

        Args:
            view: integer >= 0.

        Returns:
            Array of shape (count, classes) that cannot be written; memory-mapped where a view is
            larger than the memory budget.

        Raises:
            KeyError: If the view is not there.
            DamagedStoreError: If its bytes are not those that were written.
        """
        if view in self._open:
            return self._open[view]
        array = self._load(view)
        self._open[view] = array
        while len(self._open) > 2 and len(self._open) * self.key.view_bytes > self._memory_budget:
            self._open.popitem(last=False)
        return array

    def fill(self, view, logits):
        """Writes a view, unless it is there; another process that fills it is waited for.

        Args:
            view: integer >= 0.
            logits: iterable of arrays (n, classes), in the order of the examples. It is begun
                only if the view is missing.

        Raises:
            ValueError: If the logits are too few, too many or not finite in the store's dtype.
            OSError: If the store cannot be written; nothing incomplete is left behind.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._reload()
            if view in self._checksums:
                return
            for partial in self.path.glob(".[0-9]*.*"):  # of killed processes: the lock is ours
                partial.unlink(missing_ok=True)
            self._checksums[view] = self._write(view, logits)
            self._write_manifest()

    def drop(self, view):
        """Forgets a view and removes its file, so that it is filled again."""
        with self._locked():
            self._reload()
            self._checksums.pop(view, None)
            self._open.pop(view, None)
            self._write_manifest()
            self._view_file(view).unlink(missing_ok=True)

    @staticmethod
    def discard(path):
        """Removes the files of a store, damaged or not, and its directory if that is empty then."""
        path = pathlib.Path(path)
        for file in (*path.glob("view-*.npy"), *path.glob(".*"), path / "manifest.json"):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()

    def _view_file(self, view):
        return self.path / f"view-{view:05d}.npy"

    def _load(self, view):
        if view not in self._checksums:
            raise KeyError(f"{self.path} has no view {view}")
        file, damaged = self._view_file(view), f"View {view} of {self.path} is damaged: "
        in_memory = self.key.view_bytes <= self._memory_budget
        try:
            array = np.load(file, mmap_mode=None if in_memory else "r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DamagedStoreError(f"{damaged}{error}") from error
        expected = (self.key.count, self.key.classes), np.dtype(self.key.dtype)
        if (array.shape, array.dtype) != expected:
            raise DamagedStoreError(f"{damaged}it is {array.dtype} of shape {array.shape}")
        if hashing.of_rows(array) != self._checksums[view]:
            raise DamagedStoreError(f"{damaged}its checksum is another")
        array.flags.writeable = False
        return array

    def _write(self, view, logits):
        """Writes the file of a view. Returns its checksum."""
        file, shape = self._view_file(view), (self.key.count, self.key.classes)
        header = {"descr": np.dtype(self.key.dtype).str, "fortran_order": False, "shape": shape}
        digest, rows = hashlib.sha256(), 0
        with replacing(file) as partial, partial.open("wb") as out:
            np.lib.format.write_array_header_1_0(out, header)
            for part in logits:
                data = self._checked(part)
                out.write(data)
                digest.update(data)
                rows += len(data)
            if rows != self.key.count:
                raise ValueError(f"A view must have {self.key.count} rows. Received: {rows}")
        return digest.hexdigest()

    def _checked(self, part):
        part = np.asarray(part)
        if part.ndim != 2 or part.shape[1] != self.key.classes:
            raise ValueError(
                f"Logits must have shape (n, {self.key.classes}). Received: {part.shape}"
            )
        with np.errstate(over="ignore"):
            data = np.ascontiguousarray(part, dtype=self.key.dtype)
        if not np.isfinite(data).all():
            raise ValueError(f"The teacher's logits are not finite numbers in {self.key.dtype}")
        return data

    def _reload(self):
        """Reads the manifest; without one the store is empty."""
        file = self.path / "manifest.json"
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
            checksum = manifest.pop("checksum")
            if manifest["format"] != FORMAT:
                raise ValueError(
                    f"{file} must have format {FORMAT}. Received: {manifest['format']}"
                )
            if checksum != hashing.of_json(manifest):
                raise DamagedStoreError(f"{file} is damaged: its checksum is another")
        except FileNotFoundError:
            self._checksums = {}
            return
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as e:
            raise DamagedStoreError(f"{file} is damaged: {e!r}") from e
        stored = StoreKey(**manifest["key"])
        if self.key is None:
            self.key, self.about = stored, manifest["about"]
        if names := _differing(self.key, stored):
            raise ValueError(
                f"The logit store {self.path} holds other logits: {', '.join(names)} differ(s)"
            )
        self._checksums = {int(view): checksum for view, checksum in manifest["views"].items()}

    def _write_manifest(self):
        manifest = {
            "format": FORMAT,
            "key": self.key.to_config(),
            "about": self.about,
            "views": {str(view): self._checksums[view] for view in self.views},
        }
        manifest["checksum"] = hashing.of_json(manifest)
        write_json(self.path / "manifest.json", manifest)

    def _locked(self):
        """Keeps other processes from writing, and waits for one that does."""
        return FileLock(self.path / NAME).held(math.inf)


def _differing(first, second):
    ours, theirs = first.to_config(), second.to_config()
    return [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
