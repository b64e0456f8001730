"""What a saved network says of pictures, prepared as its description asks for."""

import pathlib

import numpy as np

from keras_logitkd.data import catalog, decoding
from keras_logitkd.data.views.resized_crop import resize
from keras_logitkd.networks import sizes, two_classes
from keras_logitkd.runs import evaluation
from keras_logitkd.runs.describe import described
from keras_logitkd.runs.directory import description as descriptions
from keras_logitkd.runs.directory.description import ModelDescription, Preparation
from keras_logitkd.runs.directory.run_directory import locate_model
from keras_logitkd.runs.inputs.models import load_model
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import DataError

_BATCH = 64  # pictures at once


def open_model(file_or_run, runs_dir="runs"):
    """Opens a saved network with what it takes to use it.

    A run of before there was model.json is described by its settings and its data; a file that is
    in no run by itself, with the numbers of its classes for their names.

    Args:
        file_or_run: a .keras file, the name of a run, or the path of a run directory.
        runs_dir: where runs of that name are. Defaults to "runs".

    Returns:
        (network, description): a `keras.Model` from pictures as `prepare` returns them to logits,
        and a `ModelDescription`.

    Raises:
        ValueError: If there is no such model, its description does not fit it, or the data of a run
            without one are not there any more.
    """
    file, _ = locate_model(file_or_run, runs_dir)
    description = descriptions.read_description(file)
    network = load_model(file)
    if description is None:
        run = descriptions.run_of(file)
        description = _by_its_run(file, network, run) if run else _by_itself(file, network)
    outputs, classes = network.outputs[0].shape[-1], len(description.class_names)
    if (outputs, classes) == (1, 2):
        network = two_classes.with_two_logits(network)
    elif outputs != classes:
        raise ValueError(
            f"{file} must return {classes} logits, one for each of its classes. "
            f"Received: a model with {outputs} outputs"
        )
    shape = (*description.preparation.crop, _channels(description))
    return sizes.on_images(network, shape), description


def _channels(description):
    return 1 if description.colours == "grey" else 3


def _by_its_run(file, network, run):
    settings = RunSettings.from_config(run.read_config())
    dataset = catalog.load(settings.dataset, settings.data_dir)
    if settings.fingerprint is not None and not settings.are_of(dataset):
        raise ValueError(
            f"{run.path} has no {descriptions.NAME}, and its data, which name the classes, are not "
            f"those in {settings.dataset} any more. Name the file in it elsewhere: a copy of "
            f"{file.name} predicts numbers of classes"
        )
    return described(file, network, settings, dataset)


def _by_itself(file, network):
    shape = tuple(network.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape or shape[-1] not in descriptions.COLOURS:
        raise ValueError(
            f"{file} must take images of one size, grey or RGB, or have {descriptions.NAME} beside "
            f"it. Received: a model for {shape}"
        )
    return ModelDescription(
        format=descriptions.FORMAT,
        file=file.name,
        fingerprint=hashing.model_fingerprint(file),
        input_shape=shape,
        dtype="uint8",
        pixel_range=(0, 255),
        colours=descriptions.COLOURS[shape[-1]][0],
        preparation=Preparation(None, shape[:2], shape[:2]),
        output=descriptions.SOFTMAX,
        class_names=tuple(map(str, range(max(2, network.outputs[0].shape[-1])))),
        made_by=None,
    )


def pictures_in(places):
    """Returns the picture files at some paths: files as they are, folders walked in sorted order.

    Of a folder those count that end as pictures do; hidden ones, and what is in hidden folders, do
    not.

    Raises:
        ValueError: If a folder has none.
    """
    found = []
    for place in map(pathlib.Path, places):
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        if place.is_dir():
            files = [file for file in files if _is_picture(file, file.relative_to(place).parts)]
        if not files:
            raise ValueError(
                f"A folder must hold pictures that end in {', '.join(decoding.SUFFIXES)}. "
                f"Received: {place} without any"
            )
        found += files
    return found


def _is_picture(file, parts):
    is_hidden = any(part.startswith((".", "__")) for part in parts)
    return decoding.is_image(file) and file.is_file() and not is_hidden


def prepare(pixels, description):
    """Returns a picture's crop, which `open_model`'s network resizes for itself.

    Args:
        pixels: uint8 array of shape (height, width, channels), values 0 to 255.
        description: the `ModelDescription` of the network.

    Returns:
        Array of the crop's height and width, of pixel values in the range of the description.
    """
    preparation, sides = description.preparation, np.array(pixels.shape[:2])
    crop = np.array(preparation.crop)
    if preparation.short_side is not None:
        wanted, given = preparation.short_side, sides.min()
    else:
        tighter = np.argmax(crop / sides)
        wanted, given = crop[tighter], sides[tighter]
    # As evaluations compute it, to the bit: the product before the quotient.
    image = _in_size(pixels, np.maximum(np.rint(sides * wanted / given).astype(int), crop))
    (top, left), (height, width) = (np.array(image.shape[:2]) - crop) // 2, crop
    image = image[top : top + height, left : left + width]
    low, high = description.pixel_range
    return image if (low, high) == (0, 255) else low + image * ((high - low) / 255)


def _in_size(pixels, size):
    """Pixels in another size; those of that size are as they are."""
    size = [int(side) for side in size]
    return pixels if list(pixels.shape[:2]) == size else np.asarray(resize(pixels, size))


def predict(network, description, files):
    """Yields (file, probabilities) of pictures in their order, a few of them at a time.

    Args:
        network, description: as `open_model` returns them.
        files: list of paths.

    Yields:
        The path with a float64 array of shape (classes,) that sums to 1, or with the `DataError` of
        a picture that cannot be read.
    """
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        images = [_read(file, description) for file in batch]
        readable = [image for image in images if not isinstance(image, DataError)]
        said = iter(())
        if readable:
            logits = np.asarray(network.predict_on_batch(np.stack(readable)), np.float32)
            said = iter(evaluation.softmax(logits))
        for file, image in zip(batch, images, strict=True):
            yield file, image if isinstance(image, DataError) else next(said)


def _read(file, description):
    try:
        return prepare(decoding.decode(file, _channels(description)), description)
    except DataError as error:
        return error
