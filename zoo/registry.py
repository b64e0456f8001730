"""Families of the zoo, one row each: how their names look, which are common, who builds them.

Nothing here imports Keras before `build`, so that a command line can check names at once.
"""

import difflib
import functools
import importlib
import math
import numbers
import re
import typing

# Depths that need no width: the CIFAR networks of He et al. (2016), and those for ImageNet.
CIFAR_DEPTHS = (20, 32, 44, 56, 110)
IMAGENET_DEPTHS = (18, 34, 50, 101, 152)


class Architecture(typing.NamedTuple):
    """What a name stands for: a family of the zoo, a depth and a width factor."""

    family: str  # the last name of its module, such as "wide_resnet"
    depth: int
    width: int


class Family(typing.NamedTuple):
    """A row: networks whose names look alike and that one module builds.

    The module has `build(depth, width, input_shape, num_classes, weight_decay, name,
    input_tensor)`: depth and width are the numbers of the name, what follows is as for `build`
    here, and so is the model that it returns.
    """

    module: str
    pattern: str  # of whole names; the groups `depth` and `width` are numbers where they are there
    form: str  # of names, for people
    common: tuple  # names
    refusal: typing.Callable | None = None  # (name, depth, width or None) -> what "must" be or None
    image_size: int = 32  # pixels and classes that its papers have
    classes: int = 100

    @property
    def name(self):
        """What architectures of the family are said to be."""
        return self.module.rpartition(".")[2]


def _depth_refusal(name, depth, width, remainder):
    """Refuses a depth that is not 6n + `remainder` with n >= 1, and names the nearest that are."""
    blocks, rest = divmod(depth - remainder, 6)
    if blocks >= 1 and rest == 0:
        return None
    lower = 6 * max(blocks, 1) + remainder
    nearest = [lower, lower + 6] if depth > lower else [lower]
    return (
        f"must have a depth of 6n + {remainder} for {name.split('-')[0]}-D-W with n >= 1, nearest "
        f"{' or '.join(map(str, nearest))}. Received: name={name!r}"
    )


def _cifar_refusal(name, depth, width):
    wrong = _depth_refusal(name, depth, width, remainder=2)
    if wrong or width is not None or depth in CIFAR_DEPTHS:
        return wrong
    return f"must be {forms()}. Received: name={name!r}. Did you mean {f'{name}-1'!r}?"


_DEPTH, _WIDTH = r"(?P<depth>[1-9]\d*)", r"(?P<width>[1-9]\d*)"
# A name belongs to the first family that has nothing against it.
FAMILIES = [
    Family(
        "keras_logitkd.zoo.wide_resnet",
        f"wrn-{_DEPTH}-{_WIDTH}",
        "wrn-D-W (D = 6n + 4)",
        (
            *("wrn-10-1", "wrn-16-1", "wrn-16-2", "wrn-16-4", "wrn-28-2", "wrn-28-4", "wrn-28-10"),
            *("wrn-40-1", "wrn-40-2", "wrn-40-4", "wrn-40-6"),
        ),
        functools.partial(_depth_refusal, remainder=4),
    ),
    Family(
        "keras_logitkd.zoo.cifar_resnet",
        f"resnet-{_DEPTH}(-{_WIDTH})?",
        f"resnet-D-W (D = 6n + 2), resnet-{'/'.join(map(str, CIFAR_DEPTHS))} (width 1)",
        tuple(f"resnet-{size}" for size in ("8-1", "8-4", "14-1", "32-4", *CIFAR_DEPTHS)),
        _cifar_refusal,
    ),
    Family(
        "keras_logitkd.zoo.imagenet_resnet",
        f"resnet-(?P<depth>{'|'.join(map(str, IMAGENET_DEPTHS))})",
        f"resnet-{'/'.join(map(str, IMAGENET_DEPTHS))} (ImageNet)",
        tuple(f"resnet-{depth}" for depth in IMAGENET_DEPTHS),
        image_size=224,
        classes=1000,
    ),
]


def list_models():
    """Returns the names of the common models, a tuple of strings.

    Any other depth and width that fits a family builds too, see `parse_name`.
    """
    return tuple(name for family in FAMILIES for name in family.common)


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
    return _parsed(name)[1]


def family_of(name):
    """Returns the `Family` of a model's name; ValueError as `parse_name`."""
    return _parsed(name)[0]


def _parsed(name):
    refusals = []
    for family in FAMILIES:
        match = re.fullmatch(family.pattern, name) if isinstance(name, str) else None
        if match is None:
            continue
        found = {key: int(text) for key, text in match.groupdict().items() if text}
        depth, width = found.get("depth", 0), found.get("width")
        wrong = family.refusal and family.refusal(name, depth, width)
        if not wrong:
            return family, Architecture(family.name, depth, width or 1)
        refusals.append(wrong)
    unknown = f"must be {forms()}. Received: name={name!r}.{_suggestion(name)}"
    raise ValueError(f"`name` {refusals[0] if refusals else unknown}")


def forms():
    """Returns how names look, for people."""
    *others, last = [family.form for family in FAMILIES]
    return f"{', '.join(others)} or {last}"


def build(name, input_shape, num_classes, weight_decay=0.0, input_tensor=None):
    """Builds a classifier that returns logits.

    Weights are initialised as in PyTorch's originals; the same weights give the same logits.
    Layers are named alike in every family: `stem_conv`, `group1_out` ... the raw sums at the end
    of each group (before any batch normalization or ReLU that follows), `pool` the penultimate
    features and `logits`.

    Args:
        name: Name of the model, see `parse_name` and `list_models`.
        input_shape: `(height, width, channels)` of one example; height and width may be `None`.
        num_classes: Number of logits: of classes, or 1 for a question of yes and no, whose logit is
            that of a sigmoid.
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
    family, architecture = _parsed(name)
    input_shape = _check_input_shape(input_shape)
    if not _is_integer(num_classes) or num_classes < 1:
        raise ValueError(
            f"`num_classes` must be an integer of at least 1. Received: num_classes={num_classes!r}"
        )
    is_number = isinstance(weight_decay, numbers.Real) and not isinstance(weight_decay, bool)
    if not is_number or not 0 <= weight_decay < math.inf:
        raise ValueError(
            "`weight_decay` must be a finite number of at least 0. "
            f"Received: weight_decay={weight_decay!r}"
        )
    return importlib.import_module(family.module).build(
        depth=architecture.depth,
        width=architecture.width,
        input_shape=input_shape,
        num_classes=int(num_classes),
        weight_decay=float(weight_decay),
        name=name,
        input_tensor=input_tensor,
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
