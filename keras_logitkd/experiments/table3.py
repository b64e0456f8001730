"""Table 3: matching logits beside matching features, boundaries, attention and gradients."""

import functools

from keras_logitkd.experiments.experiment import Experiment, claims_of, grid, published
from keras_logitkd.experiments.table_report import TEST_ACCURACY

SKD = "skd (alpha 0.1, tau 5)"
FEATURE_METHODS = ("fitnets", "at", "jacobian", "ft", "ab", "overhaul")
COLUMNS = ("baseline", SKD, *FEATURE_METHODS, "mse")
_IN_STAGES = ("ft", "ab")  # Their first stage has epochs of its own.
_NOTE = (
    "The feature methods have the weights, taps and stages of docs/methods.md, which are our "
    "settings: those of the published FitNets, AT, Jacobian, FT and AB columns are not known. They "
    "see the teacher in every step, the others its stored logits; the epochs of a first stage come "
    "on top. *Held* says that MSE is better. In the paper, only the columns overhaul and mse were "
    "run by its authors, the others are quoted from Heo et al. (ICCV 2019), who had another "
    "teacher; Heo's own numbers for overhaul are 75.92, 79.11 and 78.02, and MSE is below each."
)
# Kim et al., IJCAI 2021, Table 3: CIFAR-100, one teacher wrn-28-4.
_PAPER = {
    "wrn-16-2": (72.68, 73.53, 73.70, 73.44, 73.29, 74.09, 73.98, 75.59, 75.54),
    "wrn-16-4": (77.28, 78.31, 78.15, 77.93, 77.82, 78.28, 78.64, 78.20, 79.03),
    "wrn-28-2": (75.12, 76.57, 76.06, 76.20, 76.30, 76.59, 76.81, 76.71, 77.28),
}


def entries(setup):
    """Returns the cells: every student by every method."""
    return grid(students(setup), COLUMNS, setup.seeds, functools.partial(_cell, setup))


def claims(setup):
    """Returns what the paper says: MSE is as good as every other method or better."""
    pairs = [("Standard distillation is better than hard labels", SKD, "baseline")]
    pairs += [(f"MSE equals or beats {column}", "mse", column) for column in COLUMNS[:-1]]
    return [
        claim for student in students(setup) for claim in claims_of(student, pairs, about=student)
    ]


def students(setup):
    """Returns the students of this table, the first three of the setup."""
    return setup.students[: len(_PAPER)]


def _cell(setup, student, column, seed):
    teachers = [setup.taught()]
    if column == "baseline":
        return setup.cell("ce", (), student, seed=seed)
    if column == SKD:
        return setup.cell("kl:5", teachers, student, seed=seed, alpha=0.1)
    loss = column
    if column in _IN_STAGES and setup.init_epochs is not None:
        loss = f"{column}:init_epochs={setup.init_epochs}"
    return setup.cell(loss, teachers, student, seed=seed)


EXPERIMENT = Experiment(
    title="Table 3: test accuracy by method",
    entries=entries,
    claims=claims,
    paper=published(COLUMNS, _PAPER),
    note=_NOTE,
    measures={**TEST_ACCURACY, "seconds": "Seconds of training, validation and stored logits"},
)
