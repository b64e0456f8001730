"""Scalars and hyper-parameters of a run, as TensorBoard and its HParams table read them."""

import time

import keras
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.summary import session_end_pb
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from keras_logitkd.features import Objective
from keras_logitkd.features.objective import HARD

FINAL = "final/"  # prefix of the numbers of result.json, apart from those of the epochs
_NO_HYPERPARAMETERS = ("kind", "recipe", "data_dir", "noise")


class EventWriter(keras.callbacks.Callback):
    """Writes the metrics of each epoch into the run directory, under their names in metrics.csv.

    The file is written anew, from the rows that are known, whenever a training begins or is
    continued: whatever was killed before, no step is there twice and none is of another run.

    Args:
        directory: a `RunDirectory`.
        settings: the run's `RunSettings`, its hyper-parameters.
        rows: the metrics of the epochs before, as in metrics.csv.
    """

    def __init__(self, directory, settings, rows=()):
        super().__init__()
        self.directory = directory
        self.settings = settings
        self.past = list(rows)

    def on_train_begin(self, logs=None):
        self.directory.remove_events()
        self.file = self.directory.new_events_file()
        start = hparams_pb(hyperparameters(self.settings), trial_id=str(self.directory.path))
        self._write([event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2")])
        self._write([_event(start, 0), *_scalars(self.past)])

    def on_epoch_end(self, epoch, logs=None):
        self._write(_scalars([{"epoch": epoch + 1, **logs}]))

    def finish(self, result):
        """Writes the final numbers, a dict as in result.json, and that the run is finished."""
        numbers = {
            f"{FINAL}{name}": value
            for name, value in result.items()
            if isinstance(value, int | float) and name != "epochs"
        }
        row = {"epoch": self.settings.recipe.epochs, **numbers}
        self._write([*_scalars([row]), _event(session_end_pb(api_pb2.STATUS_SUCCESS), 0)])

    def _write(self, events):
        with self.file.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())


def hyperparameters(settings):
    """Returns what the settings of runs may differ in, a dict of bool, int, float and str.

    What a run does not have is left out; a tuple is text. `temperature` is the finite one of the
    loss, if it has one.
    """
    config = settings.to_config()
    values = {name: config[name] for name in config if name not in _NO_HYPERPARAMETERS}
    values = {**config["recipe"], **values, "loss": settings.loss or HARD}
    if settings.noise:
        values["noise"] = settings.noise.label
    if settings.loss:
        temperature = Objective.parse(settings.loss).temperature
        values["temperature"] = None if temperature == float("inf") else temperature
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in values.items()
        if value is not None and value != []
    }


def _scalars(rows):
    """Events of rows of metrics; the step is the epoch, counted from 1."""
    return [
        _event(scalar_pb(name, float(value)), row["epoch"])
        for row in rows
        for name, value in row.items()
        if name != "epoch"
    ]


def _event(summary, step):
    event = event_pb2.Event(wall_time=time.time(), step=step)
    event.summary.ParseFromString(summary.SerializeToString())
    return event
