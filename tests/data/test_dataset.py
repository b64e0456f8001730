"""Splits, their fingerprints, and what is held out for validation."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_logitkd.data import randomness, statistics
from keras_logitkd.data.dataset import Split, draw_part, split_validation
from keras_logitkd.data.sources import ArrayImages, Images
from keras_logitkd.data.statistics import channel_statistics
from keras_logitkd.storage.errors import DataError

label_lists = st.lists(st.integers(0, 6), min_size=1, max_size=200)
fractions = st.floats(0, 0.99)


def make_split(count=6, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 3, 4, 3), dtype=np.uint8)
    return Split("train", np.arange(count, dtype=np.int32) % 2, ArrayImages(images))


@given(label_lists, fractions, st.integers(0, 2**40))
def test_split_validation_partitions(labels, fraction, seed):
    train, valid = split_validation(np.array(labels), fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, valid])), np.arange(len(labels)))
    assert train.dtype == valid.dtype == np.int64
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(valid) > 0)


@example([0, 0, 0, 1, 2], 1 / 3)
@given(label_lists, fractions)
def test_split_validation_is_stratified(labels, fraction):
    labels = np.array(labels)
    train, valid = split_validation(labels, fraction)
    assert set(labels[train]) == set(labels)
    for label in np.unique(labels):
        share = fraction * np.sum(labels == label)
        held = np.sum(labels[valid] == label)
        assert np.floor(share) - 1 <= held <= np.ceil(share)


def test_split_validation_share_is_exact():
    labels = np.repeat(np.arange(10), 500)
    train, valid = split_validation(labels, 0.1)
    assert (len(train), len(valid)) == (4500, 500)
    assert set(np.bincount(labels[valid])) == {50}
    # Pinned: a changed draw would change every published validation number.
    assert valid[:6].tolist() == [6, 17, 18, 20, 25, 56]


def test_largest_remainder_gives_what_is_missing():
    # 10% of 14, 18 and 13 are 1.4, 1.8 and 1.3; of all 45 they are 4 (4.5 to even).
    labels = np.repeat(np.arange(3), [14, 18, 13])
    _, valid = split_validation(labels, 0.1)
    assert np.bincount(labels[valid]).tolist() == [1, 2, 1]


def test_split_validation_zero_is_empty():
    train, valid = split_validation(np.array([0, 1, 0]), 0)
    assert (train.tolist(), valid.tolist()) == ([0, 1, 2], [])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan")])
def test_split_validation_refuses(fraction):
    with pytest.raises(DataError, match="fraction"):
        split_validation(np.array([0, 1]), fraction)


@given(label_lists, st.data())
def test_draw_part_is_stratified_pure_and_exact(labels, data):
    labels = np.array(labels)
    classes, counts = np.unique(labels, return_counts=True)
    count = data.draw(st.integers(len(classes), len(labels)))
    before = labels.copy()
    part = draw_part(labels, count)
    np.testing.assert_array_equal(part, draw_part(labels.copy(), count))
    np.testing.assert_array_equal(labels, before)
    assert part.dtype == np.int64
    assert np.all(np.diff(part) > 0)
    assert set(labels[part]) == set(classes)
    shares = counts * count / len(labels)
    if np.all(shares >= 1):
        assert len(part) == count
        kept = np.array([np.sum(labels[part] == label) for label in classes])
        assert np.all(np.abs(kept - shares) < 1 + 1e-9)
    else:  # A class with less than one example to give gives one.
        assert count <= len(part) < count + len(classes)


def test_draw_part_is_no_continuation_of_the_validation_part():
    labels = np.repeat(np.arange(10), 500)
    part = draw_part(labels, 500)
    _, held_out = split_validation(labels, 0.1)
    assert set(np.bincount(labels[part])) == {50}
    assert 20 < len(set(part) & set(held_out)) < 80  # 50 by chance
    # Pinned: a changed draw would change every number of a part.
    assert part[:6].tolist() == [1, 9, 24, 27, 28, 34]


@pytest.mark.parametrize("count", [0, 2, 7, -1])
def test_draw_part_refuses(count):
    with pytest.raises(DataError, match=rf"`examples` must lie in 3\.\.6.*examples={count}"):
        draw_part(np.arange(6) % 3, count)


def test_fingerprint_sees_every_byte_and_label():
    split = make_split()
    array = split.images.array.copy()
    assert Split("train", split.labels, ArrayImages(array)).fingerprint() == split.fingerprint()
    array[5, 2, 3, 2] ^= 1
    labels = split.labels.copy()
    labels[0] = 1
    changed = [
        Split("train", split.labels, ArrayImages(array)),
        dataclasses.replace(split, labels=labels),
        Split("train", split.labels, ArrayImages(split.images.array.reshape(6, 4, 3, 3))),
        Split("train", split.labels, ArrayImages(split.images.array[::-1])),
    ]
    assert len({split.fingerprint(), *(each.fingerprint() for each in changed)}) == 5


def test_unequal_counts_are_refused():
    with pytest.raises(DataError, match="6 images, 5 labels"):
        Split("train", np.zeros(5, np.int32), make_split().images)


def test_channel_statistics_are_those_of_numpy():
    split = make_split(2500)
    mean, std = channel_statistics(split)
    np.testing.assert_allclose(mean, split.images.array.mean((0, 1, 2), np.float64), rtol=1e-12)
    np.testing.assert_allclose(std, split.images.array.std((0, 1, 2), np.float64), rtol=1e-10)


class ByIndex(Images):
    """Images of one pixel, their index."""

    shape, count = (1, 1, 1), 200

    def load(self, index):
        return np.full(self.shape, index, np.uint8)


def test_statistics_of_streamed_images_are_those_of_a_fixed_sample(monkeypatch):
    monkeypatch.setattr(statistics, "_SAMPLE", 50)
    mean, std = channel_statistics(Split("train", np.zeros(200, np.int32), ByIndex()))
    chosen = randomness.permutation(randomness.SAMPLE, 0, 0, 200)[:50]
    np.testing.assert_allclose([mean[0], std[0]], [chosen.mean(), chosen.std()], rtol=1e-12)
    assert abs(mean[0] - 99.5) < 25  # not that of the first, 24.5


def test_images_are_held_once():
    """Binding to TensorFlow leaves one copy, and the array reads the same."""
    split = make_split()
    before = split.images.array.copy()
    tensor = split.images.bind()
    np.testing.assert_array_equal(split.images.array, before)
    assert np.shares_memory(split.images.array, np.asarray(memoryview(tensor)))
    assert not split.images.array.flags.writeable
