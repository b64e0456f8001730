"""Datasets of tensorflow-datasets (TFDS), prepared on disk or downloaded once."""

import contextlib
import difflib
import io
import logging
import re
import socket
import urllib.parse
import urllib.request

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from tensorflow_datasets.core import registered

from keras_logitkd.data import specs
from keras_logitkd.data.arrays import hold_out
from keras_logitkd.data.dataset import Dataset, Split
from keras_logitkd.data.listing import default_data_dir
from keras_logitkd.data.records import open_records
from keras_logitkd.data.sources import ArrayImages
from keras_logitkd.storage.errors import DataError, one_line

# The labels of these datasets' own test split are not public.
_TEST_SPLITS = {"imagenet2012": "validation"}
_SPEC = re.compile(r"[a-z0-9_]+(/[\w.\-]+)?(:[0-9]+\.[0-9]+\.[0-9]+)?")
_CHUNK = 1024
_TIMEOUT = 10.0

_log = logging.getLogger(__name__)


def load_tfds(spec, data_dir, memory_budget):
    """Loads a TFDS image-classification dataset, downloading it if it is not there.

    Args:
        spec: "name[/config][:version]".
        data_dir, memory_budget: as for `catalog.load`.

    Returns:
        A `Dataset` in TFDS's canonical order.

    Raises:
        DataError: if the name is unknown, the data are not there and cannot be had, or are not
            8-bit images with one class each.
    """
    with quiet():
        builder = find_builder(spec, data_dir)
        image_key, label_key = classification_keys(spec, builder.info)
        if not builder.is_prepared():
            _download(spec, builder)
        parts = _parts(spec, builder)
        shape = tuple(builder.info.features[image_key].shape)
        class_names = tuple(builder.info.features[label_key].names)
        count = sum(builder.info.splits[part].num_examples for part in parts)
        in_memory = None not in shape and count * int(np.prod(shape)) <= memory_budget
        if len(parts) == 1 and not in_memory:
            raise DataError(f"Dataset {spec!r} has no test split and does not fit in memory.")
        sources = [_read(builder, part, image_key, label_key, in_memory) for part in parts]
    for part, (_, labels) in zip(parts, sources, strict=True):
        _check_labels(spec, part, labels, len(class_names))
    if len(parts) == 1:
        images, labels = sources[0]
        return hold_out(spec, images.array, labels, class_names)
    splits = [
        Split(name, labels, images)
        for name, (images, labels) in zip(("train", "test"), sources, strict=True)
    ]
    return Dataset(spec, class_names, shape, *splits)


def _parts(spec, builder):
    """Returns the names of the splits to train and to test on; the latter may be missing."""
    splits = builder.info.splits
    wanted = ("train", _TEST_SPLITS.get(builder.name, "test"), "validation")
    parts = [name for name in dict.fromkeys(wanted) if name in splits]
    if "train" not in parts:
        raise DataError(
            f"Dataset {spec!r} needs a train split. Received: {', '.join(sorted(splits))}"
        )
    return parts[:2]


def find_builder(spec, data_dir):
    """Returns the TFDS builder of a dataset as in `load_tfds`, without touching the network.

    Raises:
        DataError: if there is no such dataset, config or version.
    """
    if not _SPEC.fullmatch(spec):
        raise _unknown(spec)
    try:
        # TFDS itself reads TFDS_DATA_DIR once, when it is imported.
        return tfds.builder(spec, data_dir=data_dir or default_data_dir())
    except tfds.core.DatasetNotFoundError as error:
        raise _unknown(spec) from error
    except Exception as error:  # damaged metadata raises whatever its parser does
        raise DataError(f"Dataset {spec!r} cannot be opened: {one_line(error)[:200]}") from error


def _unknown(spec):
    known = ("digits", *registered.list_imported_builders())
    near = difflib.get_close_matches(spec, known, n=3)
    hint = f" Near: {', '.join(near)}." if near else ""
    return DataError(
        f"Unknown dataset {spec!r}.{hint} Allowed: {specs.KNOWN}; "
        "`logitkd data import` adds your own."
    )


def classification_keys(spec, info):
    """Returns the names of the image and the class feature of a TFDS dataset.

    Raises:
        DataError: if it is not image classification.
    """
    features = info.features
    keys = info.supervised_keys or ("image", "label")
    fits = (
        isinstance(features, tfds.features.FeaturesDict)
        and len(keys) == 2
        and all(isinstance(key, str) and key in features for key in keys)
        and isinstance(features[keys[0]], tfds.features.Image)
        and isinstance(features[keys[1]], tfds.features.ClassLabel)
    )
    if not fits:
        received = ", ".join(features) if hasattr(features, "keys") else type(features).__name__
        raise DataError(
            f"Dataset {spec!r} is not image classification: it needs an image and a class label. "
            f"Received: {received}"
        )
    image = features[keys[0]]
    if np.dtype(image.np_dtype) != np.uint8 or image.shape[-1] not in (1, 3):
        raise DataError(
            f"Dataset {spec!r} must have 8-bit images with 1 or 3 channels. "
            f"Received: {np.dtype(image.np_dtype)} of shape {image.shape}"
        )
    if features[keys[1]].num_classes is None or features[keys[1]].num_classes < 2:
        raise DataError(f"Dataset {spec!r} must name at least two classes.")
    return keys


def _download(spec, builder):
    """Downloads and prepares a dataset; without a network it fails within seconds."""
    where = f"Dataset {spec!r} is not in {builder.data_dir} and cannot be downloaded"
    advice = (
        "Fetch it elsewhere and run `logitkd data import`, or give --data-dir of a prepared copy."
    )
    _check_network(builder, where, advice)
    _log.info("Downloading %s into %s; this happens once.", spec, builder.data_dir)
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    except Exception as error:  # builders raise whatever their code and their hosts produce
        raise DataError(f"{where} ({one_line(error)[:200]}). {advice}") from error


def _check_network(builder, where, advice):
    """Tries the first host itself: TFDS would retry for minutes."""
    url = next(iter(builder.url_infos or {}), None)
    if url is None or urllib.request.getproxies():
        return
    parts = urllib.parse.urlsplit(url)
    port = parts.port or {"http": 80, "ftp": 21}.get(parts.scheme, 443)
    try:
        socket.create_connection((parts.hostname, port), timeout=_TIMEOUT).close()
    except OSError as error:
        raise DataError(f"{where} (no connection to {parts.hostname}). {advice}") from error


def _read(builder, split, image_key, label_key, in_memory):
    """Returns the images (a source) and the int32 labels of a prepared split."""
    read = _arrays if in_memory else open_records
    try:
        return read(builder, split, image_key, label_key)
    except (tf.errors.OpError, OSError) as error:
        raise DataError(
            f"The files of {builder.info.full_name}/{split} in {builder.data_dir} are damaged or "
            f"missing ({one_line(error)[:200]})."
        ) from error


def _arrays(builder, split, image_key, label_key):
    """Reads a split whole, shard after shard: (ArrayImages, int32 labels)."""
    count = builder.info.splits[split].num_examples
    images = np.empty((count, *builder.info.features[image_key].shape), np.uint8)
    labels = np.empty(count, np.int32)
    stream = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding({image_key: True, label_key: True}),
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    start = 0
    for batch in stream.batch(_CHUNK).as_numpy_iterator():
        stop = start + len(batch[label_key])
        images[start:stop], labels[start:stop] = batch[image_key], batch[label_key]
        start = stop
    if start != count:
        raise DataError(
            f"{builder.info.full_name}/{split} must hold {count} examples. Received: {start}"
        )
    return ArrayImages(images), labels


def _check_labels(spec, split, labels, num_classes):
    if not len(labels) or labels.min() < 0 or labels.max() >= num_classes:
        received = f"{labels.min()}..{labels.max()}" if len(labels) else "no examples"
        raise DataError(
            f"Dataset {spec!r}: the labels of its {split} split must lie in "
            f"0..{num_classes - 1}. Received: {received}"
        )


@contextlib.contextmanager
def quiet():
    """Keeps the progress bars, prints and warnings of TFDS off the terminal."""
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
        absl_logging.set_verbosity(verbosity)
