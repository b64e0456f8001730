"""One run: found finished, refused, or trained through its stages, saved and measured."""

import contextlib
import dataclasses
import functools
import logging
import time

from keras_logitkd.distiller import Distiller
from keras_logitkd.networks import sizes
from keras_logitkd.networks.freezing import Trainability
from keras_logitkd.networks.layers import to_stock
from keras_logitkd.processes import interrupts
from keras_logitkd.runs import faults
from keras_logitkd.runs.checkpointing.guards import StopAtNonFinite
from keras_logitkd.runs.describe import describe
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.final_numbers import balanced_validation, final_numbers, installed_versions
from keras_logitkd.runs.finished import finished
from keras_logitkd.runs.inputs.models import build_network
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.inputs.teacher_logits import TeacherLogits, view_filler
from keras_logitkd.runs.inputs.unlabelled import on_labels
from keras_logitkd.runs.learning_rate import LearningRateDrops, make_optimizer
from keras_logitkd.runs.run_stages import WholeRun, run_stages
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.runs.stretches import fit_from
from keras_logitkd.runs.tensorboard import EventWriter
from keras_logitkd.storage.atomic import replacing

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be trained, where, and by whom it is taught.

    Args:
        settings: a `RunSettings`.
        workspace: the `Workspace`: the data, and how its runs are done.
        directory: a `RunDirectory`.
        teachers: tuple of `Teacher`; they are trained and loaded only if something needs them.
            Defaults to none.
    """

    settings: RunSettings
    workspace: object
    directory: RunDirectory
    teachers: tuple = ()

    def run(self, wait=False, announce=None):
        """Trains a network, or reports a finished run of the same settings.

        Of several machines, the chief alone writes to the directory, which all must see.

        Args:
            wait: whether to wait for another process that trains this run. Defaults to False: it
                is an error.
            announce: called with the job when it is found to be possible, before anything is
                trained or written; not where it is finished. Defaults to None.

        Returns:
            The final numbers, the content of result.json.

        Raises:
            ValueError: If the directory holds a run with other settings, cannot be written, or
                another process trains in it.
            FloatingPointError: If the loss stops being finite.
            WorkerLostError: If another machine is gone.
            MemoryError: If there is not enough memory.
            StorageError: If the directory can no longer be written.
        """
        devices = self.workspace.devices
        with devices.watched():
            devices.check(self.settings.recipe)
            if not devices.is_chief:
                return self._follow()
            if (result := finished(self)) is not None:
                devices.from_chief("finished")
                return result
            devices.from_chief("prepare")
            training = Training(self)  # Refuses before anything is written.
            with self._held(wait):
                # Another process may have finished it, or begun a run of that name, meanwhile.
                result = finished(self)
                devices.from_chief("train" if result is None else "finished")
                if result is not None:
                    return result
                if announce is not None:
                    announce(self)
                self.directory.start(self.settings.to_config())
                if not self.workspace.resume:
                    self.directory.clear()
                return training.execute()

    def validate(self, epochs=None, balanced=False):
        """Trains as `run` does, from the last checkpoint on, and never reads the test set.

        The directory, which must exist, gets metrics and checkpoints. For one machine.

        Args:
            epochs: stops after so many of the recipe's epochs. Defaults to all.
            balanced: whether to measure `val_balanced_accuracy`, too. Defaults to False.

        Returns:
            The metrics of the last epoch, with the seconds of all epochs as `seconds` and, where
            the teachers' logits are stored, those of them spent on computing logits as
            `teacher_seconds`.

        Raises:
            ValueError: If nothing is held out for validation.
            FloatingPointError: If the loss stops being finite.
        """
        self.workspace.devices.check(self.settings.recipe)
        training = Training(self)
        if not len(training.data.validation_indices):
            raise ValueError(
                "`validation` must hold out at least one example. "
                f"Received: validation={self.settings.recipe.validation:g}"
            )
        with self._held():
            seconds = training.train(epochs)
        metrics = {**training.checkpointer.rows[-1], "seconds": seconds}
        if balanced:
            network = training.devices.single(training.network)
            metrics["val_balanced_accuracy"] = balanced_validation(network, training.data)
        return metrics | ({"teacher_seconds": training.logits.seconds} if training.stored else {})

    @contextlib.contextmanager
    def _held(self, wait=False):
        """Keeps other processes out of the directory, and names it in faults."""
        batch_size = self.settings.recipe.batch_size
        with self.directory.locked(wait), faults.named(self.directory.path, batch_size):
            yield

    def _follow(self):
        """What other machines do while the chief does `run`: they train with it, write nothing.

        Returns:
            What the chief wrote.
        """
        devices = self.workspace.devices
        if devices.from_chief() == "prepare":
            training = Training(self)
            if devices.from_chief() == "train":
                training.train()
                devices.from_chief()  # It has written its result.
        if (result := self.directory.read_result()) is None:
            raise ValueError(
                f"{self.directory.path} must be the same directory on all machines. Received: one "
                "without the chief's result.json"
            )
        return result


class Training:
    """The parts of a `Job` that is not finished yet; ValueError if its settings do not fit."""

    def __init__(self, job):
        self.job, workspace, self.settings = job, job.workspace, job.settings
        self.recipe = self.settings.recipe
        self.directory = job.directory
        self.devices = workspace.devices
        self.checkpointer = self.devices.checkpointer(self.directory, workspace.checkpoint_steps)
        with self.devices.scope():  # the methods' variables
            self.stages = run_stages(self.settings)
        self.data = RunData(self.settings, workspace.dataset)
        self.network = self.devices.place(
            lambda: build_network(
                self.settings.model,
                workspace.dataset,
                self.recipe,
                self.settings.seed,
                self.settings.size,
            )
        )
        self.trainability = Trainability(self.network)
        self.logits = None
        if job.teachers:
            self.logits = TeacherLogits(job.teachers, self.data, workspace.cache)
        self.progress = []
        if workspace.progress is not None and self.devices.is_chief:
            examples = len(self.data.seen_indices)
            self.progress = [workspace.progress(self.settings.title, examples)]

    def execute(self):
        """Trains, saves the network, and returns the final numbers."""
        if self.data.noisy is not None:
            self.data.noisy.save(self.directory.noise_file)
        seconds = self.train()
        self.directory.check_lock()
        file = self.directory.model_file(self.settings.kind)
        network = self.devices.single(self.network)
        with replacing(file) as partial:
            to_stock(sizes.own(network)).save(partial)
        result = final_numbers(network, self.data, self.logits, self.checkpointer) | {
            "seconds": round(seconds, 2),
            "model_file": file.name,
            "versions": installed_versions(),
        }
        describe(self.job, file, sizes.own(network), result["versions"])
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
        callbacks = [StopAtNonFinite(), self.checkpointer, *events, *self.progress]
        whole = WholeRun(callbacks, main.first_epoch + epochs)
        started = time.monotonic()
        for stage in self.stages:
            if stage.start(position) is not None:
                whole.enter(stage)
                self._train_stage(whole, position, epochs if stage.is_main else stage.recipe.epochs)
        self.trainability.restore()
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
        validation = None
        with self.devices.chief_first():
            if store is not None:
                self.logits.begin(start[0], stage.stage.logit_loss)
            if stage.is_main:
                held_out = functools.partial(self.data.validation_batches, self.logits)
                validation = self.devices.batches(held_out)

        def batches(epoch, step):
            places = (store, epoch, step, stage.recipe.epochs, stage.stage.needs_indices)
            return self.devices.batches(functools.partial(self.data.train_batches, *places))

        filler = [] if store is None else [view_filler(self.logits, self.devices)]
        with interrupts.handling(), interrupts.finishing():
            fit_from(
                distiller,
                start,
                epochs,
                self.data.steps_per_epoch,
                batches,
                callbacks=[LearningRateDrops(stage.recipe), *filler, whole],
                validation_data=validation,
                validation_steps=self.data.validation_steps,
                class_weight=self.data.class_weight,
            )

    def _compiled(self, stage, store):
        """The stage's compiled distiller, its optimizer built."""
        online = self.logits is not None and store is None
        teachers = self.logits.models if online else None
        self.trainability.restrict(stage.head_only, not self.recipe.freeze_batch_norm)
        with self.devices.scope():
            distiller = Distiller.for_stage(stage.stage, teachers, self.network)
            hard_loss, accuracy = on_labels(self.settings)
            distiller.compile(
                make_optimizer(stage.recipe),
                loss=hard_loss,
                metrics=[accuracy] if stage.stage.trains == "all" else [],  # else no logits
            )
            distiller.optimizer.build(distiller.trained_variables)
        self.devices.prepare(distiller)
        return distiller

    def _store_of(self, stage):
        """The store that a stage reads its teachers' logits from, or None."""
        is_stored = self.logits is not None and not stage.stage.needs_teacher
        return self.logits.store if is_stored else None

    @property
    def stored(self):
        """Whether the training reads its teachers' logits from a store."""
        return any(self._store_of(stage) is not None for stage in self.stages)
