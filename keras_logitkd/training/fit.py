"""One run: from settings and data to a trained network with its final numbers."""

import importlib.metadata
import logging
import math
import time

import keras
import numpy as np

from keras_logitkd.data import pipeline
from keras_logitkd.data.dataset import split_validation
from keras_logitkd.distiller import Distiller
from keras_logitkd.layers import to_stock
from keras_logitkd.training import evaluation
from keras_logitkd.training.checkpoint import Checkpointer
from keras_logitkd.training.hard_loss import SmoothedCrossentropy
from keras_logitkd.training.models import build_network, count_parameters
from keras_logitkd.training.run_directory import replacing
from keras_logitkd.training.schedule import LearningRateDrops, make_optimizer
from keras_logitkd.training.settings import differing_settings

EVALUATION_BATCH = 256
_PACKAGES = ("keras-logitkd", "keras", "tensorflow", "numpy")
_log = logging.getLogger(__name__)


def run(settings, dataset, directory, teachers=(), resume=False, callbacks=()):
    """Trains a network, or reports a finished run of the same settings.

    Args:
        settings: a `RunSettings`.
        dataset: the `Dataset` that it names.
        directory: a `RunDirectory`.
        teachers: functions that return the teachers, `keras.Model`s from raw pixels to logits;
            they are called only if there is something to train.
        resume: whether to continue an unfinished run. Defaults to False: begin again.
        callbacks: Keras callbacks, for instance for progress.

    Returns:
        The final numbers, the content of result.json.

    Raises:
        ValueError: If the directory holds a run with other settings or cannot be written.
        FloatingPointError: If the loss stops being finite.
    """
    config, previous = settings.to_config(), directory.read_config()
    if previous is not None and (names := differing_settings(config, previous)):
        raise ValueError(
            f"{directory.path} holds a run with other settings ({', '.join(names)}). "
            "Give another name, or remove it"
        )
    model_file = directory.model_file(settings.kind)
    if (result := directory.read_result()) is not None and model_file.is_file():
        _log.info("%s is finished already", directory.name)
        return result
    job = _Run(settings, dataset, directory, callbacks)  # Refuses before anything is written.
    directory.start(config)
    if not resume:
        directory.clear()
    return job.execute([load() for load in teachers])


class _Run:
    """The parts of one run that is not finished yet."""

    def __init__(self, settings, dataset, directory, callbacks):
        self.settings = settings
        self.recipe = settings.recipe
        self.dataset = dataset
        self.directory = directory
        self.teachers = []
        self.callbacks = callbacks
        self.train_indices, self.validation_indices = split_validation(
            dataset.train.labels, self.recipe.validation
        )
        self.network = build_network(settings.model, dataset, self.recipe, settings.seed)

    def execute(self, teachers):
        """Trains, saves the network, and returns the final numbers."""
        self.teachers = teachers
        checkpointer = Checkpointer(self.directory)
        seconds = self._train(checkpointer)
        file = self.directory.model_file(self.settings.kind)
        with replacing(file) as partial:
            to_stock(self.network).save(partial)
        result = self._final_numbers(checkpointer) | {
            "seconds": round(seconds, 2),
            "model_file": file.name,
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        }
        self.directory.finish(result)
        return result

    def _train(self, checkpointer):
        """Trains from the last checkpoint on. Returns the seconds of all epochs."""
        distiller = self._compiled()
        distiller.optimizer.build(distiller.trainable_variables)
        initial_epoch = checkpointer.restore(distiller)
        steps = pipeline.steps_per_epoch(len(self.train_indices), self.recipe.batch_size)
        started = time.monotonic()
        distiller.fit(
            self._train_data(initial_epoch),
            epochs=self.recipe.epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps,
            validation_data=self._validation_data(),
            callbacks=[
                _StopAtNonFinite(),
                LearningRateDrops(self.recipe),
                checkpointer,
                *self.callbacks,
            ],
            shuffle=False,
            verbose=0,
        )
        return checkpointer.seconds_before + time.monotonic() - started

    def _compiled(self):
        distiller = Distiller(
            self.teachers or None,
            self.network,
            distillation_loss=self.settings.loss or "mse",
            alpha=self.settings.alpha,
        )
        distiller.compile(
            make_optimizer(self.recipe),
            loss=SmoothedCrossentropy(self.recipe.label_smoothing),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
        return distiller

    def _train_data(self, initial_epoch):
        batches = pipeline.train_batches(
            self.dataset.train,
            self.train_indices,
            batch_size=self.recipe.batch_size,
            epochs=self.recipe.epochs,
            seed=self.settings.seed,
            augmentation=self.recipe.augmentation,
            view_seed=self.settings.view_seed,
            views=self.settings.views,
            initial_epoch=initial_epoch,
        )
        return batches.map(lambda record: (record["image"], record["label"]))

    def _validation_data(self):
        """Validation batches; the teacher sees them once, not in every epoch."""
        if not len(self.validation_indices):
            return None
        batches = self._evaluation_batches(self.dataset.train, self.validation_indices)
        pairs = batches.map(lambda record: (record["image"], record["label"]))
        if not self.teachers:
            return pairs
        import tensorflow as tf

        logits, _ = self._teacher_logits(batches)
        stored = tf.data.Dataset.from_tensor_slices(logits).batch(EVALUATION_BATCH)
        return tf.data.Dataset.zip(pairs, stored).map(
            lambda pair, logits: (pair[0], {"label": pair[1], "teacher_logits": logits})
        )

    def _final_numbers(self, checkpointer):
        batches = self._evaluation_batches(self.dataset.test)
        logits, labels = evaluation.predict(self.network, batches)
        if not np.isfinite(logits).all():
            raise FloatingPointError(
                "The trained network's logits are not finite. Lower the learning rate"
            )
        metrics = evaluation.classification_metrics(logits, labels)
        result = {f"test_{name}": value for name, value in metrics.items()}
        last = checkpointer.rows[-1]
        result["train_loss"], result["train_accuracy"] = last["loss"], last["accuracy"]
        if self.teachers:
            teacher_logits, _ = self._teacher_logits(batches)
            accuracy = float(np.mean(teacher_logits.argmax(axis=-1) == labels))
            result["teacher_test_accuracy"] = accuracy
            result["test_agreement"] = evaluation.agreement(logits, teacher_logits)
        if checkpointer.best is not None:
            result["validation_accuracy"] = last["val_accuracy"]
            checkpointer.load_best(self.network)
            best_logits, _ = evaluation.predict(self.network, batches)
            accuracy = float(np.mean(best_logits.argmax(axis=-1) == labels))
            result["best_by_validation"] = {**checkpointer.best, "test_accuracy": accuracy}
        result["parameters"] = count_parameters(self.network)
        result["epochs"] = self.recipe.epochs
        result["train_examples"] = len(self.train_indices)
        return result

    def _teacher_logits(self, batches):
        outputs = [evaluation.predict(teacher, batches) for teacher in self.teachers]
        return np.mean([logits for logits, _ in outputs], axis=0), outputs[0][1]

    def _evaluation_batches(self, split, indices=None):
        return pipeline.eval_batches(
            split,
            indices,
            batch_size=EVALUATION_BATCH,
            augmentation=self.recipe.augmentation,
        )


class _StopAtNonFinite(keras.callbacks.Callback):
    """Ends a run whose numbers are not finite any more."""

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"The {name} became {value} in epoch {epoch + 1}. Lower the learning rate, "
                    "or check the data"
                )
