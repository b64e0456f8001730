"""Shapes of which not every size is known."""


def compatible(first, second):
    """Whether two shapes may be the same; a None in one of them is any size."""
    return len(first) == len(second) and all(
        a is None or b is None or a == b for a, b in zip(first, second, strict=True)
    )
