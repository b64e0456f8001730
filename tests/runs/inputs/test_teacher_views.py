"""Every image meets the teacher's logits on it, in runs longer than the stream reads ahead.

No network is trained: the teacher is arithmetic without rounding, so that its logits on an image
are the same in every batch.
"""

import dataclasses
import time

import numpy as np
import pytest

from keras_logitkd.data import pipeline
from keras_logitkd.data.shares import Share
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.inputs.teacher_logits import TeacherLogits
from keras_logitkd.runs.inputs.teachers import Teacher
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.spec.settings import RunSettings

WEIGHTS = np.random.default_rng(8).integers(-9, 10, (64, 3)).astype(np.float32)


class Sums:
    """Weighted sums of the pixels of an image: integers below 2**24, exact in float32."""

    def predict_on_batch(self, images):
        pixels = np.reshape(images, (len(images), -1)).astype(np.float32)
        return pixels @ WEIGHTS[: pixels.shape[1]]


@pytest.fixture
def settings(tiny):
    # 48 examples for training: 24 steps an epoch.
    recipe = Recipe(epochs=7, batch_size=2, pad=1, flip=True, validation=0.2)
    return RunSettings(
        model="wrn-10-1",
        dataset=tiny.name,
        recipe=recipe,
        teachers=("t",),
        loss="mse",
        views=3,
        view_seed=5,
    )


@pytest.fixture
def logits_for(tiny, tmp_path):
    """Makes the `RunData` and `TeacherLogits` of settings."""
    file = tmp_path / "teacher"
    file.write_text("weights")
    teacher = Teacher("t", "t", file, prepare=lambda: None, load=Sums, result=lambda: None)
    cache = LogitCache(str(tmp_path / "logits"))

    def make(settings):
        data = RunData(settings, tiny)
        return data, TeacherLogits([teacher], data, cache)

    return make


@pytest.mark.parametrize(("first", "step"), [(0, 0), (1, 9)])
def test_every_image_meets_its_logits_while_views_are_filled(
    settings, logits_for, monkeypatch, first, step
):
    monkeypatch.setattr(pipeline, "_parallel_calls", lambda: 2)
    data, logits = logits_for(settings)
    assert pipeline.lookahead() < data.steps_per_epoch
    logits.fill_for(first)
    stream = iter(data.train_batches(logits.store, first, step))
    seen = set()
    for epoch in range(first, 7):
        logits.fill_for(epoch)
        for _ in range(step, data.steps_per_epoch):
            images, targets = next(stream)
            np.testing.assert_array_equal(
                targets["teacher_logits"], Sums().predict_on_batch(images)
            )
            seen |= {image.tobytes() for image in images.numpy()}
        step = 0
        if epoch < 3:
            time.sleep(0.05)  # so that the stream reads ahead of the epoch's end
    assert logits.store.views == [0, 1, 2]
    assert len(seen) > 2 * 48  # three views of each, few of them alike
    assert next(stream, None) is None


@pytest.mark.parametrize(
    ("ahead", "epoch", "views", "filled"),
    [
        (1, 0, None, [0, 1]),
        (24, 0, None, [0, 1]),
        (25, 0, None, [0, 1, 2]),
        (24, 2, None, [2, 3]),
        (48, 5, None, [5, 6]),
        (24, 6, None, [6]),
        (24, 0, 3, [0, 1]),
        (24, 2, 3, [0, 2]),
        (25, 1, 3, [0, 1, 2]),
        (500, 0, 3, [0, 1, 2]),
    ],
)
def test_views_are_filled_as_far_as_the_stream_reads_ahead(
    settings, logits_for, monkeypatch, ahead, epoch, views, filled
):
    """In the last step of an epoch `ahead` steps of those after it are read."""
    monkeypatch.setattr(pipeline, "lookahead", lambda: ahead)
    _, logits = logits_for(dataclasses.replace(settings, views=views))
    found = []
    monkeypatch.setattr(logits, "fill", found.append)
    logits.fill_for(epoch)
    assert found == filled


def test_all_epochs_fill_all_views(settings, logits_for):
    _, logits = logits_for(settings)
    logits.fill_for(0, settings.recipe.epochs)
    assert logits.store.views == [0, 1, 2]


@pytest.mark.parametrize("share", [None, Share(0, 1, 3), Share(1, 3, 3)])
def test_held_out_examples_meet_their_own_logits(settings, logits_for, share):
    data, logits = logits_for(settings)
    count = 0
    for images, targets in data.validation_batches(logits, share):
        np.testing.assert_array_equal(targets["teacher_logits"], Sums().predict_on_batch(images))
        count += len(images)
    assert count == 12 * (1 if share is None else (share.stop - share.first) / 3)


def test_stores_of_other_views_are_others(settings, logits_for):
    recipe = settings.recipe
    changed = [
        settings,
        dataclasses.replace(settings, view_seed=6),
        dataclasses.replace(settings, recipe=recipe.replace(pad=0)),
        dataclasses.replace(settings, recipe=recipe.replace(flip=False)),
        dataclasses.replace(settings, recipe=recipe.replace(validation=0.25)),
    ]
    assert len({logits_for(each)[1].store.path for each in changed}) == 5
    again = dataclasses.replace(settings, seed=3, views=None, recipe=recipe.replace(epochs=9))
    assert logits_for(again)[1].store.path == logits_for(settings)[1].store.path


def test_evaluation_logits_are_those_of_its_crops(tiny, settings, logits_for):
    for side in (None, 6, 7):
        recipe = settings.recipe.replace(pad=0, flip=False, resized_crop=side)
        _, logits = logits_for(dataclasses.replace(settings, recipe=recipe))
        crops = {"batch_size": 9, "augmentation": recipe.augmentation}
        batches = pipeline.eval_batches(tiny.test, **crops)
        expected = [Sums().predict_on_batch(batch["image"]) for batch in batches]
        np.testing.assert_array_equal(logits.of(tiny.test), np.concatenate(expected))
