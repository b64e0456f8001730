"""Images without labels: which are read, and how they stand beside those with labels."""

import messy_folder
import numpy as np
import pytest

from keras_logitkd.data import catalog, pipeline
from keras_logitkd.data.unlabelled import joined, load_unlabelled
from keras_logitkd.data.views.augmentation import Augmentation
from keras_logitkd.storage.errors import DataError


@pytest.fixture
def labelled(messy):
    return catalog.load(f"folder:{messy[0]}")


@pytest.mark.parametrize("memory_budget", [0, 2**30])
def test_all_images_of_a_folder_are_read_whatever_its_folders(messy, labelled, memory_budget):
    root, expected = messy
    split = load_unlabelled(f"folder:{root}", labelled, memory_budget)
    assert split.labels.tolist() == [-1] * len(expected)
    assert split.images.in_memory == (memory_budget > 0)
    names = [split.images.files.name_of(index) for index in range(len(split))]
    assert names == sorted(expected)
    for index, name in enumerate(names):
        np.testing.assert_array_equal(split.images.load(index), expected[name])


@pytest.mark.parametrize("memory_budget", [0, 2**30])
def test_joined_images_are_those_of_both(messy, labelled, memory_budget):
    root, _ = messy
    others = load_unlabelled(f"folder:{root / 'testing'}", labelled, memory_budget)
    split = joined(labelled.train, others)
    count = len(labelled.train)
    assert split.labels.tolist() == [*labelled.train.labels, -1, -1]
    assert split.images.shape == labelled.image_shape
    crops = Augmentation(pad=1, flip=True)
    batches = pipeline.train_batches(split, batch_size=4, epochs=1, seed=3, augmentation=crops)
    plain = pipeline.eval_batches(split, batch_size=count + 2)
    (batch,) = plain
    seen = batch["image"].numpy()
    np.testing.assert_array_equal(seen[:count], labelled.train.images.array)
    np.testing.assert_array_equal(seen[count:], [others.images.load(0), others.images.load(1)])
    assert sorted(np.concatenate([b["index"] for b in batches])) == list(range(count + 2))
    held = joined(labelled.train, load_unlabelled(others.name, labelled, 2**30))
    assert split.fingerprint() == held.fingerprint()
    assert split.fingerprint() != labelled.train.fingerprint()


def test_sizes_that_differ_vary_and_grey_becomes_what_the_others_are(messy, labelled, tmp_path):
    messy_folder.write(tmp_path / "large", size=(20, 10))
    others = load_unlabelled(f"folder:{tmp_path / 'large'}", labelled, 0)
    split = joined(labelled.train, others)
    assert split.images.shape == (None, None, 3)
    assert split.images.load(len(labelled.train)).shape == (10, 20, 3)
    assert split.images.load(len(labelled.train) - 1).shape == (8, 12, 3)


def test_what_cannot_be_read_is_refused_or_left_out(messy, labelled, tmp_path):
    root, expected = messy
    damaged = messy_folder.damage(root)
    with pytest.raises(DataError, match="cannot read 3 of 20 images"):
        load_unlabelled(f"folder:{root}", labelled, 0)
    kept = load_unlabelled(f"folder:{root}?skip-unreadable", labelled, 0)
    assert len(kept) == len(expected)
    (tmp_path / "empty").mkdir()
    for spec, message in (
        (f"folder:{tmp_path / 'empty'}", "no images in"),
        (f"folder:{tmp_path / 'none'}", "no such folder"),
        ("npz:x.npz", "must be folder:DIR. Received: 'npz:x.npz'"),
    ):
        with pytest.raises(DataError, match=message):
            load_unlabelled(spec, labelled, 0)
    for name in expected:
        (root / name).unlink()
    with pytest.raises(DataError, match=f"none of its {len(damaged)} images can be read"):
        load_unlabelled(f"folder:{root}?skip-unreadable", labelled, 0)
