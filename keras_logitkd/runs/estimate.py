"""How long a run will take, from a few steps on this machine."""

import math
import tempfile
import time

import numpy as np
import tensorflow as tf

from keras_logitkd.networks import sizes
from keras_logitkd.networks.inference import for_inference
from keras_logitkd.runs.inputs.models import build_network
from keras_logitkd.runs.inputs.run_data import RunData

_STEPS = 3  # that are timed, of which the fastest counts
_IMAGES = 16  # that are read
_EVALUATION_BATCH = 64
_COPIES = 4  # weights and momenta, each of them written and read again


def run_seconds(settings, dataset, teachers=(), stored=True):
    """Estimates the seconds of a run: steps, images, checkpoints and the logits of its teachers.

    Networks are built for this and dropped. The start of TensorFlow is left out, and so are
    evaluations, which are of few images.

    Args:
        settings: the `RunSettings`.
        dataset: the `Dataset`.
        teachers: settings of the teachers, or loaded models. Defaults to none.
        stored: whether teachers' logits are stored, so that each view is computed once. Defaults
            to True: yes.
    """
    recipe = settings.recipe
    data = RunData(settings, dataset)
    examples = len(data.seen_indices)
    epochs = recipe.epochs + recipe.head_epochs
    own = max(recipe.epochs, recipe.head_epochs)  # both stages begin with the first view
    views = min(own, settings.views or own) if stored else epochs
    batch = min(recipe.batch_size, examples)
    network = _network(settings, dataset)
    compiling, step = _seconds_of(_train_step(network), _images(recipe, dataset, batch))
    read = _reading(dataset) * examples
    steps = step * data.steps_per_epoch
    total = compiling + epochs * (steps + read + _checkpoint(network))
    for teacher in teachers:
        model = teacher if hasattr(teacher, "outputs") else _network(teacher, dataset)
        images = _images(recipe, dataset, _EVALUATION_BATCH)
        model = sizes.on_images(for_inference(model), images.shape[1:])
        compiling, forward = _seconds_of(_forward(model), images)
        forward /= _EVALUATION_BATCH
        total += compiling + views * examples * forward + (views * read if stored else 0)
    return total


def in_words(seconds):
    """Returns seconds as people say them: "40 seconds", "3 minutes", "2.5 hours"."""
    if seconds < 90:
        return f"{max(1, round(seconds, -1 if seconds > 20 else 0)):.0f} seconds"
    if seconds < 5400:
        return f"{math.ceil(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"


def _network(settings, dataset):
    return build_network(settings.model, dataset, settings.recipe, settings.seed, settings.size)


def _images(recipe, dataset, count):
    shape = recipe.augmentation.output_shape(dataset.image_shape)
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def _train_step(network):
    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(images, training=True)))
        return tape.gradient(loss, network.trainable_variables)

    return step


def _forward(model):
    return tf.function(lambda images: model(images, training=False))


def _seconds_of(function, images):
    """Seconds of the first call, which compiles, and of the fastest of those after it."""
    images = tf.constant(images)
    compiling = _timed(lambda: function(images))
    return compiling, min(_timed(lambda: function(images)) for _ in range(_STEPS))


def _checkpoint(network):
    """Seconds of a checkpoint: weights and momenta are written and read again."""
    weights = network.get_weights()
    with tempfile.TemporaryFile() as file:
        writing = _timed(lambda: np.savez(file, *weights))
    return _COPIES * writing


def _reading(dataset):
    """Seconds of reading an image, where they are not in memory."""
    if dataset.in_memory:
        return 0.0
    indices = range(min(_IMAGES, len(dataset.train)))
    return _timed(lambda: list(dataset.train.images.read(indices))) / len(indices)


def _timed(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
