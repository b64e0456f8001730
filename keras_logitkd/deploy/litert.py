"""LiteRT (formerly TensorFlow Lite) files: for phones, microcontrollers and browsers.

TensorFlow's converter keeps about 22 MB of memory a call (tensorflow#122598): a process that
exports many networks should export each in a child.
"""

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_logitkd.deploy import formats


def convert(model, path, quantize, calibration=None):
    """Writes a network as a LiteRT file that takes one image at a time.

    Args:
        model: a `keras.Model` of one tensor of images of a static shape.
        path: of the file.
        quantize: one of `formats.QUANTIZATIONS`. int8: weights and what flows between layers, with
            ranges from `calibration`; inputs and outputs keep the network's own types. dynamic:
            weights only. float16: weights, which become float32 where that is computed.
        calibration: array of images (n, height, width, channels), for int8.
    """
    shape, dtype = (1, *model.inputs[0].shape[1:]), model.inputs[0].dtype
    function = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec(shape, dtype, name="images")],
    )
    concrete = convert_variables_to_constants_v2(function.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if quantize != formats.NONE:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == formats.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if quantize == formats.INT8:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: (
            [image[np.newaxis].astype(dtype)] for image in calibration
        )
    path.write_bytes(converter.convert())


class Runtime:
    """A LiteRT file, run by its own runtime.

    Args:
        path: of the file.
        threads: that it may use. Defaults to 1.
    """

    def __init__(self, path, threads=1):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (self._input,), (self._output,) = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )

    def __call__(self, images):
        """Returns what the network says of images, one after the other: float32 (n, classes)."""
        return np.concatenate([self._one(image[np.newaxis]) for image in images])

    def _one(self, image):
        self._interpreter.set_tensor(self._input["index"], image.astype(self._input["dtype"]))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"]).astype(np.float32)
