"""How far a training is: a bar on a terminal, a line for each epoch elsewhere. On stderr."""

import time

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_LOGGED = ("loss", "accuracy", "val_accuracy", "agreement")


class TrainingProgress(keras.callbacks.Callback):
    """Shows epoch, images per second, time left and the main metrics.

    Args:
        label: what is trained.
        examples: training examples per epoch.
    """

    def __init__(self, label, examples):
        super().__init__()
        self.label = label
        self.examples = examples
        self._console = Console(stderr=True, highlight=False)
        self._bar = None

    def on_train_begin(self, logs=None):
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=12),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            steps = self.params["steps"] * self.params["epochs"]
            self._task = self._bar.add_task(self.label, total=steps, note="")
            self._bar.start()
        self._started = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._started is None:
            self._started, self._first_epoch = time.monotonic(), epoch
        self._epoch, self._epoch_started = epoch, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self._trained = time.monotonic()
        if self._bar:
            done = self._epoch * self.params["steps"] + batch + 1
            self._bar.update(self._task, completed=done)

    def on_epoch_end(self, epoch, logs=None):
        now, epochs = time.monotonic(), self.params["epochs"]
        speed = self.examples / (self._trained - self._epoch_started)
        per_epoch = (now - self._started) / (epoch + 1 - self._first_epoch)
        metrics = "  ".join(f"{name} {logs[name]:.4f}" for name in _LOGGED if name in logs)
        if self._bar:  # within 80 columns
            accuracy = logs.get("val_accuracy", logs.get("accuracy"))
            learnt = "" if accuracy is None else f"accuracy {accuracy:.3f}  "
            note = f"{epoch + 1}/{epochs}  {learnt}{speed:,.0f} images/s"
            self._bar.update(self._task, note=note)
        else:
            self._console.print(
                f"{self.label}  epoch {epoch + 1}/{epochs}  {metrics}  {speed:,.0f} images/s  "
                f"{_clock(per_epoch * (epochs - epoch - 1))} left",
                soft_wrap=True,
            )

    def on_train_end(self, logs=None):
        if self._bar:
            self._bar.stop()


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
