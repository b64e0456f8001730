"""Curves of a single run, from its metrics.csv."""

import math

from matplotlib.ticker import MaxNLocator

from keras_logitkd.analysis import drawing
from keras_logitkd.analysis.picture import Picture

_LOSSES = {"loss": "loss", "hard_loss": "hard term", "distillation_loss": "distillation term"}
_SHARES = {"accuracy": "accuracy", "agreement": "agreement with the teacher"}


def history(rows, title):
    """Draws the losses and the accuracies of a run by epoch, held-out ones dashed.

    Args:
        rows: list of dicts, the rows of metrics.csv.
        title: of the picture.

    Returns:
        A `Picture`.
    """
    figure, panels = drawing.new_panels(title, "epoch", "", 2)
    _lines(panels[0], rows, _LOSSES, 1)
    _lines(panels[1], rows, _SHARES, 100)
    panels[0].set_ylabel("loss")
    panels[0].set_yscale("log")
    panels[1].set_ylabel("share of examples (%)")
    # Epochs of a stage before the main one may have no accuracy.
    first, last = next(row for row in rows if not math.isnan(row["accuracy"])), rows[-1]
    alt = (
        f"Losses and shares of examples by epoch. From epoch {int(first['epoch'])} to "
        f"{int(last['epoch'])} the loss went from {first['loss']:.3g} to {last['loss']:.3g}, the "
        f"accuracy on augmented training images from {100 * first['accuracy']:.1f}% to "
        f"{100 * last['accuracy']:.1f}%."
    )
    if "val_accuracy" in last:
        alt += f" On the held-out images it ended at {100 * last['val_accuracy']:.1f}%."
    return Picture("history", title, alt, figure)


def _lines(axes, rows, names, scale):
    axes.grid(axis="y", color="#e5e5e5", lw=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    epochs = [row["epoch"] for row in rows]
    for number, (name, text) in enumerate(names.items()):
        colour, marker = drawing.look(number)
        style = {"color": colour, "marker": marker, "ms": 3.5, "lw": 1.5}
        for prefix, suffix, dashes in (("", "", "-"), ("val_", ", held out", (0, (4, 2)))):
            if f"{prefix}{name}" in rows[0]:
                values = [scale * row[f"{prefix}{name}"] for row in rows]
                axes.plot(epochs, values, ls=dashes, label=f"{text}{suffix}", **style)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
