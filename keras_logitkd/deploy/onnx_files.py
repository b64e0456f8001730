"""ONNX files: for onnxruntime on servers, desktops and in browsers."""

import tempfile

import numpy as np

from keras_logitkd.deploy import formats

_PROVIDERS = ["CPUExecutionProvider"]


def convert(model, path, quantize, calibration=None):
    """Writes a network as an ONNX file; the batch is of any size.

    Args:
        model: a `keras.Model` of one tensor of images.
        path: of the file.
        quantize: none; dynamic, weights only; or int8, weights and what flows between layers, with
            ranges from `calibration`.
        calibration: array of images (n, height, width, channels), for int8.
    """
    if quantize == formats.NONE:
        model.export(str(path), format="onnx", verbose=False)
        return
    with tempfile.TemporaryDirectory() as folder:
        plain, ready = f"{folder}/plain.onnx", f"{folder}/ready.onnx"
        model.export(plain, format="onnx", verbose=False)
        _quantize(plain, ready, path, quantize, calibration)


def _quantize(plain, ready, path, quantize, calibration):
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(plain, ready, skip_symbolic_shape=True)
    if quantize == formats.DYNAMIC:
        quantization.quantize_dynamic(ready, str(path))
        return
    quantization.quantize_static(
        ready,
        str(path),
        _Reader(ready, calibration),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
    )


class _Reader:
    """The images that ranges are measured on, one at a time, as onnxruntime asks for them."""

    def __init__(self, path, images):
        import onnxruntime

        (given,) = onnxruntime.InferenceSession(path, providers=_PROVIDERS).get_inputs()
        dtype = np.uint8 if given.type == "tensor(uint8)" else np.float32
        self._images = ({given.name: image[np.newaxis].astype(dtype)} for image in images)

    def get_next(self):
        """Returns the next input, or None after the last."""
        return next(self._images, None)


class Runtime:
    """An ONNX file, run by onnxruntime on the CPU.

    Args:
        path: of the file.
        threads: that it may use. Defaults to 1.
    """

    def __init__(self, path, threads=1):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=_PROVIDERS)
        (self._input,) = self._session.get_inputs()
        self._dtype = np.uint8 if self._input.type == "tensor(uint8)" else np.float32

    def __call__(self, images):
        """Returns what the network says of images: float32 (n, classes)."""
        (said,) = self._session.run(None, {self._input.name: images.astype(self._dtype)})
        return said.astype(np.float32)
