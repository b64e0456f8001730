"""What a saved network takes and what it says: model.json beside it. Needs no TensorFlow."""

import dataclasses
import pathlib

from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.storage import hashing
from keras_logitkd.storage.atomic import read_json, write_json
from keras_logitkd.storage.schema import Described

NAME = "model.json"
FORMAT = 1  # a reader refuses later ones
COLOURS = {1: ("grey",), 3: ("RGB", "grey")}  # by the channels of the network
SOFTMAX = "softmax logits"
_HINT = "Remove it to use the model without it"


@dataclasses.dataclass(frozen=True)
class Preparation(Described):
    """How a picture of another size becomes an image for the network: as the evaluation does it.

    Resizing is bilinear with antialiasing (`tf.image.resize`). The crop is rounded to whole pixel
    values; what it is resized to is not.

    Args:
        short_side: the picture is resized, its ratio kept, until its short side has so many pixels.
            None: until it just covers the crop.
        crop: (height, width) in pixels that are then cut out of its centre.
        size: (height, width) in pixels to which the crop is resized, those of the network.
    """

    short_side: int | None
    crop: tuple[int, ...]
    size: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Origin(Described):
    """What a network was made by.

    Args:
        run: name of the run.
        settings: digest of its settings, 8 hex digits as at the end of its default name.
        versions: of the packages it was trained with, a dict by name.
    """

    run: str
    settings: str
    versions: dict

    def __post_init__(self):
        if not isinstance(self.versions, dict):
            raise ValueError(f"`versions` must be an object. Received: {self.versions!r}")


@dataclasses.dataclass(frozen=True)
class ModelDescription(Described):
    """What somebody who has a saved network needs to know to use it.

    Args:
        format: version of this description, an integer.
        file: name of the network's file, beside the description.
        fingerprint: of its architecture and weights, `hashing.model_fingerprint`.
        input_shape: (height, width, channels) of an image.
        dtype: of the pixels as the data has them; the network takes them as they are, and floats.
        pixel_range: (lowest, highest) value of a pixel.
        colours: of pictures: `"RGB"`, in this order, or `"grey"`, repeated where the network has
            three channels.
        preparation: a `Preparation`.
        output: kind of the output: `"softmax logits"`, one for each class, of classes that exclude
            each other.
        class_names: output k is of `class_names[k]`.
        made_by: an `Origin`.

    Raises:
        ValueError: If a field is out of range.
    """

    format: int
    file: str
    fingerprint: str
    input_shape: tuple[int, ...]
    dtype: str
    pixel_range: tuple[int, ...]
    colours: str
    preparation: Preparation
    output: str
    class_names: tuple[str, ...]
    made_by: Origin | None

    def __post_init__(self):
        crop, size = self.preparation.crop, self.preparation.size
        named = {"input_shape": (self.input_shape, 3), "crop": (crop, 2), "size": (size, 2)}
        for name, (sizes, count) in named.items():
            if len(sizes) != count or min(sizes) < 1:
                raise ValueError(f"`{name}` must be {count} positive sizes. Received: {sizes}")
        if size != self.input_shape[:2]:
            raise ValueError(
                f"`size` must be that of the input, {self.input_shape[:2]}. Received: {size}"
            )
        channels = self.input_shape[-1]
        if self.colours not in COLOURS.get(channels, ()):
            raise ValueError(
                f"`colours` must be those of {channels} channels, by channels {COLOURS}. "
                f"Received: {self.colours!r}"
            )
        if len(self.pixel_range) != 2 or not self.pixel_range[0] < self.pixel_range[1]:
            raise ValueError(
                f"`pixel_range` must be a lowest and a highest value. Received: {self.pixel_range}"
            )
        if len(self.class_names) < 2:
            raise ValueError(
                f"`class_names` must name at least two classes. Received: {self.class_names}"
            )


def write(directory, description):
    """Writes the `ModelDescription` of the network in a directory, whole or not at all."""
    write_json(pathlib.Path(directory) / NAME, description.to_config())


def read_description(model):
    """Returns the `ModelDescription` of a saved network, or None where there is none.

    Args:
        model: path of the .keras file, or of the directory of its run.

    Raises:
        ValueError: If the description is damaged, of a later version, or of another network than
            the file holds now.
    """
    model = pathlib.Path(model)
    place = (model if model.is_dir() else model.parent) / NAME
    content = read_json(place)
    if content is None or (not model.is_dir() and content.get("file") != model.name):
        return None
    if isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise ValueError(
            f"{place} must have a format up to {FORMAT}: update keras-logitkd. "
            f"Received: format={content['format']}"
        )
    try:
        description = ModelDescription.from_config(content)
    except ValueError as error:
        raise ValueError(f"{place} is damaged: {error}. {_HINT}") from error
    file = place.parent / pathlib.PurePath(description.file).name
    if not file.is_file() or hashing.model_fingerprint(file) != description.fingerprint:
        raise ValueError(
            f"{place} must describe {file.name} as it is now. Received: the description of another "
            f"network, or no file. {_HINT}"
        )
    return description


def run_of(file):
    """Returns the `RunDirectory` whose trained network a file is, or None."""
    run = RunDirectory.at(pathlib.Path(file).resolve().parent)
    config = run.read_config() if run.config_file.is_file() else None
    if config is None or run.model_file(config["kind"]).name != pathlib.Path(file).name:
        return None
    return run
