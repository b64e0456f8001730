"""Networks by their specifications: `wrn-16-2`, `keras:MobileNetV3Small`, `FILE.keras`, ...

Importing this imports neither Keras nor TensorFlow: `ModelSpec.build` does.
"""

from keras_logitkd.model_specs.registry import forms, is_pretrained, is_spec, name_of, parse
from keras_logitkd.model_specs.spec import ModelSpec, Request

__all__ = ["ModelSpec", "Request", "build", "forms", "is_pretrained", "is_spec", "name_of", "parse"]


def build(spec, input_shape, num_classes, weight_decay=0.0, seed=0, mean=None, std=None):
    """Builds the network that a specification names.

    Args:
        spec: text, see `registry.KINDS` for its forms.
        input_shape: (height, width, channels) of the images; channels are 1 or 3.
        num_classes: number of logits.
        weight_decay: L2 on the kernels, in PyTorch's sense. Defaults to 0.
        seed: of the initial weights that are drawn. Defaults to 0.
        mean, std: of each channel in raw pixel units (0 to 255), for networks that know no
            preprocessing of their own. Default to 127.5 in every channel: pixels in [-1, 1].

    Returns:
        A functional `keras.Model` from raw pixels (batch, height, width, channels) in 0 to 255 to
        logits (batch, num_classes).

    Raises:
        ValueError: If there is no such network, it cannot be had, or does not fit the shapes.
    """
    mean, std = ((127.5,) * input_shape[-1] if each is None else each for each in (mean, std))
    request = Request(tuple(input_shape), num_classes, weight_decay, seed, lambda: (mean, std))
    return parse(spec).build(request)
