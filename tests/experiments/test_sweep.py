"""Sweeps on a tiny dataset: what is trained, what is found, and what the frame says."""

import dataclasses
import json
import math
import os
import pathlib
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import tiny_zoo

from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.experiments import sweep
from keras_logitkd.experiments.cell_order import Failure
from keras_logitkd.experiments.sweep import COLUMNS, RESULTS, Entry, run_sweep
from keras_logitkd.experiments.worker_pool import WorkerPool
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.workspace import Workspace, open_workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")

RECIPE = Recipe(epochs=1, batch_size=16, learning_rate=0.05, pad=1, validation=0.2)
BROKEN = RECIPE.replace(learning_rate=1e20)
TEACHER = Cell("resnet-8-1", recipe=RECIPE)
STUDENT = Cell("wrn-10-1", (TEACHER,), "mse", alpha=0.5, seed=1)
ENTRIES = [
    Entry("teacher", "ce", TEACHER),
    Entry("small", "mse", STUDENT),
    Entry("small", "ce", Cell("wrn-10-1", noise=LabelNoise("pair", 0.25))),
]
SICK = Cell("wrn-10-1", (TEACHER,), "kl:2", recipe=BROKEN)
FAILING = [
    Entry("sick", "kl:2", SICK),
    Entry("taught by the sick", "mse", Cell("wrn-10-1", (SICK,), "mse")),
]


def open_in(directory, spec):
    cache = LogitCache(str(directory / "logits"))
    fields = dataclasses.asdict(RECIPE)
    return open_workspace(
        spec, str(directory / "runs"), recipe_fields=fields, cache=cache, resume=True
    )


@pytest.fixture(scope="module")
def done(tiny_spec, tmp_path_factory):
    """A sweep that was run: its workspace, its frame, and what it reported."""
    workspace, reported = open_in(tmp_path_factory.mktemp("done"), tiny_spec), []
    with tiny_zoo.in_place():
        frame = run_sweep(
            ENTRIES + FAILING,
            workspace,
            report=lambda *args: reported.append((args, time.monotonic())),
        )
    return workspace, frame, [args for args, _ in reported]


def test_numbers_are_those_of_the_runs(done):
    workspace, frame, _ = done
    assert tuple(frame.columns) == COLUMNS
    assert len(list(pathlib.Path(workspace.runs_dir).glob("*/result.json"))) == len(ENTRIES)
    for entry, row in zip(ENTRIES, frame.itertuples(), strict=False):
        path = pathlib.Path(workspace.runs_dir, row.run)
        result = json.loads((path / "result.json").read_text())
        config = json.loads((path / "config.json").read_text())
        for name in RESULTS:
            value = getattr(row, name)
            assert value == result[name] if name in result else math.isnan(value), name
        assert (row.row, row.column, row.seed) == (entry.row, entry.column, entry.cell.seed)
        assert (row.model, row.seed, row.alpha) == tuple(
            config[name] for name in ("model", "seed", "alpha")
        )
        assert row.loss == (config["loss"] or "ce")
        assert row.epochs == config["recipe"]["epochs"] == 1
        assert row.teacher == ("resnet-8-1" if entry.cell.teachers else "")
        assert row.noise == ("pair 0.25" if entry.cell.noise else "")
        assert row.error == ""
    assert frame["memorisation"].notna().tolist() == [False, False, True, False, False]


def test_failed_cells_are_reported_and_the_others_finish(done):
    _, frame, reported = done
    sick, taught = frame.iloc[-2], frame.iloc[-1]
    assert sick["error"].startswith("FloatingPointError: The ")
    assert "Lower the learning rate" in sick["error"]
    assert taught["error"] == f"its teacher failed ({SICK.label}): {sick['error']}"
    assert frame[list(RESULTS)].iloc[-2:].isna().all(axis=None)
    assert frame["run"].tolist()[-2:] == ["", ""]
    assert [args[:2] for args in reported] == [(number, 5) for number in range(1, 6)]
    assert [args[2].label for args in reported if isinstance(args[3], Failure)] == [
        SICK.label,
        FAILING[1].cell.label,
    ]


def test_second_call_trains_nothing(done, monkeypatch):
    workspace, frame, _ = done
    before = files_of(workspace)
    monkeypatch.setattr(models, "build_network", _must_not)
    monkeypatch.setattr("keras_logitkd.runs.job.build_network", _must_not)
    again = run_sweep(ENTRIES, workspace)
    pd.testing.assert_frame_equal(again, frame[: len(ENTRIES)])
    assert files_of(workspace) == before


def _must_not(*args):
    raise AssertionError("a network was built")


def files_of(workspace):
    files = pathlib.Path(workspace.runs_dir).parent.rglob("*")
    return {file: file.stat().st_mtime_ns for file in files if file.is_file()}


@pytest.mark.slow
def test_killed_worker_loses_its_cell_only_and_the_next_sweep_completes(
    tiny_spec, tmp_path, monkeypatch
):
    """The cells of two processes, one of which is killed, end with the numbers of one process."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("queue.py").write_text("raise SystemExit('the file of a user')")
    workspace, pools = open_in(tmp_path, tiny_spec), []

    class Pool(WorkerPool):
        def __init__(self, *args):
            super().__init__(*args)
            pools.append(self)

    def kill_one():
        while not list(tmp_path.glob("runs/*wrn-10-1*/config.json")):
            if over.wait(0.01):
                return
        os.kill(pools[0]._all[-1].pid, signal.SIGKILL)

    monkeypatch.setattr(sweep, "WorkerPool", Pool)
    over = threading.Event()
    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        frame = run_sweep(ENTRIES, workspace, jobs=2)
    finally:
        over.set()
        killer.join()
    errors = frame["error"].tolist()
    assert sum(error != "" for error in errors) >= 1, errors
    (lost,) = {error for error in errors if "its process" in error and "its teacher" not in error}
    how = "signal SIGKILL (too little memory?)"
    assert lost == f"its process ended with {how}; see {pools[0].log_file}"
    assert pools[0].log_file.is_file()
    assert all(worker.poll() is not None for worker in pools[0]._all)

    completed = run_sweep(ENTRIES, workspace)
    expected = run_sweep(ENTRIES, open_in(tmp_path / "whole", tiny_spec))
    assert completed["error"].tolist() == [""] * len(ENTRIES)
    assert completed["run"].tolist() == expected["run"].tolist()
    for name in ("test_accuracy", "test_agreement", "teacher_test_accuracy", "memorisation"):
        np.testing.assert_allclose(completed[name], expected[name], atol=1e-6, err_msg=name)


def test_cells_that_are_one_run_are_run_once(workspace, untrained):
    """A teacher that says its recipe, and a student that leaves it open, are the same run."""
    teacher = Cell("wrn-10-1", recipe=workspace.recipe)
    entries = [
        Entry("a", "ce", Cell("wrn-10-1")),
        Entry("a", "alpha", Cell("wrn-10-1", alpha=0.5)),
        Entry("a", "mse", Cell("wrn-10-1", (teacher,), "mse")),
        Entry("b", "mse", Cell("wrn-10-1", (Cell("wrn-10-1"),), "mse")),
    ]
    names = {workspace.settings(entry.cell).default_name() for entry in entries[:2]}
    assert names == {workspace.settings(teacher).default_name()}
    frame = run_sweep(entries, workspace)
    assert len(untrained.cells) == 2
    assert frame["run"].tolist() == ["run-1", "run-1", "run-2", "run-2"]
    assert frame["epochs"].tolist() == [1, 1, 1, 1]


def test_columns_without_a_number_are_numbers_too(workspace, untrained):
    frame = run_sweep([Entry("a", "ce", Cell("wrn-10-1"))], workspace)
    assert frame[list(RESULTS)].dtypes.unique().tolist() == [np.dtype(float)]
    untrained.accuracies["wrn-10-1 ce seed 0"] = Failure("no luck")
    frame = run_sweep([Entry("a", "ce", Cell("wrn-10-1"))], workspace)
    assert frame[list(RESULTS)].dtypes.unique().tolist() == [np.dtype(float)]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "at least one cell. Received: none"),
        ([Cell("wrn-10-1")] * 2, "one cell for each row, column and seed. Received: 2 for r, c"),
        ([Cell("wrn-10-1", recipe=RECIPE.replace(examples=49))], r"3\.\.48.*examples=49"),
        ([Cell("wrn-10-1", (Cell("wrn-10-1", recipe=RECIPE.replace(examples=49)),), "mse")], "49"),
        ([Cell("wrn-10-1", recipe=RECIPE.replace(mean=(0.5,) * 3, std=(1.0,) * 3))], "1 channels"),
        ([Cell("wrn-10-1", noise=LabelNoise("matrix", matrix=((0, 1), (1, 0))))], "3 classes"),
        ([Cell("wrn-10-1", ("no.keras",), "mse")], "no.keras, which does not exist"),
        ([Cell("wrn-10-1", (TEACHER,), "kl:3@0,mse@1")], "number of epochs, 1. Received: .*mse@1"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    workspace, untrained, cells, message
):
    with pytest.raises(ValueError, match=message):
        run_sweep([Entry("r", "c", cell) for cell in cells], workspace)
    assert untrained.cells == []
    assert not pathlib.Path(workspace.runs_dir).exists()


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_out_of_range_are_refused(workspace, jobs):
    with pytest.raises(ValueError, match=f"`jobs` must be at least 1. Received: jobs={jobs}"):
        run_sweep([Entry("r", "c", Cell("wrn-10-1"))], workspace, jobs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg",), "vgg"),
        (("wrn-17-2",), "6n"),
        (("wrn-10-1", (), "mse"), "`loss` and `teachers` go together"),
        (("wrn-10-1", (TEACHER,)), "`loss` and `teachers` go together"),
        (("wrn-10-1", (TEACHER,), "l1"), "l1"),
        (("wrn-10-1", (TEACHER,), "kl:-1"), "`temperature`"),
        (("wrn-10-1", (TEACHER,), "mse@3,kl:3@0"), r"begin at epoch 0 and rise.*\[3, 0\]"),
    ],
)
def test_cell_of_an_unknown_model_or_loss_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Cell(*arguments)


def test_cell_round_trips_through_json():
    noise = LabelNoise("matrix", matrix=((0.5, 0.5), (0.0, 1.0)), seed=3)
    cell = Cell("wrn-10-1", (STUDENT, "a.keras"), "kl:inf", 0.3, 4, noise, 2, BROKEN)
    assert Cell.from_config(json.loads(json.dumps(cell.to_config()))) == cell
    assert (
        cell.label == "wrn-10-1 kl:inf (from wrn-10-1, a.keras) matrix 2x2 "
        f"{noise.label[-6:]} seed 4"
    )


def test_workspace_round_trips_from_another_directory(tiny_spec, tmp_path, monkeypatch):
    monkeypatch.chdir(pathlib.Path(tiny_spec.removeprefix("npz:")).parent)
    there = open_workspace(
        "npz:tiny.npz",
        "runs",
        data_dir="data",
        recipe_fields={"epochs": 3, "lr_drops": (0.5,), "examples": 30},
        seed=5,
        views=2,
        cache=LogitCache("logits", limit=10**6, dtype="float16"),
        resume=True,
        progress=print,
    )
    config, here = json.loads(json.dumps(there.to_config())), pathlib.Path.cwd()
    monkeypatch.chdir(tmp_path)
    opened = Workspace.from_config(config)
    assert opened.dataset.fingerprint() == there.dataset.fingerprint()
    assert opened.runs_dir == str(here / "runs")
    assert opened.data_dir == str(here / "data")
    assert opened.cache == dataclasses.replace(there.cache, directory=str(here / "logits"))
    assert opened.progress is None
    for name in ("recipe", "seed", "views", "resume"):
        assert getattr(opened, name) == getattr(there, name), name
    cell = Cell("wrn-10-1")
    monkeypatch.chdir(here)
    assert opened.settings(cell).default_name() == there.settings(cell).default_name()
