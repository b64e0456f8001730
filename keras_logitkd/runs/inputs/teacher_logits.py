"""What the teachers of a run say: read from stores, or computed where there is no cache."""

import functools
import logging
import time

import keras
import numpy as np

from keras_logitkd.data import pipeline
from keras_logitkd.networks import sizes
from keras_logitkd.networks.inference import for_inference
from keras_logitkd.processes import interrupts
from keras_logitkd.runs import evaluation
from keras_logitkd.runs.inputs import logit_cache

EVALUATION_BATCH = 256
_OUTLIER = 10  # times the length of the median example's logits

_log = logging.getLogger(__name__)


class TeacherLogits:
    """The logits of a run's teachers; their models are loaded only where something is missing.

    Args:
        teachers: list of `Teacher`.
        data: the run's `RunData`.
        cache: a `LogitCache`, or None: nothing is stored.

    Attributes:
        seconds: time that filling stores took, or waiting for another process that did.
    """

    def __init__(self, teachers, data, cache):
        self.teachers = teachers
        self.data = data
        self.settings, self.recipe = data.settings, data.recipe
        self.cache = cache
        self.seconds = 0.0

    @functools.cached_property
    def store(self):
        """The `LogitStore` of the training views, or None without a cache."""
        if self.cache is None:
            return None
        views, seed = {"view": self.recipe.augmentation.to_config()}, self.settings.view_seed
        store = self._store(self.data.seen, self.data.seen_indices, views, seed)
        self.cache.check_space(store, map(self._view, range(self._epochs)))
        return store

    @functools.cached_property
    def models(self):
        """The teachers' models, trained and loaded, on the images of the run's views."""
        views = self.recipe.augmentation.output_shape(self.data.dataset.image_shape)
        loaded = (for_inference(teacher.load()) for teacher in self.teachers)
        return [sizes.on_images(model, views) for model in loaded]

    def fill_for(self, epoch, epochs=None):
        """Fills the views of an epoch and of those after it that are read before it ends.

        Args:
            epoch: integer >= 0.
            epochs: how many epochs from this one on. Defaults to as many as the stream runs ahead.
        """
        ahead = 1 - (-pipeline.lookahead() // self.data.steps_per_epoch)
        end = min(epoch + (ahead if epochs is None else epochs), self._epochs)
        for view in sorted({*map(self._view, range(epoch, end))}):
            self.fill(view)

    def fill(self, view):
        """Fills one view of the training examples, where it is missing or damaged."""
        batches = functools.partial(
            pipeline.view_batches,
            self.data.seen,
            self.data.seen_indices,
            batch_size=EVALUATION_BATCH,
            view=view,
            augmentation=self.recipe.augmentation,
            view_seed=self.settings.view_seed,
        )
        return self._ensure(self.store, view, batches)

    def begin(self, epoch, loss):
        """Fills what the training needs that begins with an epoch, see `fill_for`.

        It is said where some logits are so long that a squared error, the `loss`, follows them.
        """
        self.fill_for(epoch)
        view = self._view(epoch)
        if loss == "mse" and view in self.store.views:  # none is left to train on after the last
            self._warn_of_outliers(view)

    def _warn_of_outliers(self, view):
        lengths = np.linalg.norm(np.asarray(self.store.read(view), np.float64), axis=-1)
        longest, median = lengths.max(), np.median(lengths)
        if longest > _OUTLIER * median:
            _log.warning(
                "The teacher's logits of %d of %d images are more than %d times as long as the "
                "median's, one %.0f times: mse follows such outliers and may diverge; kl:4 does "
                "not",
                *(np.sum(lengths > _OUTLIER * median), len(lengths), _OUTLIER, longest / median),
            )

    def of(self, split, indices=None):
        """Returns the logits of a split's examples under evaluation preprocessing.

        Args:
            split: a `Split`.
            indices: integer array (n,) of examples. Defaults to all.

        Returns:
            float32 array of shape (n, classes).
        """
        indices = np.arange(len(split)) if indices is None else indices
        batches = functools.partial(self.data.evaluation_batches, split, indices)
        if self.cache is None:
            return np.concatenate(list(evaluation.averaged_logits(lambda: self.models, batches)))
        evaluation_only = {"evaluation": self.recipe.augmentation.evaluation_config()}
        store = self._store(split, indices, evaluation_only)
        self.cache.check_space(store, [0])
        return np.asarray(self._ensure(store, 0, batches), dtype=np.float32)

    def _store(self, split, indices, preprocessing, view_seed=0):
        classes = self.data.dataset.num_classes
        return self.cache.store(self.teachers, split, indices, classes, preprocessing, view_seed)

    def _ensure(self, store, view, batches):
        missing, started = view not in store.views, time.monotonic()
        logits = logit_cache.ensure(store, view, batches, lambda: self.models)
        self.seconds += (time.monotonic() - started) * missing
        return logits

    @property
    def _epochs(self):
        """Epochs of the longest stage that reads logits; each begins with the first view."""
        return max(self.recipe.epochs, self.recipe.head_epochs)

    def _view(self, epoch):
        return pipeline.view_of(epoch, self.settings.views)


def view_filler(logits, devices):
    """Returns a callback that has the views filled that an epoch, and the stream ahead of it, read.

    `TeacherLogits` and `Devices` are the run's; of several machines the chief fills first.
    """

    def fill(epoch, logs):
        with interrupts.interruptible(), devices.chief_first():
            logits.fill_for(epoch)

    return keras.callbacks.LambdaCallback(on_epoch_begin=fill)
