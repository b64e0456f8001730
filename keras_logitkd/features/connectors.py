"""Connectors: 1x1 convolutions from the student's channels to the teacher's; dense for vectors."""

import math

import keras

from keras_logitkd.features.checks import check_same_maps


class Connectors(keras.layers.Layer):
    """For each tap a 1x1 convolution without bias, drawn from N(0, 2 / teacher channels), and BN.

    Args:
        method: The `FeatureMethod` that they belong to.
        student_shapes, teacher_shapes: As for `FeatureMethod.build`.
        skip_equal: Whether taps with equal channel counts have none. Defaults to False.

    Attributes:
        levels: weights of the taps, each half of the next, the last 1.

    Raises:
        ValueError: If the maps of a pair differ in size.
    """

    def __init__(self, method, student_shapes, teacher_shapes, skip_equal=False):
        super().__init__(name=f"{method.name}_connectors", dtype="float32", autocast=False)
        check_same_maps(method, student_shapes, teacher_shapes)
        self.levels = [0.5 ** (len(student_shapes) - 1 - at) for at in range(len(student_shapes))]
        self.places, self.convs, self.norms = [], [], []
        pairs = zip(student_shapes, teacher_shapes, strict=True)
        for place, (ours, theirs) in enumerate(pairs):
            if skip_equal and ours[-1] == theirs[-1]:
                continue
            tap, channels = method.student_taps[place], theirs[-1]
            scale = keras.initializers.RandomNormal(stddev=math.sqrt(2.0 / channels))
            form = {"rank": len(ours), "initializer": scale}
            conv = method.conv(channels, name=f"{tap}_connector", **form)
            norm = method.norm(name=f"{tap}_connector_bn")
            conv.build(ours)
            norm.build(theirs)
            self.places.append(place)
            self.convs.append(conv)
            self.norms.append(norm)
        self.built = True

    def call(self, features, training=None):
        connected = list(features)
        for place, conv, norm in zip(self.places, self.convs, self.norms, strict=True):
            connected[place] = norm(conv(features[place]), training=training)
        return connected
