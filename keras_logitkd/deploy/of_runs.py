"""Exports the network of a run into a folder that can be deployed, and proves what it is worth."""

import dataclasses
import functools
import pathlib

import numpy as np

from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.data import pipeline, randomness
from keras_logitkd.deploy import examples, formats
from keras_logitkd.deploy.exporting import export
from keras_logitkd.deploy.measuring import measure
from keras_logitkd.networks import sizes
from keras_logitkd.runs import evaluation
from keras_logitkd.runs.inputs.models import load_model
from keras_logitkd.runs.inputs.teacher_logits import TeacherLogits
from keras_logitkd.storage.atomic import write_json

CALIBRATION = 200  # training images that ranges are measured on
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written, and what it is worth."""

    folder: pathlib.Path
    file: pathlib.Path
    measures: dict  # of the file, see `measuring.measure`
    before: dict  # `bytes` and `accuracy` of the Keras file


def export_run(
    run,
    folder=None,
    format="litert",
    quantize="none",
    softmax=False,
    input_type="float32",
    seed=0,
    runs_dir="runs",
    data_dir=None,
):
    """Exports the network of a finished run and measures the file on the run's test images.

    The folder holds the file, `labels.txt` (a class a line), `model.json` (what the network takes
    and says), `measures.json`, and `predict.py`, which runs the file with NumPy and the runtime
    alone.

    Args:
        run: the path of a run directory, or the name of a run in `runs_dir`.
        folder: where to write. Defaults to `export-FORMAT-QUANTIZE` in the run's directory.
        format, quantize, softmax, input_type: as for `export`.
        seed: of the training images that int8 is calibrated on. Defaults to 0.
        runs_dir: where runs of that name are. Defaults to "runs".
        data_dir: where TFDS datasets are. Defaults to what the run has recorded.

    Returns:
        An `Exported`.

    Raises:
        ValueError: As `export` does, and if there is no such run, or its data are others now.
    """
    row = formats.find(format, quantize)
    row.load()
    found = open_run(run, runs_dir, data_dir)
    source = found.directory.model_file(found.settings.kind)
    network = load_model(source)
    folder = pathlib.Path(folder or found.directory.path / f"export-{format}-{quantize}")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"model{row.suffix}"
    images = functools.partial(_images, found, network)
    train = found.data.train_indices
    calibration = None
    if quantize == formats.INT8:
        drawn = randomness.permutation(randomness.SAMPLE, seed, 0, len(train))[:CALIBRATION]
        calibration = images(found.dataset.train, np.sort(train[drawn]))
    export(network, file, format, quantize, calibration, softmax, input_type)
    tested = images(found.dataset.test, None)
    labels = found.dataset.test.labels
    logits = np.concatenate([np.asarray(network(part)) for part in _parts(tested)])
    if softmax:
        logits = evaluation.softmax(logits)
    if input_type == "uint8":
        tested = np.rint(tested).astype(np.uint8)
    theirs = TeacherLogits(found.teachers, found.data, None) if found.teachers else None
    theirs = None if theirs is None else theirs.of(found.dataset.test)
    measures = measure(file, tested, labels, logits, theirs)
    before = {"bytes": source.stat().st_size, "accuracy": evaluation.accuracy(logits, labels)}
    about = {"format": format, "quantize": quantize, "softmax": softmax, "input_type": input_type}
    examples.write(folder, file, found, network, about)
    write_json(folder / "measures.json", {**about, "keras": before, **measures})
    return Exported(folder, file, measures, before)


def _images(found, network, split, indices):
    """Images of a split as evaluations show them to the network: float32, at its own size."""
    augmentation = found.settings.recipe.augmentation
    views = augmentation.output_shape(found.dataset.image_shape)
    before = sizes.entrance_of(network, views)
    batches = pipeline.eval_batches(split, indices, batch_size=_BATCH, augmentation=augmentation)
    images = (record["image"].numpy().astype(np.float32) for record in batches)
    return np.concatenate([part if before is None else np.asarray(before(part)) for part in images])


def _parts(images):
    return [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
