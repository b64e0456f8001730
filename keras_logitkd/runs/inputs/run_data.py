"""The examples of one run: what is trained on, held out and tested, as batches."""

import functools

import tensorflow as tf

from keras_logitkd.data import pipeline, shares
from keras_logitkd.data.class_weights import weights_of
from keras_logitkd.runs.inputs.noisy_labels import NoisyLabels
from keras_logitkd.runs.inputs.teacher_logits import EVALUATION_BATCH
from keras_logitkd.runs.inputs.unlabelled import seen_by


class RunData:
    """The data of a run as its settings want it.

    Args:
        settings: a `RunSettings`.
        dataset: the `Dataset` that it names.

    Attributes:
        train_indices, validation_indices: integer arrays into the dataset's training split.
        seen, seen_indices: the split that a training reads, and integer array of what it reads of
            it: the training examples, and after them images without labels where there are such.
        noisy: the `NoisyLabels` that are trained on, or None.
        class_weight: what each class counts in all terms of the loss, {class: weight}, or None.

    Raises:
        ValueError: If there are fewer examples than the recipe asks for, or a noise matrix or class
            weights are of other classes.
    """

    def __init__(self, settings, dataset):
        self.settings = settings
        self.recipe = settings.recipe
        self.dataset = dataset
        labels = dataset.train.labels
        self.train_indices, self.validation_indices = self.recipe.split(labels, dataset.validation)
        self.seen, self.seen_indices = seen_by(settings, dataset, self.train_indices)
        self.noisy = None
        if settings.noise is not None:
            self.noisy = NoisyLabels.draw(
                settings.noise, labels, self.train_indices, dataset.num_classes
            )
        self.class_weight = None
        if self.recipe.class_weight is not None:
            told = labels[self.train_indices] if self.noisy is None else self.noisy.noisy
            names = tuple(dataset.class_names)
            self.class_weight = weights_of(self.recipe.class_weight, told, names)

    @property
    def steps_per_epoch(self):
        """Steps of one epoch."""
        return pipeline.steps_per_epoch(len(self.seen_indices), self.recipe.batch_size)

    @property
    def validation_steps(self):
        """Steps of one pass over what is held out, or None where nothing is."""
        count = len(self.validation_indices)
        return pipeline.steps_per_epoch(count, EVALUATION_BATCH) if count else None

    def train_batches(
        self, store=None, initial_epoch=0, initial_step=0, epochs=None, indices=False, share=None
    ):
        """Returns batches of inputs and targets from a place on, to the end of the last epoch.

        Args:
            store: the `LogitStore` of the views, whose logits become part of the targets. Defaults
                to None.
            initial_epoch: the first epoch. Defaults to 0.
            initial_step: the first step of that epoch. Defaults to 0.
            epochs: of the training. Defaults to the recipe's.
            indices: whether the targets have the index of each example. Defaults to False.
            share: a `shares.Share` of each batch. Defaults to None: all of it.
        """
        split = self.seen
        batches = pipeline.train_batches(
            split if self.noisy is None else self.noisy.on(split),
            self.seen_indices,
            batch_size=self.recipe.batch_size,
            epochs=self.recipe.epochs if epochs is None else epochs,
            seed=self.settings.seed,
            augmentation=self.recipe.augmentation,
            view_seed=self.settings.view_seed,
            views=self.settings.views,
            logits=store,
            initial_epoch=initial_epoch,
            initial_step=initial_step,
            share=share,
        )
        return batches.map(functools.partial(_inputs_and_targets, indices=indices))

    def validation_batches(self, logits=None, share=None):
        """Returns the held-out batches of inputs and targets, or None where nothing is held out.

        Args:
            logits: the run's `TeacherLogits`: the teacher sees these examples once, not in every
                epoch. Defaults to None.
            share: a `shares.Share` of each batch. Defaults to None: all of it.
        """
        if not len(self.validation_indices):
            return None
        batches = self.evaluation_batches(self.dataset.train, self.validation_indices, share)
        if logits is None:
            return batches.map(_inputs_and_targets)
        known = logits.of(self.dataset.train, self.validation_indices)
        stored = tf.data.Dataset.from_tensor_slices(known).batch(EVALUATION_BATCH)
        stored = shares.cut(stored, share)
        return tf.data.Dataset.zip(batches, stored).map(
            pipeline.as_written(
                lambda record, logits: _inputs_and_targets({**record, "teacher_logits": logits})
            )
        )

    def evaluation_batches(self, split, indices=None, share=None):
        """Returns batches of records of a split, in order and without augmentation."""
        return pipeline.eval_batches(
            split,
            indices,
            batch_size=EVALUATION_BATCH,
            augmentation=self.recipe.augmentation,
            share=share,
        )


@pipeline.as_written
def _inputs_and_targets(record, indices=False):
    """What `fit` takes of a record; with more than labels the targets are a dictionary."""
    names = ["label", *(["index"] if indices else [])]
    names.extend({"teacher_logits"} & set(record))
    if names == ["label"]:
        return record["image"], record["label"]
    return record["image"], {name: record[name] for name in names}
