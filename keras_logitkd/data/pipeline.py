"""Seeded batches: what is seen in which order under which view.

Order is a pure function of (seed, epoch), a view of (view seed, view, index). Nothing depends on
where a stream starts.
"""

import os

import numpy as np
import tensorflow as tf

from keras_logitkd.data import randomness, shares
from keras_logitkd.data.views.augmentation import NONE
from keras_logitkd.storage.errors import DataError

# For functions of tf.data without Python's `if` and loops over tensors: to translate such, as
# autograph does, takes about a second of every process that trains.
as_written = tf.autograph.experimental.do_not_convert
_PREFETCH = 4  # steps
_CHUNK = 32  # steps whose teacher logits are fetched at once: no Python in between


def epoch_order(seed, epoch, indices):
    """Returns integer `indices` (n,) in the order of one epoch (>= 0) of a run's seed.

    The result is int64, and the same on every platform and NumPy version.
    """
    indices = np.asarray(indices, dtype=np.int64)
    return indices[randomness.permutation(randomness.ORDER, seed, epoch, len(indices))]


def view_of(epoch, views):
    """Returns the number of the view that an epoch sees, for the images and for stored logits.

    So many `views` take turns; where it is None, each epoch has its own.
    """
    return int(epoch) if views is None else int(epoch) % views


def steps_per_epoch(count, batch_size):
    """Returns ceil(count / batch_size): the last batch of an epoch may be smaller."""
    return -(-count // batch_size)


def lookahead():
    """Returns how many steps a stream may be ahead of what was taken from it."""
    return 2 * (_PREFETCH + _parallel_calls())


def train_batches(
    split,
    indices=None,
    *,
    batch_size,
    epochs,
    seed,
    augmentation=NONE,
    view_seed=0,
    views=None,
    logits=None,
    initial_epoch=0,
    initial_step=0,
    share=None,
):
    """Builds one dataset that runs through epochs without a gap.

    The stream from an epoch (and step) on equals the tail of the full stream.

    Args:
        split: a `Split`.
        indices: integer array (n,) of examples to use. Defaults to all.
        batch_size: examples per step; the last step of an epoch takes what is left.
        epochs: the stream ends before this epoch.
        seed: integer that fixes the order.
        augmentation: an `Augmentation`. Defaults to none.
        view_seed: integer that fixes the views. Defaults to 0.
        views: as for `view_of`. Defaults to None: view e in epoch e.
        logits: a `LogitStore` of the views, row i for the example `indices[i]`. A view is read
            at most `lookahead()` steps before its epoch. Defaults to None: no logits.
        initial_epoch, initial_step: first epoch, and first step (batch) of it. Default to 0.
        share: a `shares.Share` of each batch, read without the rest. Defaults to None: all of it.

    Returns:
        tf.data.Dataset of dicts: "index" int64 (b,), "view" int64 (b,), "image" uint8 (b, height,
        width, channels), "label" int32 (b,), and with `logits` "teacher_logits" float32
        (b, classes).

    Raises:
        DataError: if there is nothing to draw from, or images of varying size meet no resized crop.
    """
    indices = _checked_indices(split, indices, batch_size)
    if views is not None and views < 1:
        raise DataError(f"`views` must be at least 1. Received: views={views}")
    read = _reader(split, augmentation)

    def plan(epoch):
        view = view_of(epoch, views)
        rows = epoch_order(seed, int(epoch), np.arange(len(indices)))
        parameters = augmentation.parameters(view_seed, view, len(split))
        return rows, indices[rows], parameters[indices[rows]], np.int64(view)

    def epoch_batches(epoch):
        first = tf.where(epoch == initial_epoch, initial_step * batch_size, 0)
        return _planned_batches(plan, epoch, tf.cast(first, tf.int64), batch_size, logits)

    steps = steps_per_epoch(len(indices), batch_size)
    total = max(0, (epochs - initial_epoch) * steps - initial_step)
    stream = tf.data.Dataset.range(initial_epoch, epochs).flat_map(as_written(epoch_batches))
    return _in_parallel(stream, read, total, share)


def eval_batches(split, indices=None, *, batch_size, augmentation=NONE, share=None):
    """Builds one pass in the order of `indices` under evaluation preprocessing.

    Args:
        split: a `Split`.
        indices: integer array (n,) of examples. Defaults to all, in index order.
        batch_size: examples per batch; the last may be smaller.
        augmentation: the recipe's `Augmentation`; only what is not random in it acts here.
        share: as for `train_batches`.

    Returns:
        tf.data.Dataset of dicts: "index" int64 (b,), "image" uint8 (b, height, width, channels),
        "label" int32 (b,).

    Raises:
        DataError: as `train_batches`.
    """
    indices = _checked_indices(split, indices, batch_size)
    read = _reader(split, augmentation, evaluation=True)
    return _one_pass(indices, batch_size, read, share)


def view_batches(split, indices=None, *, batch_size, view, augmentation=NONE, view_seed=0):
    """Builds one pass in the order of `indices` under one view of each example.

    Args:
        split, indices, batch_size: as for `eval_batches`.
        view: integer >= 0.
        augmentation, view_seed: as for `train_batches`.

    Returns:
        tf.data.Dataset as `eval_batches` returns it, with the images that `train_batches` gives in
        an epoch of this view.

    Raises:
        DataError: as `train_batches`.
    """
    indices = _checked_indices(split, indices, batch_size)
    read = _reader(split, augmentation)
    parameters = tf.constant(augmentation.parameters(view_seed, view, len(split)))

    def drawn(columns):
        return read(columns | {"parameters": tf.gather(parameters, columns["index"])})

    return _one_pass(indices, batch_size, drawn)


def _planned_batches(plan, epoch, first, batch_size, logits):
    """The batches of one epoch from example `first` on, without their images and labels.

    `plan` maps an epoch to rows, indices, view parameters and the view, as NumPy values.
    """
    types = (tf.int64,) * 4
    rows, index, parameters, view = tf.numpy_function(plan, [epoch], types, stateful=False)
    rows, index = tf.ensure_shape(rows, [None]), tf.ensure_shape(index, [None])
    parameters, view = tf.ensure_shape(parameters, [None, None]), tf.ensure_shape(view, [])
    span = _CHUNK * batch_size

    def chunk_batches(begin):
        chunk = slice(begin, begin + span)
        columns = {"index": index[chunk], "parameters": parameters[chunk]}
        columns["view"] = tf.fill(tf.shape(columns["index"]), view)
        if logits is not None:
            columns["teacher_logits"] = _rows_of(logits, view, rows[chunk])

        def batch(start):
            return {name: column[start : start + batch_size] for name, column in columns.items()}

        held = tf.shape(columns["index"], out_type=tf.int64)[0]
        return tf.data.Dataset.range(0, held, batch_size).map(batch)

    count = tf.shape(rows, out_type=tf.int64)[0]
    return tf.data.Dataset.range(first, count, span).flat_map(chunk_batches)


def _one_pass(indices, batch_size, read, share=None):
    order = tf.constant(indices)
    starts = tf.data.Dataset.range(0, len(indices), batch_size)
    stream = starts.map(as_written(lambda start: {"index": order[start : start + batch_size]}))
    total = steps_per_epoch(len(indices), batch_size)
    return _in_parallel(stream, read, total, share)


def _in_parallel(stream, read, total, share):
    """Reads images in the background, a bounded number of steps ahead."""
    total *= 1 if share is None else share.stop - share.first
    stream = shares.cut(stream, share)
    stream = stream.map(as_written(read), num_parallel_calls=_parallel_calls(), deterministic=True)
    stream = stream.apply(tf.data.experimental.assert_cardinality(total)).prefetch(_PREFETCH)
    # The autotuner's thread sleeps up to a minute, and an iterator cannot end before it wakes up.
    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.with_options(options)


def _parallel_calls():
    return os.cpu_count() or 1


def _rows_of(logits, view, rows):
    def gather(view, rows):
        return np.asarray(logits.read(int(view))[rows], dtype=np.float32)

    found = tf.numpy_function(gather, [view, rows], tf.float32, stateful=False)
    return tf.ensure_shape(found, [None, logits.classes])


def _checked_indices(split, indices, batch_size):
    if batch_size < 1:
        raise DataError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
    indices = np.arange(len(split)) if indices is None else np.asarray(indices)
    indices = indices.astype(np.int64)
    if not len(indices):
        raise DataError(f"No examples to draw from the {split.name} split.")
    if indices.min() < 0 or indices.max() >= len(split):
        raise DataError(
            f"`indices` must lie in 0..{len(split) - 1}. Received: {indices.min()}..{indices.max()}"
        )
    return indices


def _reader(split, augmentation, evaluation=False):
    """Returns the function that puts images and labels in a batch in place of "parameters"."""
    images = split.images
    shape = augmentation.output_shape(images.shape)
    if None in shape:
        raise DataError(
            "Images of varying size need an augmentation with `resized_crop`. "
            f"Received: {augmentation}"
        )
    labels = tf.constant(split.labels, dtype=tf.int32)
    images.bind()

    def read(columns):
        index, parameters = columns["index"], columns.pop("parameters", None)
        if evaluation:
            batch = augmentation.evaluation(images, index)
        else:
            batch = augmentation.views(images, index, parameters)
        batch = tf.ensure_shape(batch, (None, *shape))
        return columns | {"image": batch, "label": tf.gather(labels, index)}

    return read
