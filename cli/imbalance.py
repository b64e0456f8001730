"""What accuracy alone does not say where some classes are much larger than others."""

from keras_logitkd.cli import tables

_UNEQUAL = 1.25  # times its fair share, from which a class is large
_CHANCE = 1.5  # times that of one class: balanced accuracy from which several are told apart
_MOST = 10  # classes in a line


def is_imbalanced(numbers):
    """Whether the largest class has so much more than its share that balanced accuracy tells more.

    Args:
        numbers: of a network, with the names that `evaluation.by_class` gives them. Those of runs
            of before there were these are not.
    """
    share = numbers.get("majority_share")
    return share is not None and share * len(numbers["class_accuracy"]) >= _UNEQUAL


def lines_of(what, numbers):
    """Returns lines on the classes of a network, a list.

    Where classes are imbalanced, their accuracies; the worst of them where they are many. Where
    they are as of a network that predicts the largest class, a warning.

    Args:
        what: names the network.
        numbers: as for `is_imbalanced`, with `accuracy`.
    """
    lines = []
    if is_imbalanced(numbers):
        shares = numbers["class_accuracy"]
        known = {name: share for name, share in shares.items() if share is not None}
        shown = sorted(known, key=known.get)[:_MOST] if len(known) > _MOST else list(known)
        listed = ", ".join(f"{name} {tables.percent(known[name])}" for name in shown)
        of_them = f" (the worst {_MOST} of {len(known)})" if len(known) > _MOST else ""
        lines.append(f"{what} by class{of_them}: {listed}")
    share = numbers.get("majority_share")
    if share is not None and share < 1 and _is_as_of_one_class(numbers, share):
        lines.append(
            f"warning: {what} predicts one class, or does as well as if it did: its accuracy of "
            f"{tables.percent(numbers['accuracy'])} is the share of {numbers['majority_class']}"
        )
    return lines


def _is_as_of_one_class(numbers, share):
    """Whether accuracies are those of predicting the largest class, give or take one example."""
    classes = sum(known is not None for known in numbers["class_accuracy"].values())
    is_near = round(abs(numbers["accuracy"] - share) * numbers["examples"]) <= 1
    return is_near and numbers["balanced_accuracy"] < _CHANCE / classes


def of_test(result):
    """Returns the numbers on the test part in result.json, without that in their names."""
    return {
        name.removeprefix("test_"): value
        for name, value in result.items()
        if name.startswith("test_")
    }
