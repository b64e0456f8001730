import dataclasses

import pytest

from keras_logitkd.experiments import sweep
from keras_logitkd.experiments.cell_order import Failure
from keras_logitkd.runs.workspace import open_workspace

QUICK = {"epochs": 1, "batch_size": 16, "learning_rate": 0.05, "pad": 1, "validation": 0.2}


@pytest.fixture
def workspace(tiny_spec, tmp_path):
    """The tiny dataset with one short epoch."""
    return open_workspace(tiny_spec, str(tmp_path / "runs"), recipe_fields=QUICK, resume=True)


@dataclasses.dataclass
class Untrained:
    """Takes the place of `run_cell`: accuracies out of a table of labels, nothing is trained."""

    accuracies: dict = dataclasses.field(default_factory=dict)
    cells: list = dataclasses.field(default_factory=list)

    def __call__(self, workspace, cell):
        self.cells.append(cell)
        accuracy = self.accuracies.get(cell.label, 0.5 + 0.01 * len(self.cells))
        if isinstance(accuracy, Failure):
            return accuracy
        result = {"test_accuracy": accuracy, "seconds": 1.0, "train_accuracy": accuracy}
        if cell.teachers:
            result["teacher_test_accuracy"] = 0.9
        if cell.noise is not None:
            result |= {"train_clean_accuracy": accuracy, "memorisation": 1 - accuracy}
        return {"run": f"run-{len(self.cells)}", **result}


@pytest.fixture
def untrained(monkeypatch):
    """Has sweeps train nothing. Returns the `Untrained` that answers."""
    fake = Untrained()
    monkeypatch.setattr(sweep, "run_cell", fake)
    return fake
