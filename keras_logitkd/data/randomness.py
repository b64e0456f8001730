"""Seeded draws that are pure functions of their keys.

They are read from the raw words of NumPy's Philox generator (Salmon et al., SC 2011), whose stream
is fixed by its definition: neither the NumPy version nor the platform changes it, which
`Generator.permutation` does not promise.
"""

import numpy as np

# Each purpose reads its own part of the counter space, so that equal seeds never share numbers.
ORDER, VIEW, HOLD_OUT, SAMPLE, NOISE = range(5)


def words(purpose, seed, number, count, stream=0):
    """Draws 64-bit words; the word at position i does not depend on how many are drawn.

    Args:
        purpose: ORDER, VIEW, HOLD_OUT, SAMPLE or NOISE.
        seed: integer, taken modulo 2**64.
        number: integer >= 0, such as the epoch or the view.
        count: how many words.
        stream: integer below 2**64; one purpose may have several. Defaults to 0.

    Returns:
        uint64 array of shape (count,).
    """
    key = np.array([int(seed) % 2**64, int(number) % 2**64], dtype=np.uint64)
    counter = np.array([0, 0, stream, purpose], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count)


def view_words(seed, view, count):
    """Returns uint64 (count, 3), what crops (0, 1) and mirror images (2) have been drawn from."""
    return words(VIEW, seed, view, count * 3).reshape(count, 3)


def uniforms(raw):
    """Turns words into float64 numbers in [0, 1) by their upper 53 bits."""
    return (raw >> np.uint64(11)) * 2.0**-53


def permutation(purpose, seed, number, count):
    """Returns a permutation of 0..count-1 as int64 array, a pure function of its arguments."""
    return np.argsort(words(purpose, seed, number, count), kind="stable")
