"""Table 2: hard labels, KL at several temperatures and MSE, for several students of one teacher."""

from keras_logitkd.experiments.experiment import Experiment, claims_of, grid, published

COLUMNS = ("ce", "kl:1", "kl:3", "kl:5", "kl:20", "kl:inf", "mse")
# MSE is best, and large temperatures help KL.
_CLAIMS = (
    ("MSE is better than hard labels", "mse", "ce"),
    ("MSE is better than KL at tau = 1", "mse", "kl:1"),
    ("MSE is better than KL at tau = 3", "mse", "kl:3"),
    ("MSE is better than KL at tau = 20", "mse", "kl:20"),
    ("MSE is better than KL at tau = inf", "mse", "kl:inf"),
    ("KL at tau = 20 is better than at tau = 1", "kl:20", "kl:1"),
)
# Kim et al., IJCAI 2021, Table 2: CIFAR-100, one teacher wrn-28-4, alpha = 1.
_PAPER = {
    "wrn-16-2": (72.68, 72.90, 74.24, 74.88, 75.15, 75.51, 75.54),
    "wrn-16-4": (77.28, 76.93, 78.76, 78.65, 78.84, 78.61, 79.03),
    "wrn-28-2": (75.12, 74.88, 76.47, 76.60, 77.28, 76.86, 77.28),
    "wrn-28-4": (78.88, 78.01, 78.84, 79.36, 79.72, 79.61, 79.79),
    "wrn-40-6": (79.11, 79.69, 79.94, 79.87, 79.82, 79.80, 80.25),
}


def entries(setup):
    """Returns the cells: every student by every objective."""
    teachers = [setup.taught()]
    return grid(
        setup.students,
        COLUMNS,
        setup.seeds,
        lambda student, column, seed: setup.cell(column, teachers, student, seed=seed),
    )


def claims(setup):
    """Returns what the paper says: `_CLAIMS` of every student."""
    return [
        claim for student in setup.students for claim in claims_of(student, _CLAIMS, about=student)
    ]


EXPERIMENT = Experiment(
    title="Table 2: test accuracy by objective",
    entries=entries,
    claims=claims,
    paper=published(COLUMNS, _PAPER),
)
