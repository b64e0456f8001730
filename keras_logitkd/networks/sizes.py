"""Networks on images of another size than their own: each gets them resized for itself."""

import keras

from keras_logitkd.networks.outputs import is_graph
from keras_logitkd.networks.shapes import compatible

_RESIZING = "own_size"


def on_images(network, image_shape):
    """Returns a network as a model of images of another size, antialiased and resized for it.

    Args:
        network: a `keras.Model` with one input of images, (height, width, channels).
        image_shape: (height, width, channels) of the images. Grey ones are repeated for a network
            of colour images.

    Returns:
        A functional `keras.Model` that holds `network`, see `own`; `network` itself where it takes
        such images as they are, or where nothing that is done here makes them fit.
    """
    entrance = entrance_of(network, image_shape)
    if entrance is None:
        return network
    outputs = network(entrance.outputs[0])
    return keras.Model(entrance.inputs, outputs, name=f"{network.name}_on_views")


def entrance_of(network, image_shape):
    """Returns what `on_images` puts before a network, a model of the images; None for nothing."""
    if not is_graph(network):
        return None
    own = tuple(network.inputs[0].shape[1:])
    if compatible(own, image_shape) or len(own) != 3 or len(image_shape) != 3:
        return None
    height, width, channels = own
    if channels not in (None, image_shape[-1]) and (channels, image_shape[-1]) != (3, 1):
        return None
    inputs = x = keras.Input(image_shape, name="view")
    if not compatible(own[:2], image_shape[:2]):
        x = keras.layers.Resizing(height, width, antialias=True, name=_RESIZING)(x)
    if channels not in (None, image_shape[-1]):
        x = as_rgb(x)
    return keras.Model(inputs, x)


def as_rgb(images):
    """Returns grey images, a symbolic tensor (batch, height, width, 1), in three channels."""
    return keras.layers.Concatenate(name="grey_as_rgb")([images] * 3)


def own(network):
    """Returns the network that `on_images` made a model of, or the given one."""
    names = [layer.name for layer in network.layers]
    is_ours = names[:1] == ["view"] and isinstance(network.layers[-1], keras.Model)
    return network.layers[-1] if is_ours else network
