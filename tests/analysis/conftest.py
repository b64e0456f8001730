import pytest
import tiny_zoo

from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.workspace import open_workspace


@pytest.fixture(scope="session")
def tiny_runs(tiny_spec, tmp_path_factory):
    """Names of finished runs by short names, and where they are; wrn-10-1 taught by resnet-8-1."""
    fields = {"epochs": 2, "batch_size": 20, "validation": 0.1, "learning_rate": 0.02}
    runs_dir = str(tmp_path_factory.mktemp("analysis") / "runs")
    workspace = open_workspace(tiny_spec, runs_dir, recipe_fields=fields)
    teacher = Cell("resnet-8-1")
    cells = {
        "ce": Cell("wrn-10-1"),
        "kl:inf": Cell("wrn-10-1", (teacher,), "kl:inf"),
        "mse": Cell("wrn-10-1", (teacher,), "mse"),
        "mse 1": Cell("wrn-10-1", (teacher,), "mse", seed=1),
        "other": Cell("wrn-10-1", (Cell("wrn-10-1", seed=2),), "mse"),
        "teacher": teacher,
    }
    with tiny_zoo.in_place():
        names = {key: workspace.run(cell).directory.name for key, cell in cells.items()}
    return names, runs_dir


@pytest.fixture
def opened(tiny_runs):
    """Opens runs by their short names."""
    names, runs_dir = tiny_runs
    return lambda *keys: [open_run(names[key], runs_dir) for key in keys]
