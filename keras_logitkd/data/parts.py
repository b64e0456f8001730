"""The parts of a dataset and the names that people give them."""

PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def part_of(word):
    """Returns the key of `PARTS` that a word in upper or lower case names, or None."""
    return next((part for part, words in PARTS.items() if word.lower() in words), None)
