"""Figures 2, 4 and 5: the cells of Table 2, measured, drawn and judged."""

import csv
import dataclasses
import types

import numpy as np
import pytest

from keras_logitkd.analysis.analysis import analyze
from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.experiments import registry, reproduce, setups, table2
from keras_logitkd.experiments.cell_order import Failure
from keras_logitkd.runs.spec.recipes import recipe_for
from keras_logitkd.runs.workspace import open_workspace

PICTURES = {
    "figure2": ["logit_sums", "logit_sum_shift"],
    "figure4": ["logit_distance", "pre_logit_norm"],
    "figure5": ["projections"],
}


@pytest.mark.parametrize("scale", setups.SCALES)
def test_cells_are_those_of_table_2(scale):
    setup = reproduce.setup_of("table2", scale)
    recipe = recipe_for(types.SimpleNamespace(name=setup.dataset, image_shape=(32, 32, 3))).replace(
        **setup.fields
    )
    setup = dataclasses.replace(setup, recipe=recipe)
    cells = {entry.cell for entry in table2.entries(setup)}
    for name in PICTURES:
        own = {entry.cell for entry in registry.get(name).entries(setup)}
        assert own <= cells
        assert {cell.model for cell in own} == {setup.student}


@pytest.fixture(scope="module")
def reports(tiny_spec, tmp_path_factory):
    """Reports on all three, on one short epoch of the tiny dataset with one runs directory."""
    folder = tmp_path_factory.mktemp("figures")
    setup = dataclasses.replace(
        setups.SMOKE,
        dataset=tiny_spec,
        teacher="resnet-8-1",
        fields={"epochs": 1},
        teacher_epochs=1,
        seeds=(0,),
    )
    fields = {"epochs": 1, "batch_size": 20, "validation": 0.1}
    runs_dir = str(folder / "runs")
    workspace = open_workspace(tiny_spec, runs_dir, recipe_fields=fields, resume=True)
    found = {name: reproduce.reproduce(name, setup, workspace, folder / name) for name in PICTURES}
    return found, workspace


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_numbers_in_table_and_text_are_those_of_an_analysis(name, reports):
    report = reports[0][name]
    with report.files["csv"].open(newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    names = list(report.frame["run"])
    workspace = reports[1]
    found = analyze([open_run(one, workspace.runs_dir) for one in names], split="train")
    for student in found.students:
        row, measures = rows[student.run.directory.name], student.measures
        norm = measures.distributions["pre_logit_norm"].mean
        assert float(row["pre_logit_norm"]) == pytest.approx(norm)
        distance = measures.vectors.distance_to_templates
        assert float(row["template_distance"]) == pytest.approx(distance, nan_ok=True)
        distance = measures.distributions["logit_distance"].mean
        assert float(row["logit_distance"]) == pytest.approx(distance)
    text = report.files["markdown"].read_text()
    for column in registry.get(name).measures:
        value = report.frame.loc[report.frame["column"] == "mse", column].item()
        scale = 100 if column == "test_accuracy" else 1
        assert f"{scale * value:.2f}" in text
    for picture in PICTURES[name]:
        assert f"]({picture}.png)" in text
        assert report.files[picture].with_suffix(".svg").is_file()
    for verdict in report.verdicts:
        assert verdict.sentence() in text
        first, second = (
            report.frame.loc[report.frame["column"] == cell[1], verdict.claim.value].item()
            for cell in (verdict.claim.first, verdict.claim.second)
        )
        assert verdict.difference.mean == pytest.approx(first - second, nan_ok=True)


@pytest.mark.slow
def test_nothing_is_trained_twice(reports):
    frames = [report.frame for report in reports[0].values()]
    runs = set(np.concatenate([frame["run"] for frame in frames]))
    assert len(runs) == len(table2.COLUMNS)
    times = {run: set() for run in runs}
    for frame in frames:
        for row in frame.itertuples():
            times[row.run].add(row.seconds)
    assert all(len(seconds) == 1 for seconds in times.values())


@pytest.mark.slow
def test_cells_that_failed_leave_the_others(reports, tmp_path):
    report, workspace = reports[0]["figure4"], reports[1]
    frame = report.frame.drop(columns=["logit_distance", "pre_logit_norm"])
    failed = frame["column"] == "mse"
    frame.loc[failed, "run"] = ""
    frame.loc[failed, "test_accuracy"] = np.nan
    measured, pictures = registry.get("figure4").study(frame, workspace)
    assert measured.loc[failed, "pre_logit_norm"].isna().all()
    assert measured.loc[~failed, "pre_logit_norm"].notna().all()
    assert "MSE" not in pictures[0].alt


@pytest.mark.slow
def test_failure_of_all_has_no_picture(reports, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "keras_logitkd.experiments.sweep.run_cell", lambda workspace, cell: Failure("no luck")
    )
    setup = dataclasses.replace(setups.SMOKE, seeds=(0,))
    report = reproduce.reproduce("figure2", setup, reports[1], tmp_path)
    assert set(report.files) == {"csv", "markdown"}
    assert {verdict.outcome for verdict in report.verdicts} == {"not run"}
