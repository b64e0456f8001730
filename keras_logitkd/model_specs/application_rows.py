"""The networks of keras.applications, one row each: sizes, options, and the pixels they expect."""

import typing


class Row(typing.NamedTuple):
    """A family of keras.applications.

    Args:
        names: of its functions, with the side in pixels that each was published for.
        pixels: key of `PIXELS`: what they expect; None where the network prepares pixels itself.
        least: smallest side that it takes.
        options: arguments of the functions that a specification may set, with their types.
        switch: argument that turns its own preprocessing off, or None.
    """

    names: dict
    pixels: str | None
    least: int = 32
    options: dict = {}
    switch: str | None = None


def _all(size, *names):
    return dict.fromkeys(names, size)


_OFF = "include_preprocessing"
_B = {f"EfficientNetB{i}": s for i, s in enumerate((224, 240, 260, 300, 380, 456, 528, 600))}
_V2B = {f"EfficientNetV2B{i}": size for i, size in enumerate((224, 240, 260, 300))}
_V3 = {"alpha": float, "minimalistic": bool, "dropout_rate": float}
_NEXT = [f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")]
ROWS = [
    Row(
        _all(224, "MobileNet"),
        "tf",
        options={"alpha": float, "depth_multiplier": int, "dropout": float},
    ),
    Row(_all(224, "MobileNetV2"), "tf", options={"alpha": float}),
    Row(_all(224, "MobileNetV3Small", "MobileNetV3Large"), "tf", options=_V3, switch=_OFF),
    Row(_B, None),
    Row(_V2B, "torch", switch=_OFF),
    Row(
        {"EfficientNetV2S": 384, "EfficientNetV2M": 480, "EfficientNetV2L": 480},
        "symmetric",
        switch=_OFF,
    ),
    Row(_all(224, *_NEXT), "torch", switch=_OFF),
    Row(_all(224, "DenseNet121", "DenseNet169", "DenseNet201"), "torch"),
    Row(_all(224, "ResNet50", "ResNet101", "ResNet152"), "caffe"),
    Row(_all(224, "ResNet50V2", "ResNet101V2", "ResNet152V2"), "tf"),
    Row(_all(224, "VGG16", "VGG19"), "caffe"),
    Row(_all(299, "InceptionV3", "InceptionResNetV2"), "tf", least=75),
    Row(_all(299, "Xception"), "tf", least=71),
    Row({"NASNetMobile": 224, "NASNetLarge": 331}, "tf"),
]


class Pixels(typing.NamedTuple):
    """pixel * scale + offset for each channel, of RGB or, where `is_bgr`, of BGR."""

    scale: tuple
    offset: tuple
    is_bgr: bool = False


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, over 255
# By the names that `keras.applications.imagenet_utils.preprocess_input` gives to its modes.
PIXELS = {
    "tf": Pixels((1 / 127.5,) * 3, (-1.0,) * 3),
    "torch": Pixels(
        tuple(1 / (255 * std) for std in _STD),
        tuple(-mean / std for mean, std in zip(_MEAN, _STD, strict=True)),
    ),
    "caffe": Pixels((1.0,) * 3, (-103.939, -116.779, -123.68), is_bgr=True),
    "symmetric": Pixels((1 / 128,) * 3, (-1.0,) * 3),
}


def names():
    """Returns the names of all functions, in the order of the rows."""
    return tuple(name for row in ROWS for name in row.names)


def row_of(name):
    """Returns the `Row` of a function's name, or None."""
    return next((row for row in ROWS if name in row.names), None)
