"""What the pictures show, read back from the figures, and that equal input gives equal files."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from keras_logitkd.analysis import plots
from keras_logitkd.experiments.statistics import summarize

NAN, INF = math.nan, math.inf
BLUE, ORANGE = plots.drawing.COLOURS[:2]


@pytest.fixture
def table():
    """Two students, three losses, three seeds; one cell has a single run, one none."""
    values = {
        ("wrn-16-2", "ce"): [0.7, 0.71, 0.72],
        ("wrn-16-2", "kl:20"): [0.75, 0.75, 0.78],
        ("wrn-16-2", "mse"): [0.76, NAN, NAN],
        ("wrn-16-4", "mse"): [0.8, 0.81, 0.79],
        ("wrn-16-4", "ce"): [NAN, NAN, NAN],
    }
    return pd.DataFrame(
        [
            {"row": row, "column": column, "seed": seed, "test_accuracy": accuracy}
            for (row, column), accuracies in values.items()
            for seed, accuracy in enumerate(accuracies)
        ]
    )


def noise_frame(means, taus=(0.0, 0.1, 1.0, 20.0, INF, NAN, NAN)):
    columns = ["ce" if n == 5 else "mse" if n == 6 else f"kl:{tau}" for n, tau in enumerate(taus)]
    return pd.DataFrame({"column": columns, "tau": taus, "mean": means, "std": 0.01})


@pytest.fixture
def lines():
    return {
        "symmetric 0.4": noise_frame([0.6, 0.7, 0.8, 0.75, 0.74, 0.72, 0.73]),
        "symmetric 0.8": noise_frame([0.3, 0.4, 0.5, 0.45, 0.44, 0.42, 0.43]).sample(
            frac=1, random_state=2
        ),
    }


def error_bars(container):
    """(places, means, lower and upper ends of the bars or nan) of an error bar's artists."""
    points, _, (bars,) = container.lines
    ends = [segment[:, 1] if len(segment) else [NAN, NAN] for segment in bars.get_segments()]
    places, means = (np.asarray(data, float) for data in points.get_data())
    return places, means, np.array(ends)


def test_bars_show_means_and_deviations(table):
    axes = plots.bars(summarize(table), "Table 2").axes[0]
    first, second = axes.containers
    places, means, ends = error_bars(first)
    np.testing.assert_allclose(places, np.arange(3) - 0.15, rtol=1e-12)
    np.testing.assert_allclose(means, [71, 76, 76], rtol=1e-12)
    # One standard deviation to each side: 1, sqrt(3), and none for a single run.
    root = math.sqrt(3)
    np.testing.assert_allclose(ends[:2], [[70, 72], [76 - root, 76 + root]], rtol=1e-12)
    assert np.isnan(ends[2]).all()
    places, means, ends = error_bars(second)
    np.testing.assert_allclose(places, [2.15, 0.15], rtol=1e-12)
    np.testing.assert_allclose(means, [80, NAN], rtol=1e-12)
    np.testing.assert_allclose(ends[0], [79, 81], rtol=1e-12)
    assert [container.lines[0].get_color() for container in axes.containers] == [BLUE, ORANGE]


def test_bars_are_named(table):
    figure = plots.bars(summarize(table), "Table 2", ylabel="agreement (%)")
    (axes,) = figure.axes
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["hard labels\n(CE)", "KL\nτ = 20", "MSE"]
    assert axes.get_xticks().tolist() == [0, 1, 2]
    assert axes.get_ylabel() == "agreement (%)"
    assert figure.get_suptitle() == "Table 2"
    assert [text.get_text() for text in figure.legends[0].texts] == ["wrn-16-2", "wrn-16-4"]
    low, high = axes.get_ylim()
    assert 60 < low < 70
    assert 81 < high < 85


def test_bars_with_runs_show_each(table):
    axes = plots.bars(summarize(table), "Table 2", runs=table).axes[0]
    clouds = [artist for artist in axes.collections if isinstance(artist, PathCollection)]
    first, second = (np.ma.getdata(cloud.get_offsets()) for cloud in clouds)
    shown = np.sort(first[:7, 1])
    np.testing.assert_allclose(shown, [70, 71, 72, 75, 75, 76, 78], rtol=1e-12)
    np.testing.assert_allclose(second[:3, 1], [80, 81, 79], rtol=1e-12)
    np.testing.assert_allclose(second[:3, 0], 2.15 + 0.38 * 0.3, rtol=1e-12)


def test_references_are_lines_with_names(table):
    reference = {"teacher": 0.9, "larger teacher": 0.9004, "chance": 0.6, "failed": NAN}
    axes = plots.bars(summarize(table), "Table 2", reference=reference).axes[0]
    levels = [line.get_ydata()[0] for line in axes.lines if len(set(line.get_xdata())) == 2][-3:]
    np.testing.assert_allclose(levels, [60, 90, 90.04], rtol=1e-12)
    names = {text.get_text(): text.xy[1] for text in axes.texts}
    assert list(names) == ["chance: 60.00", "teacher: 90.00", "larger teacher: 90.04"]
    heights = list(names.values())
    assert heights[0] == pytest.approx(60, rel=1e-12)
    # Too near to each other: moved apart by 5.5% of the axis, around their mean.
    low, high = axes.get_ylim()
    assert heights[2] - heights[1] == pytest.approx(0.055 * (high - low), rel=1e-9)
    assert heights[2] + heights[1] == pytest.approx(180.04, rel=1e-12)


def test_long_names_are_aslant(table):
    table["column"] = "skd(alpha=0.1,tau=5) and " + table["column"]
    axes = plots.bars(summarize(table), "Table 3").axes[0]
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {25}


def test_curves_show_means_against_temperature(lines):
    panels = plots.curves(lines, title="Figure 6").axes
    step = 200**0.18
    at = [0.1 / step, 0.1, 1, 20, 20 * step]
    wanted = ([60, 70, 80, 75, 74], [30, 40, 50, 45, 44])
    for axes, heights, colour in zip(panels, wanted, [BLUE, ORANGE], strict=True):
        assert axes.get_xscale() == "log"
        np.testing.assert_allclose(axes.get_xticks(), at, rtol=1e-12)
        (container,) = axes.containers
        places, means, ends = error_bars(container)
        np.testing.assert_allclose(places, at, rtol=1e-12)
        np.testing.assert_allclose(means, heights, rtol=1e-12)
        np.testing.assert_allclose(ends, np.array([means - 1, means + 1]).T, rtol=1e-12)
        (solid,) = [line for line in axes.lines if list(line.get_xdata()) == [0.1, 1, 20]]
        np.testing.assert_allclose(solid.get_ydata(), heights[1:4], rtol=1e-12)
        assert solid.get_color() == colour
    ticks = [label.get_text() for label in panels[-1].get_xticklabels()]
    assert ticks == ["0", "0.1", "1", "20", "∞"]


def test_curves_show_levels_and_breaks_in_a_panel_for_each_label(lines):
    panels = plots.curves(lines, title="Figure 6", panel_title="label noise").axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["label noise symmetric 0.4", "label noise symmetric 0.8"]
    for axes, base, colour in zip(panels, (72, 42), [BLUE, ORANGE], strict=True):
        texts = [text.get_text() for text in axes.texts]
        assert texts == ["//", "//", f"CE: {base}.00", f"MSE: {base + 1}.00"]
        levels = [line for line in axes.lines if list(line.get_xdata()) == [0, 1]]
        np.testing.assert_allclose([line.get_ydata()[0] for line in levels], [base, base + 1])
        assert {line.get_color() for line in levels} == {colour}
        bands = sorted((patch.get_y(), patch.get_height()) for patch in axes.patches)
        np.testing.assert_allclose(bands, [[base - 1, 2], [base, 2]], rtol=1e-12)
        low, high = axes.get_ylim()
        assert high - low < 60


@pytest.mark.parametrize(
    ("taus", "breaks", "at"),
    [
        ([4.0], 0, [4]),
        ([1.0, 3.0], 0, [1, 3]),
        ([0.0, INF], 1, [0.4, 2.5]),
        ([2.0, INF], 1, [2, 5]),
    ],
)
def test_curves_of_few_temperatures(taus, breaks, at):
    frame = pd.DataFrame({"column": "kl", "T": taus, "mean": 0.5, "std": NAN})
    figure = plots.curves({0.4: frame}, x="T")
    np.testing.assert_allclose(figure.axes[0].get_xticks(), at, rtol=1e-12)
    assert [text.get_text() for text in figure.axes[0].texts] == ["//"] * breaks


def test_heat_map_shows_each_number():
    grid = pd.DataFrame(
        [[0.7, 0.71, NAN], [0.7234, 0.74, 0.75]], index=[0.1, 1.0], columns=[0.5, 20, INF]
    )
    axes, bar = plots.heat_map(grid, "Figure 3", colour_label="train accuracy (%)").axes
    np.testing.assert_allclose(axes.images[0].get_array(), 100 * grid.to_numpy(), rtol=1e-12)
    numbers = {text.get_position(): text.get_text() for text in axes.texts}
    assert numbers == {
        (0, 0): "70.00",
        (1, 0): "71.00",
        (2, 0): "-",
        (0, 1): "72.34",
        (1, 1): "74.00",
        (2, 1): "75.00",
    }
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "20", "∞"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.1", "1"]
    assert bar.get_ylabel() == "train accuracy (%)"
    colours = [text.get_color() for text in axes.texts]
    assert colours == ["white", "white", "black", "white", "black", "black"]


def test_equal_input_gives_equal_files(table, lines, tmp_path):
    def draw(number):
        figures = {
            "bars-kl.0.5": plots.bars(summarize(table), "a", reference={"t": 0.9}, runs=table),
            "curves": plots.curves(lines, title="b"),
            "heat_map": plots.heat_map(table.pivot_table("test_accuracy", "row", "column"), "c"),
        }
        folder = tmp_path / str(number)
        folder.mkdir()
        return [plots.save(figure, folder / name) for name, figure in figures.items()]

    first, second = draw(1), draw(2)
    assert [path.name for path in first] == ["bars-kl.0.5.png", "curves.png", "heat_map.png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert one.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = np.frombuffer(one.read_bytes()[16:24], ">u4")
        assert (width, height) == (1024, 1024 if one.name == "curves.png" else 640)
        assert b"Software" not in one.read_bytes()


def test_failed_runs_alone_still_draw(table, tmp_path):
    failed = summarize(table.assign(test_accuracy=NAN))
    assert plots.save(plots.bars(failed, "nothing"), str(tmp_path / "nothing")).is_file()


def test_refusals(table, lines):
    with pytest.raises(ValueError, match="`summary` must have at least one cell"):
        plots.bars(summarize(table[:0]), "empty")
    for empty in ({}, {"a": lines["symmetric 0.4"].assign(tau=NAN)}):
        with pytest.raises(ValueError, match="`frame_by_line` must hold a number in 'tau'"):
            plots.curves(empty)


def test_pyplot_is_left_alone():
    code = (
        "import sys, keras_logitkd.analysis.plots; print('matplotlib.pyplot' in sys.modules, "
        "'tensorflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "False False\n", result.stderr
