"""The directory of a run: the one place that builds its paths and writes its files."""

import contextlib
import csv
import math
import pathlib
import re
import time

from keras_logitkd.storage.atomic import StorageError, making, read_json, replacing, write_json
from keras_logitkd.storage.lock import RunLock

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._,+=-]*")
_CHECKPOINT_FILES = ("checkpoint-*.json", "checkpoint-*.npz", "best-*.npz")
_PARTIAL_FILES = ".[0-9]*.*"  # of a process that was killed


class RunDirectory:
    """Files of one run below the runs directory.

    `config.json` is all that is needed to run it again, `metrics.csv` has a row an epoch,
    `result.json` the final numbers: a run with a result is finished. Files appear under their
    names only when they are complete.

    Args:
        runs_dir: directory of all runs.
        name: of this run; letters, digits and `._,+=-`, so that it can never be a path.
    """

    def __init__(self, runs_dir, name):
        if not _NAME.fullmatch(name):
            raise ValueError(
                "`name` must be letters, digits and ._,+=- and begin with a letter or digit. "
                f"Received: name={name!r}"
            )
        self._place(pathlib.Path(runs_dir) / name)

    @classmethod
    def at(cls, path):
        """Returns the directory of a run that exists, whatever it is called."""
        run = cls.__new__(cls)
        run._place(pathlib.Path(path).resolve())
        return run

    def _place(self, path):
        self.name = path.name
        self.path = path
        self._lock = None
        self.config_file = self.path / "config.json"
        self.metrics_file = self.path / "metrics.csv"
        self.result_file = self.path / "result.json"
        self.noise_file = self.path / "labels.npz"

    def model_file(self, kind):
        """Where the trained network is: student.keras, or model.keras for hard labels."""
        return self.path / ("student.keras" if kind == "distill" else "model.keras")

    def read_config(self):
        """Returns the run's settings, or None where no run was started."""
        return _with(read_json(self.config_file), "kind", str, self.config_file)

    def read_result(self):
        """Returns the final numbers, or None where the run is not finished."""
        return _with(read_json(self.result_file), "test_accuracy", int | float, self.result_file)

    @contextlib.contextmanager
    def locked(self, wait=False):
        """Creates the directory and keeps other processes from training in it.

        Args:
            wait: whether to wait for a process that does. Defaults to False: it is an error.

        Raises:
            ValueError: If the directory cannot be written, or another process trains in it.
        """
        patience = math.inf if wait else 0.0
        with contextlib.ExitStack() as stack:
            with making(self.path, "run"):
                self._lock = stack.enter_context(RunLock(self.path).held(patience))
            try:
                yield
            finally:
                self._lock = None

    def check_lock(self):
        """Raises StorageError if the directory is not the one any more that `locked` locked."""
        if self._lock is not None and not self._lock.is_ours():
            raise StorageError(
                f"The run directory {self.path} was removed while the run was using it: what was "
                "not saved elsewhere is lost"
            )

    def start(self, config):
        """Creates the directory and writes its settings; ValueError if that is not possible."""
        with making(self.path, "run"):
            write_json(self.config_file, config)

    def new_events_file(self):
        """Where TensorBoard's events go; a new name, because TensorBoard may read the old file."""
        return self.path / f"events.out.tfevents.{time.time_ns()}"

    def remove_events(self):
        """Removes the events that were written for TensorBoard."""
        for file in self.path.glob("events.out.tfevents.*"):
            file.unlink(missing_ok=True)

    def clear(self):
        """Removes what an unfinished run left, so that it begins again."""
        self.remove_events()
        for file in (self.metrics_file, *self._checkpoint_files()):
            file.unlink(missing_ok=True)

    def write_metrics(self, rows):
        """Writes metrics.csv: a dict of numbers for each epoch.

        What an epoch does not have, because its stage of the training does not, is left empty.
        """
        names = sorted({name for row in rows for name in row} - {"epoch"})
        with replacing(self.metrics_file) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=["epoch", *names], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def read_metrics(self):
        """Returns metrics.csv: a dict of numbers for each epoch, nan where its stage has none."""
        with self.metrics_file.open(newline="", encoding="utf-8") as file:
            return [
                {name: float(value or "nan") for name, value in row.items()}
                for row in csv.DictReader(file)
            ]

    def write_result(self, result):
        """Writes the final numbers, whole or not at all."""
        write_json(self.result_file, result)

    def finish(self, result):
        """Writes result.json, which makes the run finished, and drops the checkpoint."""
        self.write_result(result)
        for file in self._checkpoint_files():
            file.unlink(missing_ok=True)

    def _checkpoint_files(self):
        forms = (*_CHECKPOINT_FILES, _PARTIAL_FILES)
        return [file for form in forms for file in self.path.glob(form)]


def list_runs(runs_dir):
    """Returns (name, config, result) of every run below a directory, by name.

    The result of an unfinished run is None, and so is the config of a damaged one.
    """
    runs = []
    for config_file in sorted(pathlib.Path(runs_dir).glob("*/config.json")):
        run = RunDirectory.at(config_file.parent)
        try:
            runs.append((run.name, run.read_config(), run.read_result()))
        except ValueError:
            runs.append((run.name, None, None))
    return runs


def _with(content, name, kind, file):
    """The content of a file, None or with an entry of this kind; ValueError without it."""
    if content is not None and not isinstance(content.get(name), kind):
        raise ValueError(f"{file} is damaged: it has no {name}")
    return content


def locate_model(file_or_run, runs_dir):
    """Finds the trained network that a user names.

    Args:
        file_or_run: a .keras file, the name of a run, or the path of a run directory.
        runs_dir: where runs of that name are.

    Returns:
        (file, config): its path, and the run's config or None for a file.

    Raises:
        ValueError: If there is no such file or finished run.
    """
    path = pathlib.Path(file_or_run)
    if path.is_file():
        return path, None
    for directory in (path, pathlib.Path(runs_dir) / path):
        if (directory / "config.json").is_file():
            run = RunDirectory.at(directory)
            config = run.read_config()
            if run.read_result() is None:
                raise ValueError(f"The run {directory} is not finished. Continue it with --resume")
            return run.model_file(config["kind"]), config
    raise ValueError(
        "A model must be a .keras file, a run directory, or the name of a run in "
        f"{runs_dir}. Received: {file_or_run}"
    )
