"""What a run is going to do, before it does it."""

import numpy as np

from keras_logitkd import model_specs
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.spec import fitting
from keras_logitkd.runs.spec.recipes import is_fitted

_DTYPE_BYTES = {"float32": 4, "float16": 2}


def plan_of(job, seconds=None):
    """Returns a `Job` in words, a list of (what, text) pairs; nothing is trained or written.

    Args:
        job: the `Job`.
        seconds: how long it will take with its teachers. Defaults to None: that is not said.
    """
    settings, workspace = job.settings, job.workspace
    recipe, dataset = settings.recipe, workspace.dataset
    data = RunData(settings, dataset)
    rows = [("data", _data(dataset, data))]
    rows += [("teacher", _teacher(teacher)) for teacher in job.teachers]
    what = "network" if settings.kind == "train" else "student"
    rows += [(what, _network(settings, dataset)), ("training", _training(settings, data))]
    if job.teachers:
        rows.append(("logits", _logits(settings, workspace, data)))
    if is_fitted(dataset):
        pretrained = model_specs.is_pretrained(settings.model)
        rows += [("because", text) for text in fitting.reasons(dataset, recipe, pretrained)]
    if seconds is not None:
        rows.append(("time", _time(seconds)))
    return [*rows, ("run", str(job.directory.path))]


def is_done(job):
    """Whether a `Job` is finished already."""
    return job.directory.read_result() is not None


def unfinished_seconds(job):
    """Returns the estimated seconds of a `Job` and of its teachers that are to be trained."""
    from keras_logitkd.runs import estimate

    dataset, settings = job.workspace.dataset, job.settings
    total, models = 0.0, []
    for teacher in job.teachers:
        own = teacher.job
        if own is None or is_done(own):
            models.append(teacher.load())
            continue
        total += unfinished_seconds(own)
        models.append(own.settings)
    stored = job.workspace.cache is not None
    return total + estimate.run_seconds(settings, dataset, models, stored)


def _data(dataset, data):
    parts = (len(data.train_indices), len(data.validation_indices), len(dataset.test))
    counts = "{:,} to train on, {:,} held out, {:,} to test".format(*parts)
    if others := len(data.seen_indices) - len(data.train_indices):
        counts += f", {others:,} without labels"
    sides = dataset.image_shape[:2]
    size = f"{sides[0]} x {sides[1]}" if None not in sides else f"about {dataset.median_side}"
    labels = np.bincount(dataset.train.labels, minlength=dataset.num_classes)
    balance = f"{labels.min():,} to {labels.max():,} a class"
    return f"{counts}; {dataset.num_classes} classes, {balance}; {size} pixels"


def _teacher(teacher):
    if teacher.is_file:
        return f"{teacher.label}, as it is"
    if teacher.result() is not None:
        return f"{teacher.label}, trained already ({teacher.identity})"
    recipe = teacher.job.settings.recipe
    return f"{teacher.label}, trained first: {_epochs(recipe)}{_views(recipe, teacher.job)}"


def _network(settings, dataset):
    name = model_specs.name_of(settings.model)
    views = settings.recipe.augmentation.output_shape(dataset.image_shape)
    size = f", on {settings.size} x {settings.size} pixels" if settings.size else ""
    objective = "on labels" if settings.kind == "train" else f"by {settings.objective}"
    return f"{name} {objective}{size or f', on {views[0]} x {views[1]} pixels'}"


def _training(settings, data):
    recipe = settings.recipe
    batches = f"batches of {recipe.batch_size} ({data.steps_per_epoch:,} steps an epoch)"
    return f"{_epochs(recipe)}, {batches}, learning rate {recipe.learning_rate:g}"


def _epochs(recipe):
    head = f"{recipe.head_epochs} of the last layer alone, then " if recipe.head_epochs else ""
    return f"{head}{recipe.epochs} epochs"


def _views(recipe, job):
    side = recipe.augmentation.output_shape(job.workspace.dataset.image_shape)[0]
    return f" of views of {side} pixels"


def _logits(settings, workspace, data):
    if workspace.cache is None:
        return "the teacher runs in every step (--no-cache)"
    epochs = max(settings.recipe.epochs, settings.recipe.head_epochs)
    views = min(epochs, settings.views or epochs)
    count = len(data.seen_indices) * workspace.dataset.num_classes * views
    size = count * _DTYPE_BYTES[settings.logit_dtype]
    amount = f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.0f} kB"
    return f"stored, {views} views of each image, {amount}"


def _time(seconds):
    from keras_logitkd.runs import estimate

    return f"about {estimate.in_words(seconds)} by a few steps on this machine"
