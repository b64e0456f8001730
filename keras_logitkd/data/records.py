"""Random access to the TFRecord files of a TFDS split.

The index of an example is the number of examples in the shards before its own plus its position
in the shard. Positions, checksums and labels come from one pass over the files, kept beside them.
"""

import logging
import os
import pathlib
import zipfile
import zlib

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_logitkd.data.sources import Images
from keras_logitkd.storage import atomic, hashing
from keras_logitkd.storage.errors import DataError

_log = logging.getLogger(__name__)

# A TFRecord is: length (8 bytes), its checksum (4), the data, their checksum (4).
_HEADER, _FOOTER = 12, 4


class RecordImages(Images):
    """Images inside TFRecord files, read and decoded when they are needed.

    Args:
        paths: the shards, in order.
        table: int64 array (n, 4) of shard number, offset, length and CRC-32 of each example's data.
        key: name of the image in the examples.
        shape: (height, width, channels); height and width are None where sizes vary.
    """

    def __init__(self, paths, table, key, shape):
        self.paths, self.table, self.key, self.shape = paths, table, key, shape
        self.count = len(table)

    def serialized(self, index):
        """Returns the bytes of example `index`; a `DataError` if they are not those of the index.

        TensorFlow checks the format's own checksums (CRC-32C) when the files are indexed; zlib's,
        kept in the index, takes 26 us for 110 kB, so that it can be checked in every epoch.
        """
        shard, offset, length, checksum = self.table[int(index)]
        with open(self.paths[shard], "rb") as file:
            file.seek(offset)
            data = file.read(length)
        if zlib.crc32(data) != checksum:
            raise DataError(
                f"The record at byte {offset - _HEADER} of {self.paths[shard]} is damaged: its "
                "checksum is not the one it was indexed with"
            )
        return data

    def image(self, index):
        data = tf.numpy_function(self.serialized, [index], tf.string, stateful=False)
        return tf.ensure_shape(self._decode(tf.ensure_shape(data, [])), self.shape)

    def _decode(self, serialized):
        wanted = {self.key: tf.io.FixedLenFeature((), tf.string)}
        encoded = tf.io.parse_single_example(serialized, wanted)[self.key]
        return tf.io.decode_image(encoded, channels=self.shape[-1], expand_animations=False)

    def load(self, index):
        return self._decode(self.serialized(index)).numpy()

    def fingerprint(self):
        """Returns the sha256 (hex) of the files' names and sizes and their records' table."""
        files = [(path.name, path.stat().st_size) for path in self.paths]
        return hashing.of(np.ascontiguousarray(self.table, dtype="<i8"), repr(files))


def open_records(builder, split, image_key, label_key):
    """Opens a prepared TFDS split for random access.

    Returns:
        (RecordImages, int32 labels of shape (n,)).

    Raises:
        DataError: if the files are not TFRecords, or hold another number of examples.
        tf.errors.DataLossError: if they are damaged.
    """
    info = builder.info
    if info.file_format is not tfds.core.FileFormat.TFRECORD:
        raise DataError(
            f"Dataset {info.full_name} does not fit in memory and must then be stored as TFRecord. "
            f"Received: {info.file_format.value}"
        )
    paths = [pathlib.Path(item.filename) for item in info.splits[split].file_instructions]
    table, labels = _index(builder, split, paths, label_key)
    return RecordImages(paths, table, image_key, tuple(info.features[image_key].shape)), labels


def _index(builder, split, paths, label_key):
    """Returns the table of records and the labels, from the kept copy where it fits the files."""
    kept = pathlib.Path(builder.data_dir) / f"logitkd_index_{split}.npz"
    sizes = np.array([path.stat().st_size for path in paths], np.int64)
    try:
        with np.load(kept, allow_pickle=False) as archive:
            if np.array_equal(archive["sizes"], sizes):
                return archive["records"], archive["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        _log.info("Indexing %s/%s; this reads its files once.", builder.info.full_name, split)
    parts = [_read(shard, path, label_key) for shard, path in enumerate(paths)]
    table, labels = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    expected = builder.info.splits[split].num_examples
    if len(table) != expected:
        raise DataError(
            f"{builder.info.full_name}/{split} must hold {expected} examples. "
            f"Received: {len(table)} in the files"
        )
    _keep(kept, sizes=sizes, records=table, labels=labels)
    return table, labels


def _read(shard, path, label_key):
    """Reads a TFRecord file once; TensorFlow checks the checksums of its records.

    Returns:
        (int64 (n, 4) of shard, offset, length and CRC-32 of the data, int32 labels).
    """
    wanted = {label_key: tf.io.FixedLenFeature((), tf.int64)}
    rows, labels, position = [], [np.zeros(0, np.int32)], 0
    for batch in tf.data.TFRecordDataset(os.fspath(path)).batch(256):
        labels.append(tf.io.parse_example(batch, wanted)[label_key].numpy().astype(np.int32))
        for data in batch.numpy():
            rows.append((shard, position + _HEADER, len(data), zlib.crc32(data)))
            position += _HEADER + len(data) + _FOOTER
    return np.array(rows, np.int64).reshape(-1, 4), np.concatenate(labels)


def _keep(path, **arrays):
    """Writes the index beside the files if that is allowed."""
    try:
        with atomic.replacing(path) as partial:
            np.savez(partial, **arrays)
    except atomic.StorageError as error:
        _log.warning("The index of %s cannot be kept (%s).", path.parent, error.__cause__)
