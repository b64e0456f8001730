"""A finished run with everything that looking at it takes: networks, data and what was logged."""

import dataclasses
import functools
import pathlib

from keras_logitkd.data import catalog
from keras_logitkd.data.dataset import Dataset
from keras_logitkd.networks import sizes
from keras_logitkd.runs.directory.run_directory import RunDirectory, locate_model
from keras_logitkd.runs.finished import is_measured
from keras_logitkd.runs.inputs import models, teachers
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.storage import hashing


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A run that has its final numbers.

    Args:
        directory: its `RunDirectory`.
        settings: its `RunSettings`.
        result: the final numbers, as in result.json.
        dataset: the `Dataset` that it was trained on.
        teachers: its `Teacher`s, none of them loaded yet; none on hard labels.
    """

    directory: RunDirectory
    settings: RunSettings
    result: dict
    dataset: Dataset
    teachers: tuple = ()

    @functools.cached_property
    def data(self):
        """The `RunData`: which examples were trained on, with which labels."""
        return RunData(self.settings, self.dataset)

    def load_network(self):
        """Loads the trained network anew, on the views' images.

        Raises ValueError where its file is not there.
        """
        network = models.load_model(self.directory.model_file(self.settings.kind))
        views = self.settings.recipe.augmentation.output_shape(self.dataset.image_shape)
        return sizes.on_images(network, views)

    def rows(self):
        """Returns metrics.csv: a dict of numbers for each epoch, nan where its stage has none."""
        return self.directory.read_metrics()


def open_run(run, runs_dir="runs", data_dir=None, dataset=None):
    """Opens a finished run.

    Args:
        run: the path of a run directory, or the name of a run in `runs_dir`.
        runs_dir: where runs of that name are. Defaults to "runs".
        data_dir: where TFDS datasets are. Defaults to what the run has recorded.
        dataset: a `Dataset` that is used where it is the run's. Defaults to None: it is loaded.

    Returns:
        A `FinishedRun`.

    Raises:
        ValueError: If there is no such run, it is not finished, its data are others now, or one of
            its teachers is not there any more.
    """
    file, config = locate_model(run, runs_dir)
    if config is None:
        raise ValueError(f"A run must be a directory with config.json. Received: {run}, a file")
    directory, settings = RunDirectory.at(file.parent), RunSettings.from_config(config)
    if dataset is None or not settings.are_of(dataset):
        dataset = catalog.load(settings.dataset, data_dir or settings.data_dir)
    if settings.fingerprint is not None and not settings.are_of(dataset):
        raise ValueError(
            f"The data of {settings.dataset} are not those that {directory.name} was trained on"
        )
    result = directory.read_result()
    if not is_measured(result, settings, dataset):
        raise ValueError(
            f"The test part of {settings.dataset} is not the one that {directory.name} was "
            "measured on with its teachers. Give the run's command again: it measures anew"
        )
    found = find_teachers(settings, directory, dataset)
    return FinishedRun(directory, settings, result, dataset, found)


def find_teachers(settings, directory, dataset):
    """Returns a `FinishedRun`'s `Teacher`s, none of them loaded; those that are runs lie beside it.

    Raises:
        ValueError: If a teacher is not there, or its file is another now.
    """
    labels = settings.teacher.split(",") if settings.teacher else settings.teachers
    shape = settings.recipe.augmentation.output_shape(dataset.image_shape)
    return tuple(
        _from_file(label, identity, dataset, shape)
        if identity.startswith(teachers.FILE_IDENTITY)
        else _from_run(RunDirectory(directory.path.parent, identity))
        for label, identity in zip(labels, settings.teachers, strict=True)
    )


def _from_run(directory):
    config = directory.read_config()
    if config is None or directory.read_result() is None:
        raise ValueError(f"The teacher's run {directory.path} is not there, or not finished")
    return teachers.from_run(RunSettings.from_config(config), directory, directory.read_result)


def _from_file(path, identity, dataset, shape):
    is_there = pathlib.Path(path).is_file()
    if not is_there or identity != f"{teachers.FILE_IDENTITY}{hashing.of_file(path)}":
        raise ValueError(
            f"The run's teacher {path} is not there, or not the file of the training "
            f"({identity[:15]}...). Go to where the path leads to it, or put it back"
        )
    return teachers.from_file(path, dataset, shape)
