"""`wrn-16-2[@WEIGHTS.pt]`: the networks of our zoo, where given from a PyTorch checkpoint."""

import dataclasses
import os
import pathlib

from keras_logitkd.model_specs.registry import forms
from keras_logitkd.model_specs.spec import ModelSpec
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import one_line
from keras_logitkd.zoo import registry as zoo


def parse(text):
    """Returns the `ZooSpec` of a text; ValueError as `zoo.parse_name`, or if there is no file."""
    name, at, weights = text.partition("@")
    try:
        zoo.parse_name(name)
    except ValueError as error:
        if "Did you mean" in str(error) or name.startswith(("wrn", "resnet")):
            raise
        names = f"Names of the zoo are {zoo.forms()}"
        raise ValueError(f"A model must be {forms()}. {names}. Received: {text!r}") from error
    if not at:
        return ZooSpec(name, name, None)
    weights = os.path.abspath(os.path.expanduser(weights))
    if not pathlib.Path(weights).is_file():
        raise ValueError(f"{name}: there is no file of weights {weights}")
    return ZooSpec(f"{name}@{weights}", name, weights)


@dataclasses.dataclass(frozen=True)
class ZooSpec(ModelSpec):
    """A network of the zoo behind a Normalization layer.

    Args:
        text: the specification.
        model: its name in the zoo.
        weights: path of a PyTorch checkpoint, or None.
    """

    model: str
    weights: str | None

    @property
    def name(self):
        return self.model + (f"-{pathlib.Path(self.weights).stem}" if self.weights else "")

    @property
    def is_pretrained(self):
        return self.weights is not None

    def fingerprint(self):
        return hashing.of_file(self.weights) if self.weights else None

    def build(self, request):
        import keras
        import numpy as np

        from keras_logitkd.networks.layers import draw_initial_values
        from keras_logitkd.networks.rescaling import NAME

        mean, std = request.normalization()
        variance = np.square(std).tolist()
        normalize = keras.layers.Normalization(mean=mean, variance=variance, name=NAME)
        network = zoo.build(
            self.model,
            request.input_shape,
            request.num_classes,
            weight_decay=request.weight_decay,
            input_tensor=normalize(keras.Input(request.input_shape, name="pixels")),
        )
        draw_initial_values(network.layers, request.seed)
        if self.weights is not None:
            self._load(network)
        return network

    def _load(self, network):
        """Loads the checkpoint; a classifier of other classes keeps its drawn weights."""
        from keras_logitkd.zoo import torch_weights

        try:
            state = torch_weights.read_state_dict(self.weights)
            torch_weights.load_state_dict(network, _with_own_classifier(state, network))
        except (ImportError, OSError, ValueError) as error:
            raise ValueError(
                f"The weights {self.weights} do not load into {self.model}: {one_line(error)}"
            ) from error


def _with_own_classifier(state, network):
    """The state dict with the network's classifier in place of one of other classes."""
    kernel, bias = network.get_layer("logits").get_weights()
    own = {"weight": kernel.T, "bias": bias}
    replaced = {}
    for key, value in state.items():
        module, _, parameter = key.rpartition(".")
        is_other = module in ("fc", "linear") and len(value) != len(bias)
        replaced[key] = own[parameter] if is_other else value
    return replaced
