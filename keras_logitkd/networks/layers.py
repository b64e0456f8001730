"""Batch normalization on TensorFlow's fused kernel, its way to stock Keras, initial values."""

import keras
import numpy as np
from keras import ops

_PACKAGE = "keras_logitkd"
_FUSED_DTYPES = ("float16", "bfloat16", "float32")


@keras.saving.register_keras_serializable(package=_PACKAGE)
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """A drop-in `keras.layers.BatchNormalization` on TensorFlow's fused kernel.

    Keras 3 computes moments and normalization in separate passes over the activations; the fused
    kernel needs fewer. Arguments, variables and numbers are those of the stock layer, so weights
    move freely between the two.

    The kernel is used on the TensorFlow backend for 4-D inputs of up to 32 bits normalized over
    their last axis, without a mask, `synchronized` or `renorm`. Everything else runs the stock
    layer's code. In three respects it is kinder. A training step on an empty batch (the last one,
    when it does not reach every replica) leaves the moving statistics as they are, where the
    stock layer turns them into nan. Under a strategy the moving statistics follow the replicas'
    average, weighted by their numbers of examples, and are the same on all of them. With
    `synchronized=True` a batch is normalized by the moments of all replicas together, also where
    their shares of it differ: the numbers and gradients of one device.

    Args:
        **kwargs: The arguments of `keras.layers.BatchNormalization`.
    """

    def call(self, inputs, training=None, mask=None):
        if self._fusable(inputs, mask):
            return self._fused_call(inputs, training=bool(training and self.trainable))
        if training and self._synchronizable(mask):
            return self._synchronized_call(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _fusable(self, inputs, mask):
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and mask is None
            and not self.synchronized
            and not self.renorm
            and keras.backend.standardize_dtype(inputs.dtype) in _FUSED_DTYPES
        )

    def _fused_call(self, inputs, training):
        import tensorflow as tf

        from keras_logitkd.networks import replicas

        channels = self.moving_mean.shape
        no_statistics = tf.zeros([0])  # the kernel takes those of the batch
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.cast(self.gamma, "float32") if self.scale else tf.ones(channels),
            offset=ops.cast(self.beta, "float32") if self.center else tf.zeros(channels),
            mean=no_statistics if training else ops.cast(self.moving_mean, "float32"),
            variance=no_statistics if training else ops.cast(self.moving_variance, "float32"),
            epsilon=self.epsilon,
            exponential_avg_factor=1.0,
            data_format="NHWC",
            is_training=training,
        )
        if training:
            count = tf.size(inputs) // inputs.shape[-1]
            # The kernel returns the variance with Bessel's correction; Keras tracks it without.
            bessel = tf.maximum(count - 1, 0) / tf.maximum(count, 1)
            variance *= tf.cast(bessel, variance.dtype)
            if replicas.are_in_step():
                mean, variance, count = replicas.average(mean, variance, count)
            self._move(self.moving_mean, mean, count)
            self._move(self.moving_variance, variance, count)
        return ops.cast(outputs, self.compute_dtype)

    def _synchronizable(self, mask):
        if not (self.synchronized and self.trainable and mask is None and not self.renorm):
            return False
        if keras.backend.backend() != "tensorflow":
            return False
        from keras_logitkd.networks import replicas

        return replicas.are_in_step()

    def _synchronized_call(self, inputs):
        import tensorflow as tf

        from keras_logitkd.networks import replicas

        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        count = tf.size(x) // x.shape[self.axis]
        own = tf.nn.moments(x, self._reduction_axes)
        mean, variance, count = replicas.moments(*own, count)
        self._move(self.moving_mean, mean, count)
        self._move(self.moving_variance, variance, count)
        shape = [1] * len(x.shape)
        shape[self.axis] = -1
        factor = tf.math.rsqrt(variance + self.epsilon)
        if self.scale:
            factor *= ops.cast(self.gamma, x.dtype)
        outputs = (x - tf.reshape(mean, shape)) * tf.reshape(factor, shape)
        if self.center:
            outputs += tf.reshape(ops.cast(self.beta, x.dtype), shape)
        return ops.cast(outputs, self.compute_dtype)

    def _move(self, moving, value, count):
        """Moves a moving statistic towards that of a batch of `count` elements a channel."""
        previous = ops.cast(moving, value.dtype)
        moved = previous * self.momentum + value * (1.0 - self.momentum)
        moving.assign(ops.where(count > 0, moved, previous))


def to_stock(model):
    """Returns a copy of a model that consists of stock Keras layers only.

    Every `FusedBatchNormalization`, also in nested models, becomes a
    `keras.layers.BatchNormalization` of the same name, config and weights. A
    `keras.layers.Normalization` over channels becomes a `keras.layers.Rescaling` of the same name,
    because only that can be exported to ONNX. The copy gives the same outputs, where there was a
    Normalization up to rounding, is not compiled, shares nothing with `model`, and once saved loads
    where `keras_logitkd` is not installed.

    Args:
        model: A built Sequential or functional `keras.Model`, or any other that Keras can
            restore from its config.

    Returns:
        A `keras.Model` of the same class.

    Raises:
        ValueError: If `model` is not a `keras.Model` that was built.
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a keras.Model that was built. Received: model={model!r}")
    from keras_logitkd.networks import rescaling

    replaced, left_out = rescaling.of_normalizations(model), set()

    def convert(config):
        name = config["config"].get("name")
        if config["class_name"] != "Normalization" or name not in replaced:
            return config
        layer, *numbers = replaced[name]
        left_out.update(id(weight) for weight in layer.weights)
        return rescaling.config_of(config, *numbers)

    config = _stock_config(keras.saving.serialize_keras_object(model), convert)
    # safe_mode guards against code in files; this config comes from a model that runs here.
    copy = keras.saving.deserialize_keras_object(config, safe_mode=False)
    kept = [weight for weight in model.weights if id(weight) not in left_out]
    copy.set_weights([weight.numpy() for weight in kept])
    for layer in copy._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # its numbers are not read from its weights but here
    return copy


def exportable(model):
    """Returns what of a model exporters take: itself, or its stock copy where it normalises."""
    from keras_logitkd.networks import outputs, rescaling

    found = to_stock(model) if rescaling.of_normalizations(model) else model
    if outputs.is_graph(found):
        found(outputs.inputs_of(found))  # Keras exports to ONNX what was called once
    return found


def _stock_config(config, convert):
    """A serialized Keras object with stock layers in place of ours, and nothing compiled.

    `convert` is called on what is a layer of Keras, and returns it or another one in its place.
    """
    if isinstance(config, list | tuple):
        return type(config)(_stock_config(item, convert) for item in config)
    if not isinstance(config, dict):
        return config
    entries = {key: item for key, item in config.items() if key != "compile_config"}
    if config.get("module") == "keras.layers":
        return convert({key: _stock_config(item, convert) for key, item in entries.items()})
    stock = {key: _stock_config(item, convert) for key, item in entries.items()}
    if config.get("registered_name") == f"{_PACKAGE}>{FusedBatchNormalization.__name__}":
        stock |= {
            "module": "keras.layers",
            "class_name": "BatchNormalization",
            "registered_name": None,
        }
    return stock


def draw_initial_values(layers, seed):
    """Draws the kernels and biases of built layers anew, each by `seed` (>= 0) and its place."""
    seeds = iter(np.random.SeedSequence(seed).generate_state(2 * len(layers)))
    for layer in layers:
        for attribute in ("kernel", "bias"):
            own_seed, variable = int(next(seeds)), getattr(layer, attribute, None)
            if variable is None:
                continue
            initializer = getattr(layer, f"{attribute}_initializer")
            config = initializer.get_config()
            if "seed" in config:
                initializer = type(initializer).from_config({**config, "seed": own_seed})
            variable.assign(initializer(variable.shape, dtype=variable.dtype))
