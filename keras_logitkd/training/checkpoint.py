"""The state of a run at the end of each epoch, enough to go on from there."""

import time

import keras

from keras_logitkd.training.run_directory import replacing, write_json


class Checkpointer(keras.callbacks.Callback):
    """Writes metrics.csv and a checkpoint after each epoch, and keeps the best by validation.

    Args:
        directory: a `RunDirectory`.

    Attributes:
        rows: the metrics of each epoch so far, dicts with the epoch counted from 1.
        best: epoch and validation accuracy of the best epoch so far, or None.
        seconds_before: time that the epochs before a resumed run's first took.
    """

    def __init__(self, directory):
        super().__init__()
        self.directory = directory
        self.rows = []
        self.best = None
        self.seconds_before = 0.0

    def restore(self, distiller):
        """Loads the last checkpoint, if there is one. Returns the first epoch to train."""
        progress = self.directory.read_progress()
        if progress is None:
            return 0
        _load_weights(distiller, self.directory.checkpoint_file(progress["epoch"]))
        self.rows, self.best = progress["rows"], progress["best"]
        self.seconds_before = progress["seconds"]
        return progress["epoch"]

    def load_best(self, network):
        """Loads the weights of the best epoch into a network."""
        _load_weights(network, self.directory.best_file)

    def on_train_begin(self, logs=None):
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch + 1, **{name: float(logs[name]) for name in sorted(logs)}})
        accuracy = logs.get("val_accuracy")
        if accuracy is not None and (
            self.best is None or accuracy > self.best["validation_accuracy"]
        ):
            self.best = {"epoch": epoch + 1, "validation_accuracy": float(accuracy)}
            with replacing(self.directory.best_file) as partial:
                self.model.student.save_weights(partial)
        self._save(epoch + 1)

    def _save(self, epochs_done):
        with replacing(self.directory.checkpoint_file(epochs_done)) as partial:
            self.model.save_weights(partial)
        progress = {
            "epoch": epochs_done,
            "rows": self.rows,
            "best": self.best,
            "seconds": self.seconds_before + time.monotonic() - self._started,
        }
        write_json(self.directory.progress_file, progress)
        self.directory.write_metrics(self.rows)
        self.directory.checkpoint_file(epochs_done - 1).unlink(missing_ok=True)


def _load_weights(model, file):
    try:
        model.load_weights(file)
    except Exception as error:  # Keras raises whatever its HDF5 reader raises.
        raise ValueError(
            f"The checkpoint {file} is missing or damaged. Run again without --resume to begin anew"
        ) from error
