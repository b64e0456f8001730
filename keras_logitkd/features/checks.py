"""Checks of the options of feature methods."""

import math
import numbers

SAME_MAPS = (
    "maps (batch, ..., channels) of equal size in student and teacher, or vectors in both; at and "
    "nst take maps of any size, sp, pkt, rkd and cc any features"
)
_MAPS = (
    "maps (batch, ..., channels) with as many axes in student and teacher; sp, pkt, rkd and cc "
    "take any features"
)
RANKS = range(2, 6)  # of features that a convolution takes, or for vectors a dense layer


def check_number(name, value, least=0.0, most=math.inf, whole=False):
    """Returns `value` as a float, or as an int where whole, if it is in range, or raises."""
    kind = numbers.Integral if whole else numbers.Real
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or not least <= value <= most or math.isinf(value):
        what = "an integer" if whole else "a number"
        limit = f"at least {least:g}" if most == math.inf else f"in [{least:g}, {most:g}]"
        raise ValueError(f"`{name}` must be {what} {limit}. Received: {name}={value!r}")
    return int(value) if whole else float(value)


def check_connectable(method, what, holds, received):
    """Raises ValueError where a method cannot connect what it is given."""
    if not holds:
        raise ValueError(f"{method.name} needs {what}. Received: {received}")


def check_maps(method, student_shapes, teacher_shapes):
    """Raises ValueError where the features of a pair of taps have no positions, or other axes."""
    for ours, theirs in zip(student_shapes, teacher_shapes, strict=True):
        fits = len(ours) == len(theirs) > 2
        check_connectable(method, _MAPS, fits, (tuple(ours), tuple(theirs)))


def check_same_maps(method, student_shapes, teacher_shapes, what=SAME_MAPS, ranks=RANKS):
    """Raises ValueError where the maps of a student's and a teacher's tap differ in size.

    Args:
        method: A `FeatureMethod`.
        student_shapes, teacher_shapes: As for `FeatureMethod.build`.
        what: What it needs, for the message.
        ranks: The numbers of axes that it takes.
    """
    for ours, theirs in zip(student_shapes, teacher_shapes, strict=True):
        fits = len(ours) in ranks and ours[1:-1] == theirs[1:-1]
        fits = fits and None not in (ours[-1], theirs[-1])
        check_connectable(method, what, fits, (tuple(ours), tuple(theirs)))
