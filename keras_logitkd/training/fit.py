"""One run: from settings and data to a trained network with its final numbers."""

import functools
import logging
import time

import keras

from keras_logitkd.layers import to_stock
from keras_logitkd.training import faults, interrupts
from keras_logitkd.training.devices import ONE_DEVICE
from keras_logitkd.training.final_numbers import final_numbers
from keras_logitkd.training.guards import StopAtNonFinite
from keras_logitkd.training.hard_loss import SmoothedCrossentropy
from keras_logitkd.training.models import build_network
from keras_logitkd.training.run_data import RunData
from keras_logitkd.training.run_directory import replacing
from keras_logitkd.training.run_stages import WholeRun, run_stages
from keras_logitkd.training.schedule import LearningRateDrops, make_optimizer
from keras_logitkd.training.settings import differing_settings
from keras_logitkd.training.stretches import fit_from
from keras_logitkd.training.teacher_logits import TeacherLogits
from keras_logitkd.training.tensorboard import EventWriter
from keras_logitkd.training.versions import installed_versions

_log = logging.getLogger(__name__)


def run(
    settings,
    dataset,
    directory,
    teachers=(),
    cache=None,
    resume=False,
    callbacks=(),
    checkpoint_steps=None,
    wait=False,
    devices=ONE_DEVICE,
):
    """Trains a network, or reports a finished run of the same settings.

    Args:
        settings: a `RunSettings`.
        dataset: the `Dataset` that it names.
        directory: a `RunDirectory`.
        teachers: list of `Teacher`; they are trained and loaded only if something needs them.
        cache: a `LogitCache`: each view of the teachers' logits is computed once, before the first
            epoch that uses it, and read from there. Defaults to None: the teachers run in every
            step.
        resume: whether to continue an unfinished run. Defaults to False: begin again.
        callbacks: Keras callbacks, for instance for progress.
        checkpoint_steps: a checkpoint follows so many steps within an epoch, besides the one at
            its end. Defaults to None: ten minutes after the last one, on several machines only at
            the end of epochs.
        wait: whether to wait for another process that trains this run. Defaults to False: it is
            an error.
        devices: the `Devices` to train on; of several machines, the chief alone writes to the
            directory, which all must see. Defaults to one device.

    Returns:
        The final numbers, the content of result.json.

    Raises:
        ValueError: If the directory holds a run with other settings, cannot be written, or another
            process trains in it.
        FloatingPointError: If the loss stops being finite.
        WorkerLostError: If another machine is gone.
        MemoryError: If there is not enough memory.
        StorageError: If the directory can no longer be written.
    """
    devices.check(settings.recipe)
    if not devices.is_chief:
        return _follow(settings, dataset, directory, teachers, cache, checkpoint_steps, devices)
    if (result := _finished(settings, directory)) is not None:
        devices.from_chief("finished")
        return result
    devices.from_chief("prepare")
    # Refuses before anything is written.
    job = _Run(settings, dataset, directory, teachers, cache, callbacks, checkpoint_steps, devices)
    with directory.locked(wait), faults.named(directory.path, settings.recipe.batch_size):
        # Another process may have finished it, or begun a run of that name, meanwhile.
        result = _finished(settings, directory)
        devices.from_chief("train" if result is None else "finished")
        if result is not None:
            return result
        directory.start(settings.to_config())
        if not resume:
            directory.clear()
        return job.execute()


def _follow(settings, dataset, directory, teachers, cache, checkpoint_steps, devices):
    """What other machines do while the chief does `run`: they train with it, and write nothing.

    Returns:
        What the chief wrote.
    """
    if devices.from_chief() == "prepare":
        job = _Run(settings, dataset, directory, teachers, cache, (), checkpoint_steps, devices)
        if devices.from_chief() == "train":
            job.train()
            devices.from_chief()  # It has written its result.
    if (result := directory.read_result()) is None:
        raise ValueError(
            f"{directory.path} must be the same directory on all machines. Received: one without "
            "the chief's result.json"
        )
    return result


def _finished(settings, directory):
    """The result of the run, or None; ValueError where the directory is of another one."""
    config, previous = settings.to_config(), directory.read_config()
    if previous is not None and (names := differing_settings(config, previous)):
        raise ValueError(
            f"{directory.path} holds a run with other settings ({', '.join(names)}). "
            "Give another name, or remove it"
        )
    result = directory.read_result()
    if result is None or not directory.model_file(settings.kind).is_file():
        return None
    _log.info("%s is finished already", directory.name)
    return result


def validate(
    settings,
    dataset,
    directory,
    teachers,
    cache=None,
    epochs=None,
    callbacks=(),
    checkpoint_steps=None,
    devices=ONE_DEVICE,
):
    """Trains as `run` does, from the last checkpoint on, and never reads the test set.

    Args:
        settings, dataset, teachers, cache, callbacks, checkpoint_steps: as for `run`.
        devices: as for `run`, of one machine.
        directory: a `RunDirectory` for metrics and checkpoints; it must exist.
        epochs: stops after so many of the recipe's epochs. Defaults to all.

    Returns:
        The metrics of the last epoch, with the seconds of all epochs as `seconds` and, where the
        teachers' logits are stored, those of them spent on computing logits as `teacher_seconds`.

    Raises:
        ValueError: If nothing is held out for validation.
        FloatingPointError: If the loss stops being finite.
    """
    devices.check(settings.recipe)
    job = _Run(settings, dataset, directory, teachers, cache, callbacks, checkpoint_steps, devices)
    if not len(job.data.validation_indices):
        raise ValueError(
            "`validation` must hold out at least one example. "
            f"Received: validation={settings.recipe.validation:g}"
        )
    with directory.locked(), faults.named(directory.path, settings.recipe.batch_size):
        seconds = job.train(epochs)
    metrics = {**job.checkpointer.rows[-1], "seconds": seconds}
    return metrics | ({"teacher_seconds": job.logits.seconds} if job.stored else {})


class _Run:
    """The parts of one run that is not finished yet."""

    def __init__(
        self, settings, dataset, directory, teachers, cache, callbacks, checkpoint_steps, devices
    ):
        self.settings = settings
        self.recipe = settings.recipe
        self.directory = directory
        self.callbacks = callbacks
        self.devices = devices
        self.checkpointer = devices.checkpointer(directory, checkpoint_steps)
        with devices.scope():  # the methods' variables
            self.stages = run_stages(settings)
        self.data = RunData(settings, dataset)
        self.network = devices.place(
            lambda: build_network(settings.model, dataset, self.recipe, settings.seed)
        )
        self.logits = None
        if teachers:
            indices = self.data.train_indices
            self.logits = TeacherLogits(teachers, dataset, indices, settings, cache)

    def execute(self):
        """Trains, saves the network, and returns the final numbers."""
        if self.data.noisy is not None:
            self.data.noisy.save(self.directory.noise_file)
        seconds = self.train()
        self.directory.check_lock()
        file = self.directory.model_file(self.settings.kind)
        network = self.devices.single(self.network)
        with replacing(file) as partial:
            to_stock(network).save(partial)
        result = final_numbers(network, self.data, self.logits, self.checkpointer) | {
            "seconds": round(seconds, 2),
            "model_file": file.name,
            "versions": installed_versions(),
        }
        if self.devices.task:
            result["worker_digests"] = self.digests
        self.events.finish(result)
        self.directory.finish(result)
        self.devices.from_chief()
        return result

    def train(self, epochs=None):
        """Trains from the last checkpoint on. Returns the seconds of all epochs."""
        self.devices.from_chief()  # The directory is ready, and all read the same checkpoint.
        position = self.checkpointer.find()
        self.events = EventWriter(self.directory, self.settings, self.checkpointer.rows)
        main = self.stages[-1]
        epochs = main.recipe.epochs if epochs is None else epochs
        events = [self.events] if self.devices.is_chief else []
        callbacks = [StopAtNonFinite(), self.checkpointer, *events, *self.callbacks]
        whole = WholeRun(callbacks, main.first_epoch + epochs)
        started = time.monotonic()
        for stage in self.stages:
            if stage.start(position) is not None:
                whole.stage = stage
                self._train_stage(whole, position, epochs if stage.is_main else stage.recipe.epochs)
        seconds = self.checkpointer.seconds_before + time.monotonic() - started
        if self.devices.task:
            self.digests = self.devices.digests(self.network)
        return seconds

    def _train_stage(self, whole, position, epochs):
        """Trains a stage up to one of its epochs; `position` is that of the run."""
        stage, start = whole.stage, whole.stage.start(position)
        store = self._store_of(stage)
        distiller = self._compiled(stage, store)
        if stage.contains(position):
            self.checkpointer.restore(distiller)
        if start[0] >= epochs and not stage.is_main:
            return
        with self.devices.chief_first():
            if store is not None:
                self.logits.fill_for(start[0])
            validation = None
            if stage.is_main:
                held_out = functools.partial(self.data.validation_batches, self.logits)
                validation = self.devices.batches(held_out)

        def batches(epoch, step):
            places = (store, epoch, step, stage.recipe.epochs, stage.stage.needs_indices)
            return self.devices.batches(functools.partial(self.data.train_batches, *places))

        with interrupts.handling(), interrupts.finishing():
            fit_from(
                distiller,
                start,
                epochs,
                self.data.steps_per_epoch,
                batches,
                [
                    LearningRateDrops(stage.recipe),
                    *([_ViewFiller(self.logits, self.devices)] if store is not None else []),
                    whole,
                ],
                validation,
                self.data.validation_steps,
            )

    def _compiled(self, stage, store):
        """The stage's compiled distiller, its optimizer built."""
        online = self.logits is not None and store is None
        teachers = self.logits.models() if online else None
        with self.devices.scope():
            distiller = stage.stage.distiller(teachers, self.network)
            accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
            distiller.compile(
                make_optimizer(stage.recipe),
                loss=SmoothedCrossentropy(self.recipe.label_smoothing),
                metrics=[accuracy] if stage.stage.trains == "all" else [],  # else no logits
            )
            distiller.optimizer.build(distiller.trained_variables)
        self.devices.prepare(distiller)
        return distiller

    def _store_of(self, stage):
        """The store that a stage reads its teachers' logits from, or None."""
        if self.logits is None:
            return None
        if not stage.stage.needs_teacher:
            return self.logits.store
        if self.logits.cache is not None:
            names = ", ".join(method.name for method in stage.stage.features)
            _log.info("%s needs the teacher itself: it runs in every step", names)
        return None

    @property
    def stored(self):
        """Whether the training reads its teachers' logits from a store."""
        return any(self._store_of(stage) is not None for stage in self.stages)


class _ViewFiller(keras.callbacks.Callback):
    """Has the views filled that an epoch, and the stream ahead of it, read."""

    def __init__(self, logits, devices):
        super().__init__()
        self.logits = logits
        self.devices = devices

    def on_epoch_begin(self, epoch, logs=None):
        with interrupts.interruptible(), self.devices.chief_first():
            self.logits.fill_for(epoch)
