"""Where the run of some settings is: under its own name, or under another that it was given."""

import dataclasses
import pathlib

from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.spec.settings import differing_settings


def directory_of(runs_dir, settings):
    """Returns the `RunDirectory` of a run that has no name from its user.

    It is that of the default name. Where nothing is there, it is one of equal settings whose name
    tells of other records: it was trained on a copy of the data, or named by a version that named
    it by the path and both parts of the data.

    Args:
        runs_dir: where the runs are.
        settings: a `RunSettings`.
    """
    own = RunDirectory(runs_dir, settings.default_name())
    if settings.train_fingerprint is None or own.config_file.exists():
        return own
    former = dataclasses.replace(settings, train_fingerprint=None)
    names = [path.name for path in sorted(pathlib.Path(runs_dir).glob(f"*-{settings.digest()}"))]
    for name in (*names, former.default_name()):
        found = RunDirectory.at(pathlib.Path(runs_dir) / name)
        if _is_of(found, settings):
            return found
    return own


def _is_of(directory, settings):
    config = _config(directory)
    return config is not None and not differing_settings(settings.to_config(), config)


def _config(directory):
    """The config of a directory, None where there is none that can be read."""
    try:
        return directory.read_config()
    except ValueError:
        return None
