"""A saved network measured on a dataset: alone, or with what its run knows."""

import functools

import numpy as np

from keras_logitkd.analysis.finished_run import find_teachers
from keras_logitkd.data import catalog, pipeline
from keras_logitkd.networks import sizes
from keras_logitkd.runs import evaluation
from keras_logitkd.runs.directory.description import run_of
from keras_logitkd.runs.directory.run_directory import locate_model
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.spec.recipes import recipe_for
from keras_logitkd.runs.spec.settings import RunSettings

_BATCH = 256


def evaluate(file_or_run, runs_dir="runs", dataset=None, data_dir=None, teacher=None, split="test"):
    """Measures a saved network, and its agreement with its teachers where they are found.

    Args:
        file_or_run: a .keras file, the name of a run, or the path of a run directory. A file in the
            directory of its run knows the run, too.
        runs_dir: where runs of that name are. Defaults to "runs".
        dataset: its specification. Defaults to the run's, for a file by itself to "digits".
        data_dir: where TFDS datasets are. Defaults to what the run has recorded.
        teacher: a .keras file or a run. Defaults to the teachers of the run, whose logits are
            averaged.
        split: "test" or "train". Defaults to "test".

    Returns:
        (result, notes): a dict of JSON values, `agreement` among them where there is a teacher, and
        a list of lines on what was not found.

    Raises:
        ValueError: If there is no such network, dataset or teacher, or they do not fit.
    """
    file, _ = locate_model(file_or_run, runs_dir)
    run = run_of(file)
    settings = RunSettings.from_config(run.read_config()) if run else None
    network = models.load_model(file)
    spec = dataset or (settings.dataset if settings else "digits")
    data = catalog.load(spec, data_dir or (settings.data_dir if settings else None))
    if settings:
        augmentation = settings.recipe.augmentation
    else:
        augmentation = models.fitting_augmentation(recipe_for(data).augmentation, network)
    shape = augmentation.output_shape(data.image_shape)
    network = _on_views(network, data, shape, f"Model {file}")
    batches = functools.partial(
        pipeline.eval_batches, getattr(data, split), batch_size=_BATCH, augmentation=augmentation
    )
    teachers, notes = [], []
    if teacher:
        path, _ = locate_model(teacher, runs_dir)
        teachers = [_on_views(models.load_model(path), data, shape, f"Model {path}")]
    elif settings and settings.teachers:
        teachers, notes = _own_teachers(settings, run, data, shape)
    logits, labels = evaluation.predict(network, batches())
    result = {"model": str(file), "dataset": spec, "split": split}
    result |= evaluation.by_class(logits, labels, tuple(data.class_names))
    result |= evaluation.classification_metrics(logits, labels)
    if teachers:
        theirs = np.concatenate([*evaluation.averaged_logits(lambda: teachers, batches)])
        result["agreement"] = evaluation.agreement(logits, theirs)
    return result, notes


def _on_views(model, data, shape, what):
    return sizes.on_images(models.fitted(model, data, shape, what), shape)


def _own_teachers(settings, run, data, shape):
    """The models of a run's teachers, and a note where one was not found or does not fit."""
    try:
        found = find_teachers(settings, run, data)
        named = [(teacher.load(), f"Teacher {teacher.label}") for teacher in found]
        return [_on_views(model, data, shape, name) for model, name in named], []
    except ValueError as error:
        return [], [f"no agreement with the run's teacher: {error}. Name one with --teacher"]
