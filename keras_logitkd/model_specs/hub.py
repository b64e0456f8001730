"""`hub:PRESET[?fresh]`: image classifiers of KerasHub (extra `hub`)."""

import dataclasses
import importlib.util
import os
import pathlib

from keras_logitkd.model_specs.registry import read_options
from keras_logitkd.model_specs.spec import ModelSpec
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import one_line

PREFIX = "hub:"


def parse(text):
    """Returns the `HubSpec` of a text; ValueError where KerasHub is missing, or a directory."""
    preset, mark, options = text.removeprefix(PREFIX).partition("?")
    given = read_options(options, {"fresh": bool}, PREFIX + preset) if mark else {}
    if not preset:
        raise ValueError(f"{PREFIX} must be followed by a preset of KerasHub or its directory")
    is_directory = preset.startswith((".", "/", "~"))
    if is_directory:
        preset = os.path.abspath(os.path.expanduser(preset))
        if not pathlib.Path(preset, "config.json").is_file():
            raise ValueError(f"there is no preset of KerasHub in {preset!r}")
    if importlib.util.find_spec("keras_hub") is None:
        raise ValueError(
            f'{text} needs KerasHub: pip install "keras-logitkd[hub]". Networks of '
            "keras.applications (keras:NAME) need nothing else"
        )
    is_fresh = given.get("fresh", False)
    full = PREFIX + preset + ("?fresh" if is_fresh else "")
    return HubSpec(full, preset, is_fresh, is_directory)


@dataclasses.dataclass(frozen=True)
class HubSpec(ModelSpec):
    """An image classifier of KerasHub, with a new last layer.

    Args:
        text: the specification.
        preset: name, handle or directory of the preset.
        is_fresh: whether its weights are drawn rather than loaded.
        is_directory: whether the preset is a directory of this machine.
    """

    preset: str
    is_fresh: bool
    is_directory: bool

    @property
    def name(self):
        return pathlib.PurePath(self.preset).name + ("-fresh" if self.is_fresh else "")

    @property
    def is_pretrained(self):
        return not self.is_fresh

    def fingerprint(self):
        """Returns the digest of the files of a directory, None of a preset by name."""
        if not self.is_directory:
            return None
        files = sorted(path for path in pathlib.Path(self.preset).rglob("*") if path.is_file())
        return hashing.of(*(f"{path.name} {hashing.of_file(path)}\n" for path in files))

    def build(self, request):
        import keras

        from keras_logitkd.model_specs import drawing
        from keras_logitkd.networks.sizes import as_rgb

        with drawing.drawn_by(request.seed):
            classifier = self._classifier(request)
        inputs = x = keras.Input(request.input_shape, name="pixels")
        if inputs.shape[-1] == 1:
            x = as_rgb(x)
        converter = classifier.preprocessor.image_converter
        scale, offset = (getattr(converter, name, None) for name in ("scale", "offset"))
        if scale is not None or offset is not None:
            numbers = {"scale": 1.0 if scale is None else scale, "offset": offset or 0.0}
            x = keras.layers.Rescaling(**numbers, name="prepared_pixels")(x)
        network = keras.Model(inputs, classifier(x), name=self.name.replace("/", "_"))
        drawing.decay_kernels(network, request.weight_decay)
        return network

    def _classifier(self, request):
        import keras_hub

        try:
            return keras_hub.models.ImageClassifier.from_preset(
                self.preset,
                num_classes=request.num_classes,
                load_weights=not self.is_fresh,
                activation=None,
            )
        except Exception as error:  # whatever a hub, a download or a network's limits end in
            raise ValueError(
                f"{self.text} cannot be had for {request.num_classes} classes "
                f"({one_line(error)[:300]}). Fetch the preset elsewhere and name its directory, "
                f"{PREFIX}./DIRECTORY"
            ) from error
