"""Writes a trained network in a format that other runtimes read."""

import pathlib

import keras

from keras_logitkd.deploy import formats
from keras_logitkd.networks.layers import exportable
from keras_logitkd.networks.model_files import load_model
from keras_logitkd.networks.outputs import is_graph, returns_tensor
from keras_logitkd.storage.atomic import replacing
from keras_logitkd.storage.errors import one_line

INPUTS = ("float32", "uint8")


def export(
    model,
    path,
    format="litert",
    quantize="none",
    calibration=None,
    softmax=False,
    input_type="float32",
):
    """Writes a network as a file of another runtime: raw pixels in, logits out.

    TensorFlow's converter to LiteRT keeps about 22 MB of memory a call: export many networks in
    processes of their own.

    Args:
        model: a `keras.Model` with one tensor of images of a static shape in and one of logits
            `(batch, classes)` out, or the path of a .keras file.
        path: of the file, which is written whole or not at all.
        format: `"litert"` or `"onnx"`. Defaults to `"litert"`.
        quantize: `"none"`; `"float16"`, of weights, LiteRT only; `"dynamic"`, weights of 8 bits;
            or `"int8"`, weights and what flows between layers. Inputs and outputs are not
            quantized. Defaults to `"none"`.
        calibration: array of images (n, height, width, channels) of the kind the network meets,
            some hundred, on which int8 measures its ranges. Defaults to None.
        softmax: whether it returns probabilities instead. Defaults to False.
        input_type: `"float32"` or `"uint8"`, of the pixels that it takes. Defaults to float32.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        ValueError: If an argument is out of range, a package is missing, the network is of another
            kind, or its layers cannot be converted.
    """
    row = formats.find(format, quantize)
    module, path = row.load(), pathlib.Path(path)
    if not path.name.endswith(row.suffix):
        raise ValueError(f"`path` must end in {row.suffix} for {format}. Received: {path}")
    network = deployable(model, softmax, input_type)
    if quantize == formats.INT8:
        calibration = _checked(calibration, network)
    with replacing(path) as partial:
        try:
            module.convert(network, partial, quantize, calibration)
        except Exception as error:  # converters raise whatever they find
            raise ValueError(
                f"{network.name} cannot be written as {format}, {quantize}: {one_line(error)[:300]}"
            ) from error
    return path


def deployable(model, softmax=False, input_type="float32"):
    """Returns what is exported: a network of stock layers with its last step and its input type.

    Args:
        model, softmax, input_type: as for `export`.

    Raises:
        ValueError: If the network has other inputs or outputs.
    """
    if input_type not in INPUTS:
        raise ValueError(
            f"`input_type` must be one of {', '.join(INPUTS)}. Received: {input_type!r}"
        )
    network = load_model(model) if isinstance(model, str | pathlib.Path) else model
    if not is_graph(network) or len(network.inputs) != 1 or not returns_tensor(network):
        raise ValueError(
            "`model` must be a built functional or Sequential keras.Model with one tensor of "
            f"images in and one of logits out. Received: {type(network).__name__}"
        )
    shape = tuple(network.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise ValueError(
            "`model` must take images of a static shape (height, width, channels). "
            f"Received: {shape}"
        )
    network = exportable(network)
    if softmax or input_type != "float32":
        inputs = keras.Input(shape, dtype=input_type, name="images")
        outputs = network(keras.ops.cast(inputs, "float32"))
        outputs = keras.layers.Softmax(name="probabilities")(outputs) if softmax else outputs
        network = keras.Model(inputs, outputs, name=network.name)
        network(inputs)  # Keras exports to ONNX what was called once
    return network


def _checked(calibration, network):
    shape = tuple(network.inputs[0].shape[1:])
    if calibration is None or not len(calibration) or tuple(calibration.shape[1:]) != shape:
        received = None if calibration is None else tuple(calibration.shape)
        raise ValueError(
            f"`calibration` must be images of shape (n, {', '.join(map(str, shape))}) for int8. "
            f"Received: {received}"
        )
    return calibration
