"""The directory of logit stores that runs share, and how what a run lacks is filled."""

import dataclasses
import logging
import os
import pathlib
import shutil

import numpy as np

from keras_logitkd.runs import evaluation
from keras_logitkd.storage import hashing
from keras_logitkd.storage.logit_store import DamagedStoreError, LogitStore, StoreKey

LIMIT = 20 * 10**9  # bytes of all stores together
_RESERVE = 10**9  # bytes of the disk that stay free
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LogitCache:
    """Logit stores below one directory, each named by the digest of its key.

    Args:
        directory: where the stores are.
        limit: bytes that all of them may take. Defaults to 20 GB.
        dtype: of new stores, `"float32"` or `"float16"`. Defaults to `"float32"`.
    """

    directory: str
    limit: int = LIMIT
    dtype: str = "float32"

    def to_config(self):
        """Returns the fields as JSON types, the same from every working directory."""
        return {**dataclasses.asdict(self), "directory": os.path.abspath(self.directory)}

    def store(self, teachers, split, indices, classes, preprocessing, view_seed=0):
        """Returns the `LogitStore` of some teachers; a damaged manifest begins it anew.

        Args:
            teachers: list of `Teacher`; one that is not trained yet is trained.
            split: a `Split`.
            indices: integer array (n,): row i is the example `indices[i]`.
            classes: number of classes.
            preprocessing: what is done to an image, a dict of JSON values.
            view_seed: of the views. Defaults to 0.
        """
        indices = np.ascontiguousarray(indices, dtype="<i8")
        key = StoreKey(
            teacher=",".join(teacher.fingerprint() for teacher in teachers),
            dataset=split.fingerprint(),
            examples=hashing.of(indices),
            count=len(indices),
            classes=classes,
            preprocessing=preprocessing,
            view_seed=view_seed,
            dtype=self.dtype,
        )
        about = {
            "teacher": ",".join(teacher.label for teacher in teachers),
            "split": split.name,
        }
        path = pathlib.Path(self.directory) / key.digest()[:16]
        try:
            return LogitStore(path, key, about)
        except DamagedStoreError as error:
            _log.warning("%s; the store begins anew", error)
            LogitStore.discard(path)
            return LogitStore(path, key, about)

    def stores(self):
        """Returns (path, store) of every store, by name; the store is None where it is damaged."""
        found = []
        for manifest in sorted(pathlib.Path(self.directory).glob("*/manifest.json")):
            try:
                found.append((manifest.parent, LogitStore(manifest.parent)))
            except ValueError:
                found.append((manifest.parent, None))
        return found

    def knows(self, teacher, split):
        """Whether there are logits of a teacher for a split, given their fingerprints."""
        return any(
            store is not None
            and store.key.dataset == split
            and teacher in store.key.teacher.split(",")
            for _, store in self.stores()
        )

    def size(self):
        """Returns the bytes of all stores."""
        files = pathlib.Path(self.directory).glob("*/*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def check_space(self, store, views):
        """Raises ValueError if those of some views that a store lacks would not fit."""
        needed = len(set(views) - set(store.views)) * store.key.view_bytes
        used = self.size()
        if needed and used + needed > self.limit:
            raise ValueError(
                f"The logit cache {self.directory} may take {_gigabytes(self.limit)}. It has "
                f"{_gigabytes(used)} and would need {_gigabytes(needed)} more: raise "
                "--cache-limit, lower --views, prune it, or run with --no-cache"
            )
        place = next(p for p in (store.path, *store.path.absolute().parents) if p.exists())
        free = max(0, shutil.disk_usage(place).free - _RESERVE)
        if needed > free:
            raise ValueError(
                f"The disk of the logit cache {self.directory} has {_gigabytes(free)} to "
                f"give, and {_gigabytes(needed)} would be needed: lower --views, or run with "
                "--no-cache"
            )


def ensure(store, view, batches, teachers):
    """Returns a view of a store, filled where it was missing or damaged: (examples, classes).

    Args:
        store: a `LogitStore`.
        view: integer >= 0.
        batches: function that returns records in the order of the store's rows.
        teachers: function that returns the teachers' models; called only to fill.
    """
    try:
        return store.read(view)
    except KeyError:
        pass
    except DamagedStoreError as error:
        _log.warning("%s; it is computed again", error)
        store.drop(view)
    store.fill(view, evaluation.averaged_logits(teachers, batches))
    return store.read(view)


def _gigabytes(count):
    return f"{count / 1e9:.3g} GB"
