"""Order, views and batches against plain NumPy, and streams that start in the middle."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_logitkd.data import pipeline
from keras_logitkd.data.dataset import Split
from keras_logitkd.data.shares import Share
from keras_logitkd.data.sources import ArrayImages, Images
from keras_logitkd.data.views.augmentation import Augmentation
from keras_logitkd.storage.errors import DataError

CROPS = Augmentation(pad=2, flip=True)
seeds = st.integers(0, 2**63)
epochs = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(3)
    images = rng.integers(1, 256, (23, 5, 6, 3), dtype=np.uint8)
    return Split("train", rng.integers(0, 4, 23).astype(np.int32), ArrayImages(images))


def expected_view(image, augmentation, parameters):
    """Pads, crops and mirrors one image in plain NumPy."""
    pad, flip = augmentation.fields["pad"], augmentation.fields["flip"]
    down, right = parameters[:2] if pad else (0, 0)
    mirrored = flip and parameters[-1]
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    height, width = image.shape[:2]
    view = padded[down : down + height, right : right + width]
    return view[:, ::-1] if mirrored else view


def as_lists(batches):
    return [{key: value.numpy() for key, value in record.items()} for record in batches]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
            assert one[key].dtype == other[key].dtype


@given(seeds, epochs, st.lists(st.integers(0, 1000), max_size=50, unique=True))
def test_epoch_order_is_a_permutation(seed, epoch, indices):
    order = pipeline.epoch_order(seed, epoch, np.array(indices, dtype=np.int64))
    assert sorted(order.tolist()) == sorted(indices)
    again = pipeline.epoch_order(seed, epoch, np.array(indices, dtype=np.int64))
    np.testing.assert_array_equal(order, again)


def test_epoch_order_differs_by_seed_and_epoch():
    orders = {
        tuple(pipeline.epoch_order(seed, epoch, np.arange(50)))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_epoch_order_is_pinned():
    """The definition of the order: old runs must be resumed in it."""
    assert pipeline.epoch_order(1, 2, np.arange(8)).tolist() == [4, 2, 0, 6, 1, 5, 7, 3]
    assert CROPS.parameters(1, 2, 2).tolist() == [[2, 2, 1], [4, 0, 0]]


def test_epoch_order_is_uniform():
    first = [pipeline.epoch_order(0, epoch, np.arange(4))[0] for epoch in range(4000)]
    assert np.all(np.abs(np.bincount(first) - 1000) < 5 * np.sqrt(1000 * 0.75))


@settings(max_examples=50)
@given(seeds, epochs, st.integers(1, 60), st.integers(1, 60))
def test_view_parameters_do_not_depend_on_the_count(seed, view, count, more):
    few = CROPS.parameters(seed, view, count)
    many = CROPS.parameters(seed, view, count + more)
    np.testing.assert_array_equal(few, many[:count])


def test_view_parameters_are_uniform():
    parameters = CROPS.parameters(0, 0, 50_000)
    for column, values in ((0, 5), (1, 5), (2, 2)):
        counts = np.bincount(parameters[:, column], minlength=values)
        assert len(counts) == values
        assert np.all(np.abs(counts - 50_000 / values) < 5 * np.sqrt(50_000 / values))
    assert np.abs(np.corrcoef(parameters.T) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize(
    "augmentation", [Augmentation(), CROPS, Augmentation(pad=1), Augmentation(flip=True)]
)
def test_train_batches_match_numpy(split, augmentation):
    records = as_lists(
        pipeline.train_batches(
            split, batch_size=5, epochs=3, seed=7, augmentation=augmentation, view_seed=9, views=2
        )
    )
    assert [len(record["index"]) for record in records] == [5, 5, 5, 5, 3] * 3
    for epoch in range(3):
        order = pipeline.epoch_order(7, epoch, np.arange(23))
        parameters = augmentation.parameters(9, epoch % 2, 23)
        images = [expected_view(split.images.array[i], augmentation, parameters[i]) for i in order]
        part = records[5 * epoch : 5 * epoch + 5]
        np.testing.assert_array_equal(np.concatenate([each["index"] for each in part]), order)
        np.testing.assert_array_equal(np.concatenate([each["image"] for each in part]), images)
        np.testing.assert_array_equal(
            np.concatenate([each["label"] for each in part]), split.labels[order]
        )
        assert {view for each in part for view in each["view"]} == {epoch % 2}
    assert {key: value.dtype.name for key, value in records[0].items()} == {
        "index": "int64",
        "view": "int64",
        "image": "uint8",
        "label": "int32",
    }


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (1, 0), (2, 0), (2, 3), (3, 0)])
def test_a_later_start_gives_the_tail_of_the_stream(split, epoch, step):
    settings = {"batch_size": 4, "epochs": 3, "seed": 1, "augmentation": CROPS, "views": 2}
    indices = np.arange(3, 20)
    steps = pipeline.steps_per_epoch(len(indices), 4)
    full = pipeline.train_batches(split, indices, **settings)
    assert full.cardinality() == 3 * steps
    tail = pipeline.train_batches(
        split, indices, **settings, initial_epoch=epoch, initial_step=step
    )
    assert tail.cardinality() == 3 * steps - epoch * steps - step
    assert_same(as_lists(full)[epoch * steps + step :], as_lists(tail))


def test_views_do_not_depend_on_batches_order_or_subset(split):
    seen = {}
    for seed, batch_size, indices in ((0, 3, None), (5, 23, None), (1, 4, np.array([22, 7, 0]))):
        settings = {"epochs": 2, "augmentation": CROPS, "view_seed": 4}
        for record in as_lists(
            pipeline.train_batches(split, indices, batch_size=batch_size, seed=seed, **settings)
        ):
            for index, view, image in zip(
                record["index"], record["view"], record["image"], strict=True
            ):
                seen.setdefault((index, view), set()).add(image.tobytes())
    assert {len(images) for images in seen.values()} == {1}


def test_eval_batches_are_the_images_in_order(split):
    records = as_lists(pipeline.eval_batches(split, batch_size=10, augmentation=CROPS))
    np.testing.assert_array_equal(
        np.concatenate([each["image"] for each in records]), split.images.array
    )
    indices = np.array([20, 3, 11])
    (record,) = as_lists(pipeline.eval_batches(split, indices, batch_size=10))
    np.testing.assert_array_equal(record["index"], indices)
    np.testing.assert_array_equal(record["label"], split.labels[indices])


def test_static_shapes_are_known(split):
    spec = pipeline.train_batches(split, batch_size=4, epochs=1, seed=0).element_spec
    assert spec["image"].shape.as_list() == [None, 5, 6, 3]
    assert spec["label"].shape.as_list() == [None]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"views": 0}, "views"),
        ({"indices": np.array([], int)}, "No examples"),
        ({"indices": np.array([0, 23])}, "0..22"),
    ],
)
def test_bad_settings_are_refused(split, settings, message):
    with pytest.raises(DataError, match=message):
        pipeline.train_batches(split, **{"batch_size": 4, "epochs": 1, "seed": 0} | settings)


def test_distributed_batches_keep_every_example(split):
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    batches = pipeline.train_batches(split, batch_size=4, epochs=1, seed=0, augmentation=CROPS)
    plain = as_lists(batches)
    spread = strategy.experimental_distribute_dataset(batches)
    assert_same(plain, [{key: value.numpy() for key, value in each.items()} for each in spread])


class RowsByView:
    """Logits that say which view and row they are of."""

    classes = 2

    def __init__(self, count):
        self.count = count

    def read(self, view):
        return np.stack([np.full(self.count, view), np.arange(self.count)], axis=1)


@pytest.mark.parametrize("step", [0, 2])
def test_logits_are_those_of_the_row_and_view(split, step, monkeypatch):
    monkeypatch.setattr(pipeline, "_CHUNK", 3)
    indices = np.array([20, 3, 11, 7, 0, 22, 15])
    settings = {"batch_size": 2, "epochs": 3, "seed": 1, "augmentation": CROPS, "views": 2}
    records = as_lists(
        pipeline.train_batches(
            split, indices, **settings, logits=RowsByView(len(indices)), initial_step=step
        )
    )
    for record in records:
        view, row = record.pop("teacher_logits").T
        np.testing.assert_array_equal(view, record["view"])
        np.testing.assert_array_equal(indices[row.astype(int)], record["index"])
    plain = pipeline.train_batches(split, indices, **settings, initial_step=step)
    assert_same(records, as_lists(plain))


def test_view_batches_are_the_images_of_that_epoch_in_order(split):
    settings = {"augmentation": CROPS, "view_seed": 4}
    trained = pipeline.train_batches(split, batch_size=5, epochs=3, seed=0, **settings)
    seen = {
        int(index): image
        for record in as_lists(trained)
        for index, view, image in zip(record["index"], record["view"], record["image"], strict=True)
        if view == 2
    }
    records = as_lists(pipeline.view_batches(split, batch_size=9, view=2, **settings))
    index = np.concatenate([record["index"] for record in records])
    np.testing.assert_array_equal(index, np.arange(len(split)))
    images = np.concatenate([record["image"] for record in records])
    np.testing.assert_array_equal(images, [seen[number] for number in range(len(split))])


def test_no_stream_has_an_autotuner_that_delays_its_end(split):
    for stream in (
        pipeline.train_batches(split, batch_size=4, epochs=1, seed=0),
        pipeline.eval_batches(split, batch_size=4),
    ):
        assert stream.map(lambda record: record["image"]).options().autotune.enabled is False


class CountedReads(RowsByView):
    """Logits that count how often they are read."""

    reads = 0

    def read(self, view):
        self.reads += 1
        return super().read(view)


def test_stream_runs_no_further_ahead_than_it_says(split, monkeypatch):
    monkeypatch.setattr(pipeline, "_CHUNK", 1)  # a read a step
    monkeypatch.setattr(pipeline, "_parallel_calls", lambda: 2)
    logits = CountedReads(23)
    stream = iter(pipeline.train_batches(split, batch_size=1, epochs=9, seed=0, logits=logits))
    for taken in range(1, 30):
        next(stream)
        settled = -1
        while settled < logits.reads:
            settled = logits.reads
            time.sleep(0.02)
        assert taken < logits.reads <= taken + pipeline.lookahead()


class FirstIsSlow(Images):
    """Images of one pixel, their index, of which the first takes long."""

    shape, count = (1, 1, 1), 8

    def load(self, index):
        time.sleep(0.1 * (index == 0))
        return np.full(self.shape, index, np.uint8)


def test_order_is_kept_where_an_image_takes_long(monkeypatch):
    monkeypatch.setattr(pipeline, "_parallel_calls", lambda: 4)
    split = Split("train", np.zeros(8, np.int32), FirstIsSlow())
    images = [record["image"] for record in as_lists(pipeline.eval_batches(split, batch_size=1))]
    assert np.ravel(images).tolist() == list(range(8))


@pytest.mark.parametrize("machines", [1, 2, 4])
def test_parts_of_all_machines_are_the_batch(split, machines):
    settings = {"batch_size": 6, "epochs": 2, "seed": 1, "augmentation": CROPS}
    whole = as_lists(pipeline.train_batches(split, **settings))
    own = 4 // machines
    shares = [Share(own * rank, own * (rank + 1), 4) for rank in range(machines)]
    streams = [as_lists(pipeline.train_batches(split, **settings, share=each)) for each in shares]
    for step, batch in enumerate(whole):
        parts = [part for stream in streams for part in stream[own * step : own * (step + 1)]]
        count = len(batch["index"])
        assert [len(part["index"]) for part in parts] == np.diff(np.arange(5) * count // 4).tolist()
        assert_same([batch], [{key: np.concatenate([p[key] for p in parts]) for key in batch}])
