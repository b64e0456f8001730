"""`FILE.keras[?fresh]`: a network in a file, with its weights or with new ones."""

import dataclasses
import logging
import os
import pathlib

from keras_logitkd.model_specs.registry import read_options
from keras_logitkd.model_specs.spec import ModelSpec, refusal
from keras_logitkd.storage import hashing

_log = logging.getLogger(__name__)


def parse(text):
    """Returns the `FileSpec` of a text; ValueError if there is no such file or option."""
    path, mark, options = text.partition("?")
    given = read_options(options, {"fresh": bool}, path) if mark else {}
    path = os.path.abspath(os.path.expanduser(path))
    if not pathlib.Path(path).is_file():
        raise ValueError(f"there is no file {path!r}")
    is_fresh = given.get("fresh", False)
    return FileSpec(path + ("?fresh" if is_fresh else ""), path, is_fresh)


@dataclasses.dataclass(frozen=True)
class FileSpec(ModelSpec):
    """A model file, from raw pixels to logits.

    Args:
        text: the specification.
        path: of the file.
        is_fresh: whether its weights are drawn anew.
    """

    path: str
    is_fresh: bool

    @property
    def name(self):
        return pathlib.Path(self.path).stem + ("-fresh" if self.is_fresh else "")

    @property
    def is_pretrained(self):
        return not self.is_fresh

    def fingerprint(self):
        """Returns the digest of architecture and weights."""
        return hashing.model_fingerprint(self.path)

    def build(self, request):
        from keras_logitkd.model_specs import drawing
        from keras_logitkd.networks.model_files import load_model

        network = load_model(self.path)
        takes, gives = tuple(network.inputs[0].shape[1:]), network.outputs[0].shape[-1]
        with drawing.drawn_by(request.seed):
            if self.is_fresh:
                network = type(network).from_config(network.get_config())
            if gives != request.num_classes:
                try:
                    network = drawing.with_head(network, request.num_classes)
                except ValueError as error:
                    raise refusal(self, request, error) from error
                _log.info(
                    "%s knows %d classes: it gets a new last layer for %d",
                    *(self.path, gives, request.num_classes),
                )
        if len(takes) != 3:
            raise ValueError(f"{self.path} must take images. Received: a model for {takes}")
        drawing.decay_kernels(network, request.weight_decay)
        return network
