"""A finished run and a part of its data, with what its networks say about it."""

import dataclasses
import functools

import numpy as np

from keras_logitkd import losses
from keras_logitkd.analysis.finished_run import FinishedRun
from keras_logitkd.data import pipeline
from keras_logitkd.features import Objective
from keras_logitkd.features.objective import read_alpha
from keras_logitkd.losses import registry
from keras_logitkd.losses.smoothed_crossentropy import SmoothedCrossentropy
from keras_logitkd.runs import evaluation
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.teacher_logits import EVALUATION_BATCH, TeacherLogits

EXAMPLES = 2000  # of the training set, and of the test set, at most
_BATCH = 128


@dataclasses.dataclass(frozen=True)
class Sample:
    """A run and a part of its data; everything is computed once, when it is needed.

    Args:
        run: a `FinishedRun` of `distill`.
        cache: the `LogitCache` where stored logits are looked for. Defaults to None: nowhere.
        examples: of each split, at most. Defaults to 2,000.
    """

    run: FinishedRun
    cache: LogitCache | None = None
    examples: int = EXAMPLES

    @functools.cached_property
    def loss(self):
        """The distillation loss; mse where there are feature methods only."""
        epochs = self.run.settings.recipe.epochs
        return losses.get(registry.over(self._objective.logit_loss or "mse", epochs))

    @property
    def alphas(self):
        """The weight of the distillation loss in the beginning and, where it moves, in the end."""
        return read_alpha(self.run.settings.alpha).ends

    def go_to(self, epoch):
        """Moves the distillation loss to where an epoch of the run begins."""
        if hasattr(self.loss, "set_epoch"):
            self.loss.set_epoch(epoch)
        if getattr(self.loss, "by_steps", False):
            self.loss.set_steps(epoch * self.run.data.steps_per_epoch)

    @property
    def has_features(self):
        """Whether feature methods are a part of what was minimised."""
        return bool(self._objective.methods)

    @property
    def _objective(self):
        return Objective.parse(self.run.settings.loss)

    @property
    def last_stage(self):
        """(loss, first epoch) of what was minimised last, where it had moved to."""
        self.go_to(self.run.settings.recipe.epochs - 1)
        return getattr(self.loss, "stages", [(self.loss, 0)])[-1]

    @functools.cached_property
    def train(self):
        """Indices of training examples, (n,), in order."""
        return self.draw(self.run.data.train_indices)

    @property
    def labels(self):
        """The true labels of `train`, (n,)."""
        return self.run.dataset.train.labels[self.train]

    @functools.cached_property
    def told(self):
        """The labels of `train` that the run was told, (n,)."""
        split, noisy = self.run.dataset.train, self.run.data.noisy
        return (split if noisy is None else noisy.on(split)).labels[self.train]

    @functools.cached_property
    def teachers(self):
        """The teachers' models."""
        return [teacher.load() for teacher in self.run.teachers]

    @functools.cached_property
    def teacher_train(self):
        """The teachers' logits of `train`, without augmentation, (n, classes)."""
        return self.teacher_logits(self.run.dataset.train, self.train)

    @functools.cached_property
    def student_train(self):
        """The student's logits of `train`, without augmentation, (n, classes)."""
        batches = self.run.data.evaluation_batches(self.run.dataset.train, self.train)
        return evaluation.predict(self.run.load_network(), batches)[0]

    @functools.cached_property
    def batch(self):
        """(images, labels) as a training step has them, of the first view."""
        chosen = np.sort(np.random.default_rng(1).permutation(len(self.train))[:_BATCH])
        return self.view_images(self.train[chosen]), self.told[chosen]

    def untrained(self):
        """Returns the student with its initial weights."""
        settings = self.run.settings
        return models.build_network(
            settings.model, self.run.dataset, settings.recipe, settings.seed, settings.size
        )

    def draw(self, indices):
        """Returns some of the indices in their order, the same in every process."""
        if len(indices) <= self.examples:
            return indices
        chosen = np.random.default_rng(0).choice(len(indices), self.examples, replace=False)
        return indices[np.sort(chosen)]

    def teacher_logits(self, split, indices):
        """Returns the teachers' logits of examples as a run computes them, (n, classes)."""
        logits = TeacherLogits(self.run.teachers, self.run.data, cache=None)
        return logits.of(split, indices)

    def ensemble(self, images):
        """Returns the teachers' averaged logits of images, with training=False, (n, classes)."""
        outputs = []
        for start in range(0, len(images), EVALUATION_BATCH):
            batch = images[start : start + EVALUATION_BATCH]
            logits = [np.asarray(model(batch, training=False)) for model in self.teachers]
            outputs.append(np.mean(np.asarray(logits, np.float32), axis=0))
        return np.concatenate(outputs)

    def hard_loss(self, labels, logits):
        """Returns the hard loss of a batch, a scalar."""
        return SmoothedCrossentropy(self.run.settings.recipe.label_smoothing)(labels, logits)

    def images(self, indices):
        """Returns training images without augmentation, uint8 (n, height, width, channels)."""
        return _stacked(self.run.data.evaluation_batches(self.run.dataset.train, indices))

    def view_images(self, indices, view=0):
        """Returns training images under a view, uint8 (n, height, width, channels)."""
        settings = self.run.settings
        return _stacked(
            pipeline.view_batches(
                self.run.dataset.train,
                indices,
                batch_size=EVALUATION_BATCH,
                view=view,
                augmentation=settings.recipe.augmentation,
                view_seed=settings.view_seed,
            )
        )

    def store(self):
        """Returns the `LogitStore` of the run's views, or None where nothing is stored."""
        if self.cache is None:
            return None
        settings, dataset = self.run.settings, self.run.dataset
        store = dataclasses.replace(self.cache, dtype=settings.logit_dtype).store(
            self.run.teachers,
            dataset.train,
            self.run.data.train_indices,
            dataset.num_classes,
            {"view": settings.recipe.augmentation.to_config()},
            settings.view_seed,
        )
        return store if store.views else None


def _stacked(batches):
    return np.concatenate([record["image"].numpy() for record in batches])
