"""An operation of views that is added at run time: one class, one row."""

import numpy as np
import pytest

from keras_logitkd.data import pipeline, randomness
from keras_logitkd.data.dataset import Split
from keras_logitkd.data.sources import ArrayImages
from keras_logitkd.data.views import registry
from keras_logitkd.data.views.augmentation import Augmentation
from keras_logitkd.data.views.operation import Operation
from keras_logitkd.storage.errors import DataError
from keras_logitkd.storage.fields import Field, at_least_0

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 4, 4, 1), dtype=np.uint8)


class Invert(Operation):
    """Gives some images the negative values."""

    name = "invert"
    FIELDS = (Field("invert", float, "Share of negatives.", 0.0, "at least 0", at_least_0),)
    draws = 1

    def parameters(self, words):
        return (randomness.uniforms(words) < self.invert).astype(np.int64)

    def apply(self, images, parameters):
        import tensorflow as tf

        return tf.where(parameters[:, :, None, None] == 1, 255 - images, images)


@pytest.fixture(autouse=True)
def _with_invert(monkeypatch):
    monkeypatch.setattr(registry, "OPERATIONS", [*registry.OPERATIONS, Invert])


def views(view=0, **fields):
    split = Split("train", np.zeros(11, np.int32), ArrayImages(IMAGES))
    augmentation = Augmentation(**fields)
    batches = pipeline.view_batches(split, batch_size=4, view=view, augmentation=augmentation)
    return np.concatenate([batch["image"].numpy() for batch in batches])


def test_it_acts_after_the_others_and_changes_none_of_their_draws():
    plain, inverted = views(pad=1, flip=True), views(pad=1, flip=True, invert=0.5)
    is_same = [bool(np.all(a == b)) for a, b in zip(plain, inverted, strict=True)]
    is_negative = [bool(np.all(a == 255 - b)) for a, b in zip(plain, inverted, strict=True)]
    assert all(same != negative for same, negative in zip(is_same, is_negative, strict=True))
    assert 0 < sum(is_negative) < 11
    np.testing.assert_array_equal(inverted, views(pad=1, flip=True, invert=0.5))
    np.testing.assert_array_equal(views(invert=2.0, view=3), 255 - IMAGES)
    with pytest.raises(DataError, match="`invert` must be at least 0. Received: invert=-1"):
        views(invert=-1)


def test_its_draws_are_its_own(monkeypatch):
    draws = Augmentation(invert=0.5).parameters(0, 0, 64)
    assert (draws != Augmentation(invert=0.5).parameters(0, 1, 64)).any()
    np.testing.assert_array_equal(draws[:20], Augmentation(invert=0.5).parameters(0, 0, 20))
    monkeypatch.setattr(Invert, "name", "other")
    assert (draws != Augmentation(invert=0.5).parameters(0, 0, 64)).any()


def test_it_is_in_keys_when_it_acts():
    assert Augmentation(pad=1).to_config() == {
        "pad": 1,
        "flip": False,
        "resized_crop": None,
        "area": (0.08, 1.0),
        "ratio": (0.75, 4 / 3),
    }
    assert Augmentation(invert=0.5).to_config()["invert"] == 0.5
    assert Augmentation(invert=0.5).evaluation_config() == {"resized_crop": None}


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError, match=r"pad, flip, .*invert. Received: blur"):
        Augmentation(blur=1)
