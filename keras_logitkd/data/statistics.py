"""Mean and standard deviation of pixel values."""

import numpy as np

from keras_logitkd.data import randomness

_CHUNK = 1024
_SAMPLE = 10_000


def channel_statistics(split):
    """Measures raw pixel values per channel, in float64.

    Args:
        split: a `Split`, usually the training split. In memory every image counts; of streamed
            images a fixed sample of 10,000.

    Returns:
        (mean, std), float64 arrays of shape (channels,), in raw pixel units (0..255).
    """
    channels = split.images.shape[-1]
    total, squares, pixels = np.zeros(channels), np.zeros(channels), 0
    for chunk in _pixel_chunks(split):
        values = chunk.reshape(-1, channels).astype(np.float64)
        total += values.sum(axis=0)
        squares += np.square(values).sum(axis=0)
        pixels += len(values)
    mean = total / pixels
    return mean, np.sqrt(np.maximum(squares / pixels - mean**2, 0.0))


def _pixel_chunks(split):
    if split.images.in_memory:
        for start in range(0, len(split), _CHUNK):
            yield split.images.array[start : start + _CHUNK]
        return
    chosen = randomness.permutation(randomness.SAMPLE, 0, 0, len(split))[:_SAMPLE]
    yield from split.images.read(np.sort(chosen))
