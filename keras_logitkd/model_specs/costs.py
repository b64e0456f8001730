"""Parameters and operations of networks by their specifications."""

from keras_logitkd import model_specs
from keras_logitkd.model_specs.registry import parse
from keras_logitkd.model_specs.zoo_models import ZooSpec
from keras_logitkd.zoo import sizes

_SIZE, _CLASSES = 224, 1000  # of what has no usual ones


def is_known(text, image_size=None, channels=3, classes=None):
    """Whether nothing needs to be built for `cost_of`; arguments are the same."""
    spec = parse(text)
    if not isinstance(spec, ZooSpec):
        return False
    return sizes.known(spec.model, image_size, channels, classes) is not None


def cost_of(text, image_size=None, channels=3, classes=None):
    """Returns what a network costs, a dict as `zoo.sizes.size_of` returns it.

    Args:
        text: specification of the network.
        image_size: side of the images in pixels. Defaults to the one it was published for.
        channels: of the images. Defaults to 3.
        classes: number of logits. Defaults to those of its papers, ImageNet's 1,000 beside the zoo.

    Raises:
        ValueError: If there is no such network, or it does not fit.
    """
    spec = parse(text)
    if isinstance(spec, ZooSpec):
        return {**sizes.size_of(spec.model, image_size, channels, classes), "name": text}
    from keras_logitkd.zoo import flops

    side, classes = image_size or spec.usual_size or _SIZE, classes or _CLASSES
    network = model_specs.build(text, (side, side, channels), classes)
    return {
        "name": text,
        "family": type(spec).__module__.rpartition(".")[2],
        "input_shape": list(network.inputs[0].shape[1:]),
        "classes": classes,
        "parameters": flops.count_parameters(network),
        "flops": int(flops.count_flops(network)),
    }
