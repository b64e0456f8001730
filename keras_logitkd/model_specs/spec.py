"""What a specification of a network says before anything is built, and what building asks for."""

import dataclasses
import typing
from collections.abc import Callable

from keras_logitkd.storage.errors import one_line


class Request(typing.NamedTuple):
    """What a network is built for.

    Args:
        input_shape: (height, width, channels) of its images.
        num_classes: number of logits.
        weight_decay: L2 on the kernels, in PyTorch's sense.
        seed: of the initial weights that are drawn.
        normalization: function that returns (mean, std) of each channel in raw pixel units, for
            networks without a preprocessing of their own; called only for these.
    """

    input_shape: tuple
    num_classes: int
    weight_decay: float
    seed: int
    normalization: Callable


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """A network by its specification: what is known of it before it is built.

    Args:
        text: the specification, the same from every working directory.
    """

    text: str

    @property
    def name(self):
        """A short name for people and for names of runs."""
        return self.text

    @property
    def usual_size(self):
        """Side in pixels of the images it is meant for, or None: any."""
        return None

    @property
    def is_pretrained(self):
        """Whether it comes with weights that were trained before, rather than drawn by a seed."""
        return False

    def fingerprint(self):
        """Returns the digest of what it is made of beside this package and Keras, or None.

        Raises:
            ValueError: If that is not there.
        """
        return None

    def build(self, request):
        """Returns the network of a `Request`, a `keras.Model` from raw pixels to logits.

        Raises:
            ValueError: If it cannot be had or does not fit.
        """
        raise NotImplementedError


def refusal(spec, request, error):
    """Returns the ValueError that says that a network could not be built, and why."""
    shape = " x ".join(map(str, request.input_shape))
    reason = one_line(error).rstrip(".")[:300]
    what = f"images of {shape} and {request.num_classes} classes"
    return ValueError(f"Cannot build {spec.text} for {what}: {reason}")
