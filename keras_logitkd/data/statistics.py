"""Mean and standard deviation of pixel values."""

import numpy as np

from keras_logitkd.data import randomness

_CHUNK = 1024
_SAMPLE = 10_000


def channel_statistics(split, indices=None):
    """Measures raw pixel values per channel, in float64.

    Args:
        split: a `Split`, usually the training split. In memory every image counts; of streamed
            images a fixed sample of 10,000.
        indices: sorted integer array of the positions that count. Defaults to None: all.

    Returns:
        (mean, std), float64 arrays of shape (channels,), in raw pixel units (0..255).
    """
    channels = split.images.shape[-1]
    total, squares, pixels = np.zeros(channels), np.zeros(channels), 0
    for chunk in _pixel_chunks(split, indices):
        values = chunk.reshape(-1, channels).astype(np.float64)
        total += values.sum(axis=0)
        squares += np.square(values).sum(axis=0)
        pixels += len(values)
    mean = total / pixels
    return mean, np.sqrt(np.maximum(squares / pixels - mean**2, 0.0))


def _pixel_chunks(split, indices):
    count = len(split) if indices is None else len(indices)
    if split.images.in_memory:
        for start in range(0, count, _CHUNK):
            part = slice(start, start + _CHUNK)
            yield split.images.array[part if indices is None else indices[part]]
        return
    chosen = np.sort(randomness.permutation(randomness.SAMPLE, 0, 0, count)[:_SAMPLE])
    yield from split.images.read(chosen if indices is None else indices[chosen])
