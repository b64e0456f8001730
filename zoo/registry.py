"""Names of the zoo's models: what they mean, which are common, how they are built.

Nothing here imports Keras before `build`, so that a command line can check names at once.
"""

import difflib
import importlib
import math
import numbers
import re
import typing

# Depths that need no width: the CIFAR networks of He et al. (2016), and those for ImageNet.
CIFAR_DEPTHS = (20, 32, 44, 56, 110)
IMAGENET_DEPTHS = (18, 34, 50, 101, 152)

_NAME = re.compile(r"(wrn|resnet)-([1-9]\d*)(?:-([1-9]\d*))?")
_FORMS = (
    "wrn-D-W (D = 6n + 4), resnet-D-W (D = 6n + 2), "
    f"resnet-{'/'.join(map(str, CIFAR_DEPTHS))} (width 1) or "
    f"resnet-{'/'.join(map(str, IMAGENET_DEPTHS))} (ImageNet)"
)


class Architecture(typing.NamedTuple):
    """What a name stands for: a family of the zoo, a depth and a width factor."""

    family: str  # the module of the zoo: "wide_resnet", "cifar_resnet" or "imagenet_resnet"
    depth: int
    width: int


def list_models():
    """Returns the names of the common models, a tuple of strings.

    Any other depth and width that fits a family builds too, see `parse_name`.
    """
    return (
        *(f"wrn-{size}" for size in ("10-1", "16-1", "16-2", "16-4", "28-2", "28-4", "28-10")),
        *(f"wrn-{size}" for size in ("40-1", "40-2", "40-4", "40-6")),
        *(f"resnet-{size}" for size in ("8-1", "8-4", "14-1", "32-4")),
        *(f"resnet-{depth}" for depth in CIFAR_DEPTHS),
        *(f"resnet-{depth}" for depth in IMAGENET_DEPTHS),
    )


def parse_name(name):
    """Returns the architecture that a model's name stands for.

    Args:
        name: A string. `wrn-D-W` is a wide residual network with D = 6n + 4; `resnet-D-W` a
            CIFAR residual network with D = 6n + 2, of which `resnet-20/32/44/56/110` are short
            for width 1; `resnet-18/34/50/101/152` are the ImageNet residual networks.

    Returns:
        An `Architecture`, that is `(family, depth, width)`.

    Raises:
        ValueError: If `name` is unknown or its depth does not fit its family.
    """
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None or (match[1] == "wrn" and match[3] is None):
        raise ValueError(f"`name` must be {_FORMS}. Received: name={name!r}.{_suggestion(name)}")
    depth, width = int(match[2]), int(match[3] or 1)
    if match[1] == "wrn":
        _check_depth(name, depth, remainder=4)
        return Architecture("wide_resnet", depth, width)
    if match[3] is None and depth in IMAGENET_DEPTHS:
        return Architecture("imagenet_resnet", depth, width)
    _check_depth(name, depth, remainder=2)
    if match[3] is None and depth not in CIFAR_DEPTHS:
        raise ValueError(
            f"`name` must be {_FORMS}. Received: name={name!r}. Did you mean {f'{name}-1'!r}?"
        )
    return Architecture("cifar_resnet", depth, width)


def build(name, input_shape, num_classes, weight_decay=0.0, input_tensor=None):
    """Builds a classifier that returns logits.

    Weights are initialised as in PyTorch's originals; the same weights give the same logits.
    Layers are named alike in every family: `stem_conv`, `group1_out` ... the raw sums at the end
    of each group (before any batch normalization or ReLU that follows), `pool` the penultimate
    features and `logits`.

    Args:
        name: Name of the model, see `parse_name` and `list_models`.
        input_shape: `(height, width, channels)` of one example; height and width may be `None`.
        num_classes: Number of classes, at least 2.
        weight_decay: Strength of the L2 regularization as optimizers count it: half of it times
            the squared norm of the kernels is added to the loss. Batch normalization and biases
            have none. Defaults to 0.0.
        input_tensor: A Keras tensor of shape `(batch, *input_shape)` to use as the image, such as
            the output of a preprocessing layer. Defaults to None: a new `keras.Input`.

    Returns:
        A `keras.Model` from images of shape `(batch, height, width, channels)` to float32 logits
        of shape `(batch, num_classes)`, also under mixed precision.

    Raises:
        ValueError: If `name` is unknown or another argument is outside what is allowed.
    """
    architecture = parse_name(name)
    input_shape = _check_input_shape(input_shape)
    if not _is_integer(num_classes) or num_classes < 2:
        raise ValueError(
            f"`num_classes` must be an integer of at least 2. Received: num_classes={num_classes!r}"
        )
    is_number = isinstance(weight_decay, numbers.Real) and not isinstance(weight_decay, bool)
    if not is_number or not 0 <= weight_decay < math.inf:
        raise ValueError(
            "`weight_decay` must be a finite number of at least 0. "
            f"Received: weight_decay={weight_decay!r}"
        )
    family = importlib.import_module(f"keras_logitkd.zoo.{architecture.family}")
    return family.build(
        depth=architecture.depth,
        width=architecture.width,
        input_shape=input_shape,
        num_classes=int(num_classes),
        weight_decay=float(weight_decay),
        name=name,
        input_tensor=input_tensor,
    )


def _check_depth(name, depth, remainder):
    """Refuses a depth that is not 6n + `remainder` with n >= 1, and names the nearest that are."""
    blocks, rest = divmod(depth - remainder, 6)
    if blocks >= 1 and rest == 0:
        return
    lower = 6 * max(blocks, 1) + remainder
    nearest = [lower, lower + 6] if depth > lower else [lower]
    family = name.split("-")[0]
    raise ValueError(
        f"`name` must have a depth of 6n + {remainder} for {family}-D-W with n >= 1, nearest "
        f"{' or '.join(map(str, nearest))}. Received: name={name!r}"
    )


def _suggestion(name):
    if not isinstance(name, str):
        return ""
    close = difflib.get_close_matches(name.lower(), list_models(), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _check_input_shape(input_shape):
    shape = tuple(input_shape) if isinstance(input_shape, list | tuple) else ()
    sizes = [size for size in shape[:2] if size is not None] + list(shape[2:])
    if len(shape) != 3 or not all(_is_integer(size) and size > 0 for size in sizes):
        raise ValueError(
            "`input_shape` must be (height, width, channels) of positive integers, where height "
            f"and width may be None. Received: input_shape={input_shape!r}"
        )
    return tuple(None if size is None else int(size) for size in shape)


def _is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
