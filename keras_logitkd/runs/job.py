"""What one run is made of: it trains its stages, saves the network and measures it."""

import functools
import logging
import time

import keras

from keras_logitkd.distiller import Distiller
from keras_logitkd.losses.smoothed_crossentropy import SmoothedCrossentropy
from keras_logitkd.networks.layers import to_stock
from keras_logitkd.processes import interrupts
from keras_logitkd.runs.checkpointing.guards import StopAtNonFinite
from keras_logitkd.runs.final_numbers import final_numbers
from keras_logitkd.runs.inputs.models import build_network
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.inputs.teacher_logits import TeacherLogits
from keras_logitkd.runs.learning_rate import LearningRateDrops, make_optimizer
from keras_logitkd.runs.run_stages import WholeRun, run_stages
from keras_logitkd.runs.stretches import fit_from
from keras_logitkd.runs.tensorboard import EventWriter
from keras_logitkd.runs.versions import installed_versions
from keras_logitkd.storage.atomic import replacing

_log = logging.getLogger(__name__)


class Job:
    """The parts of one run that is not finished yet.

    Args:
        settings, dataset, directory, teachers, cache, callbacks, checkpoint_steps, devices: as for
            `fit.run`.

    Raises:
        ValueError: If the settings do not fit the data.
    """

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
        if store is None and self.logits is not None and self.logits.cache is not None:
            names = ", ".join(method.name for method in stage.stage.features)
            _log.info("%s needs the teacher itself: it runs in every step", names)
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
            distiller = Distiller.for_stage(stage.stage, teachers, self.network)
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
        return None if stage.stage.needs_teacher else self.logits.store

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
