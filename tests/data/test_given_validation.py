"""Arrays that bring their validation part."""

import numpy as np
import pytest

from keras_logitkd.data import catalog
from keras_logitkd.storage.errors import DataError


@pytest.fixture
def npz(tmp_path):
    rng = np.random.default_rng(0)

    def write(**others):
        arrays = {
            f"{axis}_{part}": rng.integers(0, 256, (count, 3, 3), np.uint8)
            if axis == "x"
            else np.arange(count) % 2
            for part, count in (("train", 20), ("val", 6), ("test", 4))
            for axis in "xy"
        }
        arrays.update(others)
        kept = {name: array for name, array in arrays.items() if array is not None}
        np.savez(tmp_path / "data.npz", **kept)
        return f"npz:{tmp_path / 'data.npz'}", arrays

    return write


def test_npz_validation_is_the_end_of_the_training_split(npz):
    spec, arrays = npz()
    data = catalog.load(spec)
    assert data.validation.tolist() == list(range(20, 26))
    assert data.training.tolist() == list(range(20))
    images = np.concatenate([arrays["x_train"], arrays["x_val"]])
    np.testing.assert_array_equal(data.train.images.array[..., 0], images)
    assert data.test.labels.tolist() == [0, 1, 0, 1]


def test_npz_without_a_test_part_holds_out_of_training_only(npz):
    spec, arrays = npz(x_test=None, y_test=None)
    data = catalog.load(spec)
    assert (len(data.training), len(data.validation), len(data.test)) == (16, 6, 4)
    kept = data.train.images.array[data.validation][..., 0]
    np.testing.assert_array_equal(kept, arrays["x_val"])


def test_the_fingerprint_knows_what_is_for_validation(npz):
    spec, arrays = npz()
    before = catalog.load(spec)
    again, _ = npz(
        x_train=np.concatenate([arrays["x_train"], arrays["x_val"][:2]]),
        y_train=np.concatenate([arrays["y_train"], arrays["y_val"][:2]]),
        x_val=arrays["x_val"][2:],
        y_val=arrays["y_val"][2:],
        x_test=arrays["x_test"],
    )
    after = catalog.load(again)
    assert after.train.fingerprint() == before.train.fingerprint()
    assert after.fingerprint() != before.fingerprint()


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"y_val": None}, "both x_val and y_val. Missing: y_val"),
        ({"y_val": np.arange(6)}, "y_val must hold classes of y_train, 0..1. Received: 5"),
        ({"x_val": np.zeros((6, 4, 3), np.uint8)}, "val images must have the shape of the train"),
        ({"x_valid": np.zeros((6, 3, 3), np.uint8)}, "one validation part. Received: val, valid"),
    ],
)
def test_npz_validation_that_does_not_fit_is_refused(npz, others, message):
    spec, _ = npz(**others)
    with pytest.raises(DataError, match=message):
        catalog.load(spec)
