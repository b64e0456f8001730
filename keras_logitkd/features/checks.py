"""Checks of the options of feature methods."""

import math
import numbers

SAME_MAPS = "maps of equal height and width in student and teacher"


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


def check_same_maps(method, student_shapes, teacher_shapes):
    """Raises ValueError where the maps of a student's and a teacher's tap differ in size."""
    for ours, theirs in zip(student_shapes, teacher_shapes, strict=True):
        fits = ours[1:-1] == theirs[1:-1]
        check_connectable(method, SAME_MAPS, fits, (tuple(ours), tuple(theirs)))
