"""Where the run of some settings is: under its own name, or under another that it was given."""

import dataclasses
import pathlib

from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.spec.settings import differing_settings


def directory_of(runs_dir, settings, name=None):
    """Returns the `RunDirectory` of a run.

    Where the user gives no name, it is that of the default name. Where nothing is there, it is one
    of equal settings whose name tells of other records: it was trained on a copy of the data, or
    named by a version that named it by the path and both parts of the data.

    Args:
        runs_dir: where the runs are.
        settings: a `RunSettings`.
        name: from the user. Defaults to None.
    """
    if name is not None:
        return RunDirectory(runs_dir, name)
    own = RunDirectory(runs_dir, settings.default_name())
    if settings.train_fingerprint is None or own.config_file.exists():
        return own
    former = dataclasses.replace(settings, train_fingerprint=None)
    names = [path.name for path in sorted(pathlib.Path(runs_dir).glob(f"*-{settings.digest()}"))]
    for found in _readable(runs_dir, (*names, former.default_name())):
        if not differing_settings(settings.to_config(), found.read_config()):
            return found
    return own


def _readable(runs_dir, names):
    """The directories of these names that hold a run; none whose name or config is not a run's."""
    for name in names:
        try:
            directory = RunDirectory(runs_dir, name)
            if directory.read_config() is not None:
                yield directory
        except ValueError:
            continue  # `logitkd runs` lists what is damaged
