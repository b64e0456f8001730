"""Shapes of which not every size is known, and what brings those of two networks together."""


def compatible(first, second):
    """Whether two shapes may be the same; a None in one of them is any size."""
    return len(first) == len(second) and all(
        a is None or b is None or a == b for a, b in zip(first, second, strict=True)
    )


def adapting(theirs, ours):
    """Returns a clause that says how a teacher's logits come to a student's shape, or "".

    Args:
        theirs, ours: Shapes of their logits without the batch.
    """
    options, places = [], ours[:-1]
    if len(theirs) != len(ours) or not ours:
        return ""
    if not compatible(theirs[:-1], places):
        size = ", ".join("..." if each is None else str(each) for each in places)
        options.append(f"size={size}" if len(places) == 1 else f"size=({size})")
    if not compatible(theirs[-1:], ours[-1:]):
        if theirs[-1] < ours[-1]:
            return ""
        options.append("classes=[...]")
    return f": pass keras_logitkd.adapt(teacher, {', '.join(options)})" if options else ""
