"""Table 3: logit matching beside other methods, of which only those on logits are there yet."""

from keras_logitkd.experiments.statistics import Claim
from keras_logitkd.experiments.sweep import Entry

TITLE = "Table 3: test accuracy by method"
SKD = "skd (alpha 0.1, tau 5)"
NOT_YET = ("fitnets", "at", "jacobian", "ft", "ab", "overhaul")
NOTE = f"Not yet available, and therefore missing: {', '.join(NOT_YET)}."
# Kim et al., IJCAI 2021, Table 3: CIFAR-100, one teacher wrn-28-4.
_PUBLISHED = {
    "wrn-16-2": (72.68, 73.53, 75.54),
    "wrn-16-4": (77.28, 78.31, 79.03),
    "wrn-28-2": (75.12, 76.57, 77.28),
}
PAPER = {
    (student, column): accuracy
    for student, row in _PUBLISHED.items()
    for column, accuracy in zip(("baseline", SKD, "mse"), row, strict=True)
}


def entries(setup):
    """Returns the cells: every student on hard labels, by Hinton's distillation, and by MSE."""
    teachers = [setup.taught()]

    def columns(student, seed):
        yield "baseline", setup.cell("ce", (), student, seed=seed)
        yield SKD, setup.cell("kl:5", teachers, student, seed=seed, alpha=0.1)
        yield "mse", setup.cell("mse", teachers, student, seed=seed)

    return [
        Entry(student, column, cell)
        for student in setup.students
        for seed in setup.seeds
        for column, cell in columns(student, seed)
    ]


def claims(setup):
    """Returns what the paper says of these columns."""
    return [
        Claim(f"{text} ({student})", (student, first), (student, second))
        for student in setup.students
        for text, first, second in [
            ("MSE is better than standard distillation", "mse", SKD),
            ("Standard distillation is better than hard labels", SKD, "baseline"),
        ]
    ]
