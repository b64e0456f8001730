"""Pictures of what runs measured, as matplotlib figures; nothing here touches pyplot's state.

All values are shares in [0, 1], as in the results of runs, and are drawn in percent.
"""

import math
import pathlib

import numpy as np
from matplotlib import rc_context

from keras_logitkd.analysis import drawing

DPI = 160
_SHORT = {"ce": "CE", "mse": "MSE"}
_ACCURACY = "test accuracy (%)"
_TAU = "temperature τ"


def bars(summary, title, ylabel=_ACCURACY, reference=None, runs=None):
    """Draws the mean of each cell of a table, with its standard deviation as error bar.

    Columns are places on the x axis, rows are told apart by colour and marker. The marks are
    points, not bars from 0: the y axis covers the range of the values only, as its ticks say.

    Args:
        summary: frame indexed by (row, column) with the columns mean and std, see
            `keras_logitkd.experiments.statistics.summarize`. A std of nan draws no error bar, a
            mean of nan no mark.
        title: text above.
        ylabel: text beside the y axis. Defaults to "test accuracy (%)".
        reference: dict label -> share, drawn as dashed lines, such as the teacher's accuracy.
            Defaults to None.
        runs: frame with one row a run and the columns row, column and test_accuracy; each run
            becomes a small dot beside the mean. Defaults to None: no dots.

    Returns:
        A matplotlib Figure.

    Raises:
        ValueError: if `summary` is empty.
    """
    if summary.empty:
        raise ValueError("`summary` must have at least one cell. Received: an empty frame")
    rows = list(dict.fromkeys(row for row, _ in summary.index))
    columns = list(dict.fromkeys(column for _, column in summary.index))
    figure, axes = drawing.new_figure(title, "", ylabel)
    width = min(0.8 / len(rows), 0.3)
    for number, row in enumerate(rows):
        colour, marker = drawing.look(number)
        shift = (number - (len(rows) - 1) / 2) * width
        cells = summary.loc[[cell for cell in summary.index if cell[0] == row]]
        places = [columns.index(column) + shift for _, column in cells.index]
        drawing.marks(axes, places, cells, fmt=marker, color=colour, label=str(row))
        if runs is not None:
            own = runs[runs["row"] == row]
            dots = [columns.index(column) + shift + 0.38 * width for column in own["column"]]
            axes.scatter(
                dots, 100 * own["test_accuracy"], s=9, color=colour, alpha=0.55, linewidths=0
            )
    drawing.name_places(axes, [drawing.objective(column) for column in columns])
    levels = [
        (label, share, "#444444", drawing.DASHES[number % len(drawing.DASHES)])
        for number, (label, share) in enumerate((reference or {}).items())
    ]
    drawing.named_levels(axes, levels)
    drawing.legend(figure, axes)
    return figure


def curves(frame_by_line, x="tau", title="", panel_title=""):
    """Draws means with error bars against the temperature, one panel a label.

    The x axis is logarithmic; 0 and inf have places of their own at its ends, behind break marks,
    and dotted lines lead there. What has no temperature is a dashed horizontal line, named at the
    right, over a band of one standard deviation to each side. Each panel has the range of its own
    values.

    Args:
        frame_by_line: dict label -> frame with the columns column, `x`, mean and std. `x` is in
            [0, inf], and nan where the column has none ("ce", "mse").
        x: column of the frames with the temperature. Defaults to "tau".
        title: text above. Defaults to "".
        panel_title: what stands before a label, such as "label noise". Defaults to "".

    Returns:
        A matplotlib Figure.

    Raises:
        ValueError: if no frame has a temperature.
    """
    at = {label: frame[frame[x].notna()].sort_values(x) for label, frame in frame_by_line.items()}
    taus = sorted({float(tau) for frame in at.values() for tau in frame[x]})
    if not taus:
        raise ValueError(f"`frame_by_line` must hold a number in {x!r}. Received: none")
    places = drawing.temperature_places(taus)
    figure, panels = drawing.new_panels(title, _TAU, _ACCURACY, len(frame_by_line))
    for number, (label, frame) in enumerate(frame_by_line.items()):
        axes, colour = panels[number], drawing.look(number)[0]
        axes.set_title(f"{panel_title} {label}".strip(), fontsize=9, loc="left")
        _line(axes, at[label], at[label][x].to_numpy(float), places, number)
        levels = []
        for place, cell in enumerate(frame[frame[x].isna()].itertuples()):
            dashes = drawing.DASHES[place % len(drawing.DASHES)]
            levels.append((_SHORT.get(cell.column, cell.column), cell.mean, colour, dashes))
            if math.isfinite(cell.mean) and math.isfinite(cell.std):
                band = 100 * (cell.mean - cell.std), 100 * (cell.mean + cell.std)
                axes.axhspan(*band, color=colour, alpha=0.12, lw=0)
        drawing.temperature_axis(axes, places)
        drawing.named_levels(axes, levels)
    return figure


def heat_map(grid_frame, title, colour_label=_ACCURACY):
    """Draws a table of shares as coloured cells with their numbers in percent.

    Args:
        grid_frame: frame of shares with the values of alpha as index and the temperatures as
            columns, drawn in the frame's order from top to bottom; nan is an empty cell ("-").
        title: text above.
        colour_label: text beside the colour bar. Defaults to "test accuracy (%)".

    Returns:
        A matplotlib Figure.
    """
    shown = 100 * grid_frame.to_numpy(float)
    figure, axes = drawing.new_figure(title, _TAU, "alpha, weight of distillation")
    axes.set_facecolor("#dddddd")
    image = axes.imshow(shown, cmap="viridis", aspect="auto")
    figure.colorbar(image, ax=axes, label=colour_label)
    axes.set_xticks(range(shown.shape[1]), [drawing.number_text(tau) for tau in grid_frame.columns])
    axes.set_yticks(
        range(shown.shape[0]), [drawing.number_text(alpha) for alpha in grid_frame.index]
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), percent in np.ndenumerate(shown):
        is_bright = not math.isfinite(percent) or image.norm(percent) > 0.55
        text = f"{percent:.2f}" if math.isfinite(percent) else "-"
        colour = "black" if is_bright else "white"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    return figure


def save(figure, path_without_suffix, suffixes=(".png",)):
    """Writes a figure; equal figures give equal bytes.

    Args:
        figure: a matplotlib Figure.
        path_without_suffix: where to; a suffix is appended. The folder must exist.
        suffixes: of ".png" (160 dots per inch) and ".svg" (text as text). Defaults to PNG only.

    Returns:
        The pathlib.Path of the first file.
    """
    paths = [pathlib.Path(f"{path_without_suffix}{suffix}") for suffix in suffixes]
    for path in paths:
        is_svg = path.suffix == ".svg"
        # The salt makes the ids of an SVG a function of its content.
        with rc_context({"svg.hashsalt": "keras-logitkd", "svg.fonttype": "none"}):
            figure.savefig(path, dpi=DPI, metadata={"Date" if is_svg else "Software": None})
    return paths[0]


def _line(axes, cells, taus, places, number):
    """Draws one line: solid between temperatures in (0, inf), dotted to the places of 0 and inf."""
    colour, marker = drawing.look(number)
    where = np.array([places[tau] for tau in taus])
    inside = np.isfinite(taus) & (taus > 0)
    heights = 100 * cells["mean"].to_numpy(float)
    drawing.marks(axes, where, cells, fmt=marker, color=colour)
    axes.plot(where, heights, ls=":", lw=1.2, color=colour)
    axes.plot(where[inside], heights[inside], lw=1.5, color=colour, marker=marker)
