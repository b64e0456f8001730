"""Describes the network of a run: what model.json says of it."""

from keras_logitkd.data.views.resized_crop import short_side_of
from keras_logitkd.runs.directory import description
from keras_logitkd.runs.directory.description import ModelDescription, Origin, Preparation
from keras_logitkd.storage import hashing

# Largest pixel value of datasets whose pixels do not go up to 255.
_HIGHEST = {"digits": 16}


def described(file, network, settings, dataset, origin=None):
    """Returns the `ModelDescription` of the saved network of a run.

    Args:
        file: path of the network's file.
        network: the `keras.Model` in it.
        settings: the run's `RunSettings`.
        dataset: the `Dataset` that it was trained on.
        origin: the `Origin`. Defaults to None: not known.
    """
    augmentation = settings.recipe.augmentation
    *crop, channels = augmentation.output_shape(dataset.image_shape)
    side = augmentation.fields["resized_crop"]
    *own, depth = network.inputs[0].shape[1:]
    own = tuple(crop if None in own else own)  # one that takes any size saw the views
    return ModelDescription(
        format=description.FORMAT,
        file=file.name,
        fingerprint=hashing.model_fingerprint(file),
        input_shape=(*own, depth),
        dtype="uint8",
        pixel_range=(0, _HIGHEST.get(dataset.name, 255)),
        colours=description.COLOURS[channels][0],
        preparation=Preparation(None if side is None else short_side_of(side), tuple(crop), own),
        output=description.SOFTMAX,
        class_names=tuple(dataset.class_names),
        made_by=origin,
    )


def describe(job, file, network, versions):
    """Writes model.json beside the saved network of a `Job`.

    Args:
        job: the `Job`.
        file: path of the network's file.
        network: the `keras.Model` in it.
        versions: of the packages that it was trained with, a dict by name.
    """
    origin = Origin(job.directory.name, job.settings.digest(), versions)
    dataset = job.workspace.dataset
    description.write(file.parent, described(file, network, job.settings, dataset, origin))
