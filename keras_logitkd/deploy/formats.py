"""The formats of exported networks, one row each."""

import importlib
import importlib.util
import typing

NONE, FLOAT16, DYNAMIC, INT8 = "none", "float16", "dynamic", "int8"
QUANTIZATIONS = (NONE, FLOAT16, DYNAMIC, INT8)


class Format(typing.NamedTuple):
    """A row: files that one runtime reads.

    The module has `convert(model, path, quantize, calibration)`, which writes the file, and
    `Runtime(path)`, which reads it: called with images (batch, height, width, channels) it returns
    what the network says, float32.
    """

    name: str
    suffix: str
    quantizations: tuple
    module: str
    needs: tuple  # packages beside those of the installation, by the names they are imported by

    def load(self):
        """Imports the module.

        Raises:
            ValueError: If a package is missing, with what to install.
        """
        missing = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if missing:
            raise ValueError(
                f"The format {self.name} needs {', '.join(missing)}: "
                'pip install "keras-logitkd[export]"'
            )
        return importlib.import_module(self.module)


FORMATS = [
    Format("litert", ".tflite", QUANTIZATIONS, "keras_logitkd.deploy.litert", ("ai_edge_litert",)),
    Format(
        "onnx",
        ".onnx",
        (NONE, DYNAMIC, INT8),
        "keras_logitkd.deploy.onnx_files",
        ("onnx", "onnxruntime", "tf2onnx"),
    ),
]


def find(name, quantize=NONE):
    """Returns the `Format` of a name.

    Raises:
        ValueError: If there is no such format, or it has no such quantization.
    """
    found = next((each for each in FORMATS if each.name == name), None)
    if found is None:
        names = ", ".join(each.name for each in FORMATS)
        raise ValueError(f"`format` must be one of {names}. Received: format={name!r}")
    if quantize not in found.quantizations:
        raise ValueError(
            f"`quantize` must be one of {', '.join(found.quantizations)} for {name}. "
            f"Received: quantize={quantize!r}"
        )
    return found


def of_file(path):
    """Returns the `Format` of a file by its ending, or None."""
    return next((each for each in FORMATS if str(path).endswith(each.suffix)), None)
