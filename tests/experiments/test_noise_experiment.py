"""Students on wrong labels: which cells there are, and what is drawn of them."""

import math

import pytest

from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.experiments import noise, table_report
from keras_logitkd.experiments.noise import noise_entries
from keras_logitkd.experiments.statistics import summarize
from keras_logitkd.experiments.sweep import run_sweep
from keras_logitkd.runs.spec.cell import Cell

HALF, FIFTH = LabelNoise("symmetric", 0.5), LabelNoise("pair", 0.2, seed=1)
CLEAN = Cell("wrn-16-1")


def test_teacher_and_students_learn_the_same_wrong_labels():
    entries = noise_entries("wrn-10-1", (CLEAN,), [HALF, FIFTH], ["ce", "kl:1"], (0, 1), views=3)
    assert [(entry.row, entry.column, entry.cell.seed) for entry in entries[:5]] == [
        ("symmetric 0.5", "teacher", 0),
        ("symmetric 0.5", "ce", 0),
        ("symmetric 0.5", "ce", 1),
        ("symmetric 0.5", "kl:1", 0),
        ("symmetric 0.5", "kl:1", 1),
    ]
    assert len(entries) == 10
    for part, wrong in ((entries[:5], HALF), (entries[5:], FIFTH)):
        teacher = Cell("wrn-16-1", noise=wrong)
        assert part[0].cell == teacher
        assert part[1].cell == Cell("wrn-10-1", noise=wrong, views=3)
        assert part[3].cell == Cell("wrn-10-1", (teacher,), "kl:1", noise=wrong, views=3)


def test_files_stay_as_they_are_and_ensembles_have_a_column_each():
    teachers = (CLEAN, "a.keras", Cell("wrn-16-2"))
    entries = noise_entries("wrn-10-1", teachers, [HALF], ["mse"], (0,))
    assert [entry.column for entry in entries] == ["teacher wrn-16-1", "teacher wrn-16-2", "mse"]
    assert entries[-1].cell.teachers[1] == "a.keras"
    alone = noise_entries("wrn-10-1", ("a.keras",), [HALF], ["mse"], (0,))
    assert [entry.column for entry in alone] == ["mse"]


@pytest.mark.parametrize(
    ("noises", "columns", "seeds", "message"),
    [
        ([], ["ce"], (0,), "`noises` must not be empty"),
        ([HALF], [], (0,), "`columns` must not be empty"),
        ([HALF], ["ce"], (), "`seeds` must not be empty"),
        ([HALF], ["ce", "l2"], (0,), "l2"),
    ],
)
def test_empty_grids_and_unknown_losses_are_refused(noises, columns, seeds, message):
    with pytest.raises(ValueError, match=message):
        noise_entries("wrn-10-1", (CLEAN,), noises, columns, seeds)


@pytest.mark.parametrize(
    ("column", "temperature"),
    [("kl:0.5", 0.5), ("kl", 4.0), ("kl:inf", math.inf), ("kl:0", 0.0)],
)
def test_columns_with_a_temperature_have_a_place_on_the_axis(
    workspace, untrained, column, temperature
):
    columns = ["ce", column, "mse", "kl:3@0"]
    frame = run_sweep(noise_entries("wrn-10-1", (CLEAN,), [HALF], columns, (0, 1)), workspace)
    summary = summarize(frame)
    assert noise._temperature(column) == temperature
    assert all(math.isnan(noise._temperature(other)) for other in ("ce", "mse", "teacher x"))
    figure = noise.draw(frame, summary, "Curves")
    (axes,) = figure.axes[:1]
    drawn = [point for line in axes.lines for point in line.get_ydata()]
    assert any(y == pytest.approx(100 * summary["mean"]["symmetric 0.5", column]) for y in drawn)


def test_without_a_temperature_means_are_drawn(workspace, untrained):
    frame = run_sweep(noise_entries("wrn-10-1", (CLEAN,), [HALF], ["ce", "mse"], (0,)), workspace)
    assert noise.draw(frame, summarize(frame), "Bars").axes


def test_report_has_a_table_for_each_measure(workspace, untrained, tmp_path):
    entries = noise_entries("wrn-10-1", (CLEAN,), [HALF], ["ce", "kl:1"], (0, 1))
    story = table_report.Story("Noise", "Two objectives.", measures=noise.MEASURES)
    written = table_report.run(story, entries, workspace, tmp_path / "out")
    text = written.files["markdown"].read_text()
    for heading in noise.MEASURES.values():
        assert f"## {heading}" in text
    means = 1 - summarize(written.frame)["mean"]
    for value in means:
        assert f"| {100 * value:.2f}" in text.split("## Wrongly labelled")[1]


def test_a_rate_of_0_has_no_memorisation_and_says_so(workspace, untrained, tmp_path):
    entries = noise_entries("wrn-10-1", (CLEAN,), [LabelNoise("pair", 0)], ["ce"], (0,))
    untrained.accuracies = {}
    frame = run_sweep(entries, workspace).assign(memorisation=math.nan)
    written = table_report.write(
        table_report.Story("N", "", measures=noise.MEASURES), frame, tmp_path / "out"
    )
    assert "| pair 0 | - | - |" in written.files["markdown"].read_text()
