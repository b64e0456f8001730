"""Pictures of a search: the validation accuracy against each of what was searched."""

import math
import typing

import numpy as np
from matplotlib import colormaps

from keras_logitkd.analysis import drawing
from keras_logitkd.analysis.picture import Picture

_NO_TAU = -0.18  # height of trials without a temperature
_ACCURACY = "validation accuracy (%)"


def search_pictures(rows):
    """Draws the finished trials of a search.

    Args:
        rows: list of dicts with `loss`, `tau` (a number, infinity included, or None), `alpha`,
            `epochs` and `validation_accuracy`, a share.

    Returns:
        A list of `Picture`s: slices along tau and along alpha, where there are several values, and
        parallel coordinates, where there are several trials.
    """
    drawn = []
    if len({row["tau"] for row in rows if row["tau"] is not None}) > 1:
        drawn.append(tau_slice(rows))
    if len({row["alpha"] for row in rows}) > 1:
        drawn.append(alpha_slice(rows))
    if len(rows) > 1:
        drawn.append(parallel_coordinates(rows))
    return drawn


def tau_slice(rows):
    """Returns the `Picture` of the accuracy against the temperature; mse is a line of its own."""
    title = "Validation accuracy by temperature"
    figure, axes = drawing.new_figure(title, "temperature τ", _ACCURACY)
    taught = [row for row in rows if row["tau"] is not None]
    places = drawing.temperature_places(sorted({row["tau"] for row in taught}))
    _points(figure, axes, [places[row["tau"]] for row in taught], taught)
    _ticks(axes, places)
    others = [row["validation_accuracy"] for row in rows if row["tau"] is None]
    if others:
        colour, _ = drawing.look(1)
        drawing.named_levels(axes, [("best mse", max(others), colour, drawing.DASHES[0])])
    best = _best(taught)
    alt = (
        f"{len(taught)} trials of KL by temperature. The best has τ = "
        f"{drawing.number_text(best['tau'])} with {100 * best['validation_accuracy']:.2f}%."
    )
    if others:
        alt += f" The best of {len(others)} trials of MSE has {100 * max(others):.2f}%."
    return Picture("tau", title, alt, figure)


def alpha_slice(rows):
    """Returns the `Picture` of the accuracy against alpha, by loss."""
    title = "Validation accuracy by alpha"
    figure, axes = drawing.new_figure(title, "alpha, weight of distillation", _ACCURACY)
    axes.grid(axis="y", color="#e5e5e5", lw=0.8)
    for number, loss in enumerate(dict.fromkeys(row["loss"] for row in rows)):
        own = [row for row in rows if row["loss"] == loss]
        colour, marker = drawing.look(number)
        heights = [100 * row["validation_accuracy"] for row in own]
        axes.scatter([row["alpha"] for row in own], heights, c=colour, marker=marker, label=loss)
    drawing.legend(figure, axes)
    best = _best(rows)
    alt = (
        f"{len(rows)} trials by alpha. The best has alpha = {best['alpha']:g} with "
        f"{100 * best['validation_accuracy']:.2f}%."
    )
    return Picture("alpha", title, alt, figure)


def parallel_coordinates(rows):
    """Returns the `Picture` of all trials as lines over loss, tau, alpha and accuracy."""
    title = "Parallel coordinates of the trials"
    figure, axes = drawing.new_figure(title, "", "")
    columns = _columns(rows)
    heights = np.array([column.heights for column in columns]).T
    order = np.argsort([row["validation_accuracy"] for row in rows])
    for rank, trial in enumerate(order):
        colour = colormaps["viridis_r"]((rank + 1) / len(rows))
        axes.plot(heights[trial], color=colour, lw=2.8 if rank == len(rows) - 1 else 1.3)
    for place, column in enumerate(columns):
        axes.axvline(place, color="#999999", lw=1, zorder=0)
        for height, text in column.ticks.items():
            box = {"facecolor": "white", "alpha": 0.85, "lw": 0, "pad": 1}
            shift = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(text, (place, height), fontsize=8, bbox=box, zorder=5, **shift)
    axes.set_xticks(range(len(columns)), [column.name for column in columns])
    axes.set_xlim(-0.25, len(columns) - 0.5)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    best = _best(rows)
    tau = "" if best["tau"] is None else f", τ = {drawing.number_text(best['tau'])}"
    alt = (
        f"{len(rows)} trials as lines over loss, temperature, alpha and validation accuracy, "
        f"darker where it is higher. The best: {best['loss']}{tau}, alpha = {best['alpha']:g}, "
        f"{100 * best['validation_accuracy']:.2f}%."
    )
    return Picture("parallel", title, alt, figure)


class _Column(typing.NamedTuple):
    """One axis: the height of each trial in [0, 1], and texts at some heights."""

    name: str
    heights: list
    ticks: dict


def _columns(rows):
    """The four axes; mse has a place of its own below the temperatures."""
    losses = sorted({row["loss"] for row in rows})
    taus = sorted({row["tau"] for row in rows if row["tau"] is not None})
    places = drawing.temperature_places(taus) if taus else {}
    logs = [math.log(places[tau]) for tau in taus]
    at = dict(zip(taus, _scaled(logs), strict=True))
    ticks = {at[tau]: drawing.number_text(tau) for tau in (taus[:1] + taus[-1:])}
    if None in {row["tau"] for row in rows}:
        at, ticks = {**at, None: _NO_TAU}, {**ticks, _NO_TAU: "none"}
    kinds = dict(zip(losses, _scaled(range(len(losses))), strict=True))
    loss = _Column("loss", [kinds[row["loss"]] for row in rows], {kinds[x]: x for x in losses})
    tau = _Column("τ", [at[row["tau"]] for row in rows], ticks)
    return [
        loss,
        tau,
        _number_column("alpha", [row["alpha"] for row in rows]),
        _number_column("accuracy (%)", [100 * row["validation_accuracy"] for row in rows]),
    ]


def _number_column(name, values):
    heights, ends = _scaled(values), (np.argmin(values), np.argmax(values))
    return _Column(name, heights, {heights[end]: f"{values[end]:.4g}" for end in ends})


def _points(figure, axes, places, rows):
    """Trials as dots, coloured by alpha where that differs."""
    axes.grid(axis="y", color="#e5e5e5", lw=0.8)
    heights = [100 * row["validation_accuracy"] for row in rows]
    alphas = [row["alpha"] for row in rows]
    if len(set(alphas)) == 1:
        axes.scatter(places, heights, c=drawing.look(0)[0])
        return
    dots = axes.scatter(places, heights, c=alphas, cmap="viridis_r", edgecolors="#444444", lw=0.5)
    figure.colorbar(dots, ax=axes, label="alpha", pad=0.12)


def _ticks(axes, places):
    """A logarithmic axis with round numbers, and names for what lies beyond."""
    axes.set_xscale("log")
    finite = [tau for tau in places if 0 < tau < math.inf] or [1.0]
    exponents = range(math.floor(math.log10(finite[0])), math.ceil(math.log10(finite[-1])) + 1)
    marks = [m * 10.0**e for e in exponents for m in (1, 3)]
    marks = [mark for mark in marks if finite[0] <= mark <= finite[-1]] or finite
    ends = [tau for tau in places if tau in (0, math.inf)]
    ticks = {mark: drawing.number_text(mark) for mark in marks}
    ticks |= {places[tau]: drawing.number_text(tau) for tau in ends}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()


def _scaled(values):
    """Values as shares of their range; equal ones are in the middle."""
    values = np.array(list(values), float)
    if not len(values) or values.max() == values.min():
        return np.full(len(values), 0.5)
    return (values - values.min()) / (values.max() - values.min())


def _best(rows):
    return max(rows, key=lambda row: row["validation_accuracy"])
