"""`FILE.py:FUNCTION` and `MODULE:FUNCTION`: networks that a function of the user builds."""

import contextlib
import dataclasses
import importlib
import importlib.util
import logging
import os
import pathlib
import re
import sys

from keras_logitkd.model_specs.registry import forms, suggestion
from keras_logitkd.model_specs.spec import ModelSpec
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import one_line

_log = logging.getLogger(__name__)
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def parse(text):
    """Returns the `FunctionSpec` of a text; ValueError if there is no such file or name."""
    place, _, function = text.rpartition(":")
    if not function.isidentifier():
        raise ValueError(
            f"{text!r}: what follows the last colon must be the name of a function. Allowed: "
            f"{forms()}"
        )
    if place.endswith(".py"):
        place = os.path.abspath(os.path.expanduser(place))
        if not pathlib.Path(place).is_file():
            raise ValueError(f"there is no file {place!r}")
    elif not _MODULE.fullmatch(place):
        raise ValueError(f"A model must be {forms()}. Received: {text!r}")
    return FunctionSpec(f"{place}:{function}", place, function)


@dataclasses.dataclass(frozen=True)
class FunctionSpec(ModelSpec):
    """A function that is called with `input_shape` and `num_classes` and returns a `keras.Model`.

    Args:
        text: the specification.
        place: path of a Python file, or the dotted name of a module.
        function: its name.
    """

    place: str
    function: str

    @property
    def name(self):
        return f"{pathlib.Path(self.place).stem if self.is_script else self.place}-{self.function}"

    @property
    def is_script(self):
        """Whether it lies in a file rather than in a module that Python finds."""
        return self.place.endswith(".py")

    def fingerprint(self):
        """Returns the digest of the source file."""
        return hashing.of_file(self._source())

    def _source(self):
        if self.is_script:
            return self.place
        with _working_directory_first():
            try:
                found = importlib.util.find_spec(self.place)
            except (ImportError, ValueError) as error:
                raise ValueError(f"{self.text}: {one_line(error)}") from error
        if found is None or not found.origin or not pathlib.Path(found.origin).is_file():
            raise ValueError(
                f"{self.text}: there is no module {self.place!r}, neither installed nor in "
                f"{os.getcwd()}"
            )
        return found.origin

    def build(self, request):
        from keras_logitkd.model_specs import drawing

        build = self._load()
        with drawing.drawn_by(request.seed):
            model = self._called(build, request)
        model = self._checked(model, request)
        drawing.decay_kernels(model, request.weight_decay)
        return _from_raw_pixels(model, request, self.text)

    def _load(self):
        """The function itself: its file or module is run."""
        self._source()
        try:
            with _working_directory_first():
                module = self._module()
        except Exception as error:  # it is code of users
            raise ValueError(f"{self.text} cannot be imported: {_described(error)}") from error
        found = getattr(module, self.function, None)
        if not callable(found):
            names = [name for name, each in vars(module).items() if callable(each)]
            near = suggestion(self.function, names)
            raise ValueError(f"{self.place} has no function {self.function!r}.{near}")
        return found

    def _module(self):
        if not self.is_script:
            return importlib.import_module(self.place)
        name = f"logitkd_models_{pathlib.Path(self.place).stem}"
        found = importlib.util.spec_from_file_location(name, self.place)
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module  # where Keras looks for classes that are saved
        found.loader.exec_module(module)
        return module

    def _called(self, build, request):
        try:
            return build(input_shape=request.input_shape, num_classes=request.num_classes)
        except Exception as error:  # it is code of users
            raise ValueError(
                f"{self.text}, called with input_shape={request.input_shape}, "
                f"num_classes={request.num_classes}, raises {_described(error)}"
            ) from error

    def _checked(self, model, request):
        """The model that was returned, without a softmax at its end."""
        from keras_logitkd.networks.model_files import ending_in_logits
        from keras_logitkd.networks.outputs import is_graph, returns_tensor
        from keras_logitkd.networks.shapes import compatible

        if not is_graph(model) or len(model.inputs) != 1 or not returns_tensor(model):
            raise ValueError(
                f"{self.text} must return a built functional or Sequential keras.Model with one "
                f"tensor of images in and one of logits out. Received: {type(model).__name__}"
            )
        takes, gives = tuple(model.inputs[0].shape[1:]), tuple(model.outputs[0].shape[1:])
        if not compatible(takes, request.input_shape) or gives != (request.num_classes,):
            raise ValueError(
                f"{self.text} must return a model from {request.input_shape} to "
                f"{request.num_classes} logits. Received: one from {takes} to {gives}"
            )
        return ending_in_logits(model, self.text)


def _from_raw_pixels(model, request, text):
    """A model that takes raw pixels: itself where it begins by scaling them."""
    import keras
    import numpy as np

    from keras_logitkd.networks.rescaling import NAME

    scalers = (keras.layers.Rescaling, keras.layers.Normalization)
    if any(isinstance(layer, scalers) for layer in model._flatten_layers(include_self=False)):
        return model
    _log.info("%s scales no pixels itself: they are normalized in front of it", text)
    mean, std = request.normalization()
    variance = np.square(std).tolist()
    normalize = keras.layers.Normalization(mean=mean, variance=variance, name=NAME)
    inputs = keras.Input(request.input_shape, name="pixels")
    return keras.Model(inputs, model(normalize(inputs)), name=model.name)


@contextlib.contextmanager
def _working_directory_first():
    """Modules are found in the working directory, as where Python itself is started."""
    place = os.getcwd()
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


def _described(error):
    return f"{type(error).__name__}: {one_line(error)[:200]}"
