"""Checkpoints on disk: arrays, and beside them a JSON file with what they are and their checksums.

`checkpoint-E-S.json` is the state after S steps of the epoch that follows E finished ones. It
counts only together with its arrays: `checkpoint-E-S.npz`, and `best-B.npz` of the best epoch so
far. The last two are kept.
"""

import contextlib
import dataclasses
import logging
import re
import shutil

import numpy as np

from keras_logitkd.storage import hashing
from keras_logitkd.storage.atomic import StorageError, read_json, replacing, write_json

FORMAT = 1
_KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)-(\d+)\.json")
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a training is.

    Args:
        epoch: finished epochs. Defaults to 0.
        step: steps of the epoch after them. Defaults to 0.
        rows: the metrics of the finished epochs, as in metrics.csv. Defaults to none.
        best: epoch and validation accuracy of the best epoch so far. Defaults to None.
        best_digest: checksum of the best epoch's arrays. Defaults to None.
        seconds: how long it took. Defaults to 0.
    """

    epoch: int = 0
    step: int = 0
    rows: tuple = ()
    best: dict | None = None
    best_digest: str | None = None
    seconds: float = 0.0

    @property
    def stem(self):
        """The name of its files without their ending."""
        return f"checkpoint-{self.epoch}-{self.step}"

    @property
    def place(self):
        """For people: after which epoch and step."""
        return f"epoch {self.epoch}" + (f", step {self.step} of the next" if self.step else "")


def save(directory, progress, arrays):
    """Writes a checkpoint, reads it again, and only then removes those before the last one.

    The best arrays of the `Progress` are written already.

    Raises:
        StorageError: If it cannot be written, or what was read is not what was written.
    """
    file = directory.path / f"{progress.stem}.npz"
    digest = write_arrays(file, arrays)
    content = {"format": FORMAT, **dataclasses.asdict(progress), "digest": digest}
    content["checksum"] = hashing.of_json(content)
    write_json(directory.path / f"{progress.stem}.json", content)
    try:
        _read(directory, progress.stem)
    except Exception as error:  # The parser of a damaged zip raises whatever it meets.
        raise StorageError(f"{file} is not what was written to it ({error})") from error
    _prune(directory)


def load_newest(directory):
    """Reads the newest checkpoint that is whole; newer ones are removed with a warning.

    Returns:
        (`Progress`, dict of name to array), or (None, None) where there is no checkpoint.

    Raises:
        ValueError: If there are checkpoints and all of them are damaged.
    """
    stems = _stems(directory)
    for number, stem in enumerate(stems):
        try:
            found = _read(directory, stem)
        except Exception as error:  # as above
            reason = " ".join(str(error).split())
            _log.warning("The checkpoint %s is damaged: %s", directory.path / stem, reason)
            continue
        for damaged in stems[:number]:
            _remove(directory, damaged)
        if number:
            _log.warning("%s goes on from the one before: %s", directory.name, found[0].place)
        return found
    if stems:
        raise ValueError(
            f"Every checkpoint in {directory.path} is damaged. "
            "Run again without --resume to begin anew"
        )
    return None, None


def copy_newest(past, directory):
    """Gives a run the newest checkpoint of another one, if that has any and it has none itself."""
    progress = None if _stems(directory) else load_newest(past)[0]
    if progress is None:
        return
    names = [f"{progress.stem}.npz", *([best_name(progress.best)] if progress.best else [])]
    for name in (*names, f"{progress.stem}.json"):  # the last one makes it count
        with replacing(directory.path / name) as partial:
            shutil.copyfile(past.path / name, partial)


def best_name(best):
    """Returns the name of the file with the arrays of the best epoch."""
    return f"best-{best['epoch']}.npz"


def write_arrays(path, arrays):
    """Writes arrays as .npz, whole or not at all. Returns their checksum."""
    with replacing(path) as partial:
        np.savez(partial, **arrays)
    return hashing.of_arrays(arrays)


def read_arrays(path, digest):
    """Returns the dict of arrays in a file; ValueError or OSError if they are not those written."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if hashing.of_arrays(arrays) != digest:
        raise ValueError(f"the checksum of {path.name} is another")
    return arrays


def _read(directory, stem):
    content = read_json(directory.path / f"{stem}.json")
    checksum = content.pop("checksum")
    if checksum != hashing.of_json(content):
        raise ValueError(f"the checksum of {stem}.json is another")
    if content.pop("format") != FORMAT:
        raise ValueError(f"{stem}.json was written by another version")
    arrays = read_arrays(directory.path / f"{stem}.npz", content.pop("digest"))
    progress = Progress(**{**content, "rows": tuple(content["rows"])})
    if progress.best is not None:
        read_arrays(directory.path / best_name(progress.best), progress.best_digest)
    return progress, arrays


def _stems(directory):
    """Names of all checkpoints, the newest first."""
    found = [_NAME.fullmatch(file.name) for file in directory.path.glob("checkpoint-*.json")]
    places = sorted(((int(name[1]), int(name[2])) for name in found if name), reverse=True)
    return [f"checkpoint-{epoch}-{step}" for epoch, step in places]


def _prune(directory):
    """Removes all but the last two checkpoints, and best arrays that neither of them names."""
    stems, best = _stems(directory), set()
    for stem in stems[_KEPT:]:
        _remove(directory, stem)
    for stem in stems[:_KEPT]:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # damaged since, or without best
            best.add(best_name(read_json(directory.path / f"{stem}.json")["best"]))
    for file in directory.path.glob("best-*.npz"):
        if file.name not in best:
            file.unlink(missing_ok=True)


def _remove(directory, stem):
    for ending in (".json", ".npz"):  # without the first the second does not count
        (directory.path / f"{stem}{ending}").unlink(missing_ok=True)
