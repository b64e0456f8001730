"""The parts that the pictures share: figures, marks, named levels, axes of temperatures."""

import itertools
import math
import textwrap

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter
from scipy.optimize import isotonic_regression

from keras_logitkd.features.objective import HARD, of_column

# Okabe and Ito's palette, told apart by the colour-blind; the markers help in grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
OTHER_COLOURS = ("#009e73", "#cc79a7", "#e69f00")
BLUES = colormaps["Blues"]
TEACHER = {"color": "#000000", "ls": "-"}
DASHES = ((0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


def new_figure(title, xlabel, ylabel):
    """Returns a Figure and its axes, sized for the width of a page's column."""
    figure, (axes,) = new_panels(title, xlabel, ylabel, 1)
    return figure, axes


def new_panels(title, xlabel, ylabel, count, height=2.4, sharey=False):
    """Returns a Figure and a list of `count` axes, one above the other over one x axis.

    Args:
        title, xlabel, ylabel: texts; `ylabel` stands beside each of the axes.
        count: number of axes.
        height: of each in inches. Defaults to 2.4.
        sharey: whether they have one range of y. Defaults to False.
    """
    figure = Figure(figsize=(6.4, 1.6 + height * count), layout="constrained")
    _set_title(figure, title)
    panels = list(figure.subplots(count, sharex=True, sharey=sharey, squeeze=False)[:, 0])
    for axes in panels:
        axes.set_ylabel(ylabel)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel(xlabel)
    return figure, panels


def new_grid(title, count):
    """Returns a Figure and a list of `count` small axes in rows, all of the same ranges."""
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    side = min(2.0 + 2.0 / columns, 6.0 / columns)
    figure = Figure(figsize=(6.4, 0.9 + side * rows), layout="constrained")
    _set_title(figure, title)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels:
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[count:]:
        axes.remove()
    for axes in panels[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)  # Where there is nothing below.
    return figure, list(panels[:count])


def _set_title(figure, title):
    lines = [textwrap.fill(line, 80) for line in title.splitlines()]
    figure.suptitle("\n".join(lines), fontsize=10)


def look(number):
    """Returns (colour, marker) of a series."""
    return COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]


def marks(axes, places, cells, **style):
    """Draws means with error bars over horizontal grid lines."""
    axes.grid(axis="y", color="#e5e5e5", lw=0.8)
    axes.set_axisbelow(True)
    axes.errorbar(places, 100 * cells["mean"], 100 * cells["std"], ms=6, capsize=3.5, **style)


def named_levels(axes, levels):
    """Draws (text, share, colour, dashes) as horizontal lines, named beside their right ends."""
    levels = sorted((level for level in levels if math.isfinite(level[1])), key=lambda x: x[1])
    for _, share, colour, dashes in levels:
        axes.axhline(100 * share, color=colour, lw=1.2, ls=dashes, zorder=1.5)
    axes.margins(y=0.08)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    # Names keep a line's distance from each other and are as near to their lines as that allows.
    gaps = 0.055 * (high - low) * np.arange(len(levels))
    heights = [100 * level[1] for level in levels]
    placed = isotonic_regression(heights - gaps).x + gaps if levels else []
    for (text, share, colour, _), height in zip(levels, placed, strict=True):
        axes.annotate(
            f"{text}: {100 * share:.2f}",
            (1.01, height),
            xycoords=("axes fraction", "data"),
            color=colour,
            fontsize=8,
            va="center",
        )


def legend(figure, axes, markerscale=1.0):
    """Puts a legend below the axes, in as many columns as its texts leave room for."""
    handles, labels = axes.get_legend_handles_labels()
    place = "outside lower center"
    columns = max(1, 80 // (max(map(len, labels)) + 10))
    look = {"frameon": False, "fontsize": 9, "handlelength": 2.8, "markerscale": markerscale}
    figure.legend(handles, labels, loc=place, ncols=columns, **look)


def temperature_places(taus):
    """Maps temperatures to places on a logarithmic axis; 0 and inf lie beyond the others."""
    finite = [tau for tau in taus if 0 < tau < math.inf] or [1.0]
    step = max(2.5, (finite[-1] / finite[0]) ** 0.18)
    ends = {0: finite[0] / step, math.inf: finite[-1] * step}
    return {tau: ends.get(tau, tau) for tau in taus}


def temperature_axis(axes, places):
    """Makes the x axis logarithmic, with a tick for each temperature and marks at its breaks."""
    axes.set_xscale("log")
    axes.set_xticks(list(places.values()), [number_text(tau) for tau in places])
    finite = [tau for tau in places if 0 < tau < math.inf] or [1.0]
    minor = LogLocator(subs=range(1, 10)).tick_values(finite[0], finite[-1])
    minor = [tick for tick in minor if finite[0] < tick < finite[-1]]
    axes.xaxis.set_minor_locator(FixedLocator(minor))
    axes.xaxis.set_minor_formatter(NullFormatter())
    ordered = list(places.items())
    axes.set_xlim(ordered[0][1] / 1.5, ordered[-1][1] * 1.5)
    for (tau, left), (next_tau, right) in itertools.pairwise(ordered):
        if tau == 0 or next_tau == math.inf:
            axes.annotate(
                "//",
                (math.sqrt(left * right), 0),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="center",
            )


def name_places(axes, names):
    """Names the places 0, 1, ... of the x axis, aslant where the names are too long."""
    room = 84 / len(names)
    longest = max(len(line) for name in names for line in name.splitlines())
    slant = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if longest > room else {}
    axes.set_xticks(range(len(names)), names, **slant)
    axes.set_xlim(-0.5, len(names) - 0.5)


def number_text(value):
    """Returns a number as short text, infinity as its sign; text stays as it is."""
    if isinstance(value, str):
        return value
    return "∞" if value == math.inf else f"{value:g}"


def objective(column):
    """Returns what readers call an objective: "kl:3" is KL at τ = 3; other names stay."""
    found = of_column(column)
    return found.label if found else str(column)


def line_styles(objectives):
    """Gives each of some lines a colour and dashes: KL by temperature from light to dark blue.

    Args:
        objectives: list of objectives, one a line, several may be equal.

    Returns:
        A list of dicts with "color" and "ls", as `Axes.plot` takes them.
    """
    found = [of_column(name) for name in objectives]
    constant = [each for each in found if each and each.argument and each.temperature is not None]
    taus = sorted({each.temperature for each in constant})
    own = iter(itertools.cycle(OTHER_COLOURS))
    styles = []
    for number, each in enumerate(found):
        if each in constant:
            shade = taus.index(each.temperature) / max(1, len(taus) - 1)
            colour = BLUES(0.35 + 0.65 * shade) if len(taus) > 1 else COLOURS[0]
        elif each and each.text == HARD:
            colour = "#777777"
        else:
            colour = COLOURS[1] if each and each.is_plain else next(own)
        styles.append({"color": colour, "ls": ("-", *DASHES)[number % (1 + len(DASHES))]})
    return styles
