"""`keras:NAME[?option=value][@imagenet|@FILE.h5]`: the networks of keras.applications."""

import dataclasses
import os
import pathlib

from keras_logitkd.model_specs import application_rows
from keras_logitkd.model_specs.registry import read_options, suggestion
from keras_logitkd.model_specs.spec import ModelSpec, refusal
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import one_line

PREFIX = "keras:"
IMAGENET = "imagenet"
# Of batch normalization where a network begins from nothing, as in the zoo. The own ones of Keras,
# up to 0.999, are for ImageNet: after some hundred steps averages would still be the initial 1.
_MOMENTUM = 0.9
_PREPARED = "prepared_pixels"


def parse(text):
    """Returns the `ApplicationSpec` of a text; ValueError names near misses."""
    body, at, weights = text.removeprefix(PREFIX).partition("@")
    name, mark, options = body.partition("?")
    row = application_rows.row_of(name)
    if row is None:
        near = suggestion(name, application_rows.names()) or (
            f" Allowed: {', '.join(application_rows.names())}"
        )
        raise ValueError(f"keras.applications has no network {name!r}.{near}")
    given = read_options(options, row.options, PREFIX + name) if mark else {}
    if at and weights != IMAGENET:
        if not weights.endswith(".h5"):
            raise ValueError(
                f"{PREFIX}{name}: what follows @ must be {IMAGENET} or a file of weights that ends "
                f"in .h5. Received: {weights!r}"
            )
        weights = os.path.abspath(os.path.expanduser(weights))
        if not pathlib.Path(weights).is_file():
            raise ValueError(f"{PREFIX}{name}: there is no file of weights {weights}")
    shown = "&".join(f"{key}={_text(value)}" for key, value in given.items())
    canonical = PREFIX + name + (f"?{shown}" if shown else "") + (f"@{weights}" if at else "")
    return ApplicationSpec(canonical, name, tuple(given.items()), weights or None)


def _text(value):
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


@dataclasses.dataclass(frozen=True)
class ApplicationSpec(ModelSpec):
    """A function of keras.applications, with the pixels that its family expects.

    Args:
        text: the specification.
        function: name of the function.
        options: its arguments, pairs of name and value.
        weights: "imagenet", the path of a file without the classifier ("notop"), or None.
    """

    function: str
    options: tuple
    weights: str | None

    @property
    def name(self):
        options = "".join(f"-{key}{_text(value)}" for key, value in self.options)
        start = pathlib.Path(self.weights).stem if self.weights else ""
        return self.function + options + (f"-{start}" if start else "")

    @property
    def usual_size(self):
        return self._row.names[self.function]

    @property
    def is_pretrained(self):
        return self.weights is not None

    @property
    def _has_file(self):
        return self.weights not in (None, IMAGENET)

    def fingerprint(self):
        return hashing.of_file(self.weights) if self._has_file else None

    @property
    def _row(self):
        return application_rows.row_of(self.function)

    def build(self, request):
        import keras

        from keras_logitkd.model_specs import drawing

        self._check(request)
        inputs = keras.Input(request.input_shape, name="pixels")
        pixels = self._prepared(inputs)
        with drawing.drawn_by(request.seed):
            network = self._core(keras, pixels, request)
            if self.weights is not None:  # it ends in pooled features
                head = keras.layers.Dense(request.num_classes, name=drawing.HEAD)
                network = keras.Model(inputs, head(network.outputs[0]), name=network.name)
            else:
                _average_faster(network)
        drawing.decay_kernels(network, request.weight_decay)
        return network

    def _check(self, request):
        *sides, channels = request.input_shape
        if None in sides or min(sides) < self._row.least or channels not in (1, 3):
            raise ValueError(
                f"{self.text} needs images of at least {self._row.least} x {self._row.least} "
                "pixels with 1 or 3 channels: resize them for it (--student-size, "
                f"--teacher-size). Received: {' x '.join(map(str, request.input_shape))}"
            )

    def _prepared(self, inputs):
        """The pixels as the family expects them; grey ones are repeated in three channels."""
        from keras import layers, ops

        from keras_logitkd.networks.sizes import as_rgb

        x = as_rgb(inputs) if inputs.shape[-1] == 1 else inputs
        if self._row.pixels is None:
            return x
        pixels = application_rows.PIXELS[self._row.pixels]
        x = ops.flip(x, axis=-1) if pixels.is_bgr else x
        scale, offset = list(pixels.scale), list(pixels.offset)
        return layers.Rescaling(scale, offset, name=_PREPARED)(x)

    def _core(self, keras, pixels, request):
        """The network on a tensor of prepared pixels, with its weights."""
        function = getattr(keras.applications, self.function)
        arguments = {**dict(self.options), "input_tensor": pixels, "weights": None}
        arguments["input_shape"] = tuple(pixels.shape[1:])
        if self._row.switch:
            arguments[self._row.switch] = False
        if self.weights is None:
            arguments |= {"classes": request.num_classes, "classifier_activation": None}
        else:
            arguments |= {"include_top": False, "pooling": "avg"}
            arguments["weights"] = IMAGENET if self.weights == IMAGENET else None
        try:
            network = function(**arguments)
            if self._has_file:
                network.load_weights(self.weights)
        except ValueError as error:
            raise refusal(self, request, error) from error
        except Exception as error:  # whatever a download, or a damaged file, ends in
            if self.weights is None:
                raise
            raise ValueError(self._missing_weights(error)) from error
        return network

    def _missing_weights(self, error):
        what = f"Keras's ImageNet weights of {PREFIX}{self.function} cannot be had"
        if self._has_file:
            what = f"The weights {self.weights} do not load into {PREFIX}{self.function}"
        return (
            f"{what} ({one_line(error)[:200]}). Fetch the file without the classifier (notop.h5) "
            f"elsewhere and write {PREFIX}{self.function}@FILE.h5, or leave them out to train from "
            "nothing"
        )


def _average_faster(network):
    """Sets the momentum of batch normalization to one for few steps."""
    for layer in network.layers:
        if hasattr(layer, "moving_mean"):
            layer.momentum = min(layer.momentum, _MOMENTUM)
