"""The state of a run at the end of each epoch and within long ones, enough to go on from there."""

import time

import keras

from keras_logitkd.processes import interrupts
from keras_logitkd.runs.checkpointing import checkpoint_files
from keras_logitkd.runs.checkpointing.checkpoint_files import Progress
from keras_logitkd.runs.checkpointing.guards import check_finite

INTERVAL = 600.0  # seconds


class Checkpointer(keras.callbacks.Callback):
    """Writes metrics.csv and a checkpoint after each epoch, and keeps the best by validation.

    A checkpoint holds every variable that the trained model and its optimizer track, in the middle
    of an epoch the state of the metrics, too, and what `Progress` says. Writing one changes nothing
    in the training.

    Args:
        directory: a `RunDirectory`.
        steps: writes one after so many steps of an epoch, and again after as many. Defaults to
            None: when `INTERVAL` seconds have passed since the last one.

    Attributes:
        rows: the metrics of each epoch so far, dicts with the epoch counted from 1.
        best: epoch and validation accuracy of the best epoch so far, or None.
        seconds_before: time that what a resumed run found took.
    """

    def __init__(self, directory, steps=None):
        super().__init__()
        self.directory = directory
        self.steps = steps
        self.rows, self.best, self.seconds_before = [], None, 0.0
        self._best_digest, self._metrics, self._arrays = None, None, None
        self._started = self._saved = time.monotonic()

    def find(self):
        """Reads the newest checkpoint that is whole, if there is one.

        Returns:
            (epoch, step): how many epochs are finished, and how many steps of the next one.

        Raises:
            ValueError: If all checkpoints are damaged.
        """
        progress, self._arrays = checkpoint_files.load_newest(self.directory)
        if progress is None:
            return 0, 0
        self._metrics = self._arrays if progress.step else None
        self.rows, self.best = list(progress.rows), progress.best
        self._best_digest, self.seconds_before = progress.best_digest, progress.seconds
        return progress.epoch, progress.step

    def restore(self, distiller):
        """Loads what `find` found into a compiled model whose optimizer is built.

        Raises:
            ValueError: If it is of another network.
        """
        _assign("model", distiller.variables, self._arrays)
        _assign("optimizer", distiller.optimizer.variables, self._arrays)
        self._arrays = None

    def load_best(self, network):
        """Loads the weights of the best epoch into a network."""
        file = self.directory.path / checkpoint_files.best_name(self.best)
        _assign("model", network.variables, checkpoint_files.read_arrays(file, self._best_digest))

    def on_train_begin(self, logs=None):
        self._started = self._saved = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        if self._metrics is not None:  # Keras has just reset them.
            _build_metrics(self.model)
            _assign("metrics", _metric_variables(self.model), self._metrics)
            self._metrics = None

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 < self.params["steps"] and self._is_due(batch + 1):
            self.directory.check_lock()
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self.directory.check_lock()
        self.rows.append({"epoch": epoch + 1, **{name: float(logs[name]) for name in sorted(logs)}})
        accuracy = logs.get("val_accuracy")
        if accuracy is not None and (
            self.best is None or accuracy > self.best["validation_accuracy"]
        ):
            self.best = {"epoch": epoch + 1, "validation_accuracy": float(accuracy)}
            file = self.directory.path / checkpoint_files.best_name(self.best)
            weights = _arrays("model", self.model.student.variables)
            self._best_digest = checkpoint_files.write_arrays(file, weights)
        self.directory.write_metrics(self.rows)
        self._save(epoch + 1, 0)

    def _is_due(self, done):
        return interrupts.requested() or self._is_time(done)

    def _is_time(self, done):
        if self.steps is not None:
            return done % self.steps == 0
        return time.monotonic() - self._saved >= INTERVAL

    def _save(self, epoch, step):
        arrays = _arrays("model", self.model.variables)
        arrays |= _arrays("optimizer", self.model.optimizer.variables)
        if step:
            arrays |= _arrays("metrics", _metric_variables(self.model))
        check_finite(arrays)
        seconds = self.seconds_before + time.monotonic() - self._started
        progress = Progress(epoch, step, tuple(self.rows), self.best, self._best_digest, seconds)
        checkpoint_files.save(self.directory, progress, arrays)
        self._saved = time.monotonic()
        interrupts.check(progress.place)


class ChiefCheckpointer(Checkpointer):
    """That of several machines' chief: a signal ends the training at the checkpoint before it.

    One more would need the others, who are a step further.
    """

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if batch + 1 < self.params["steps"]:
            interrupts.check()

    def _is_due(self, done):
        return self._is_time(done)


class FollowingCheckpointer(Checkpointer):
    """What other machines do while the chief's `Checkpointer` works: they restore, and help.

    A metric's value is a sum over all machines: each must take part when one reads it.
    """

    def on_epoch_end(self, epoch, logs=None):
        """Leaves the files to the chief."""

    def _is_due(self, done):
        return self._is_time(done)

    def _save(self, epoch, step):
        if step:
            _arrays("metrics", _metric_variables(self.model))


def _build_metrics(model):
    """Gives the metrics of `compile` their variables, which come with the first batch otherwise."""
    if not all(getattr(metric, "built", True) for metric in model.metrics):
        logits = keras.ops.zeros((1, *model.student.output_shape[1:]))
        model.compute_metrics(None, keras.ops.zeros(1, "int32"), logits)


def _metric_variables(model):
    return [variable for metric in model.metrics for variable in metric.variables]


def _arrays(group, variables):
    """Values by position: names would depend on what the process built before."""
    return {
        f"{group}/{number}": keras.ops.convert_to_numpy(variable)
        for number, variable in enumerate(variables)
    }


def _assign(group, variables, arrays):
    found = {name: array for name, array in arrays.items() if name.startswith(f"{group}/")}
    shapes = {f"{group}/{number}": tuple(var.shape) for number, var in enumerate(variables)}
    if {name: array.shape for name, array in found.items()} != shapes:
        raise ValueError(
            f"The checkpoint holds another {group} than the run has. "
            "Run again without --resume to begin anew"
        )
    for number, variable in enumerate(variables):
        variable.assign(found[f"{group}/{number}"])
