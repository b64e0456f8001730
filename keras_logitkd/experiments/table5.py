"""Table 5: a large task, on which the teacher does not fit the training set either."""

from keras_logitkd.experiments.statistics import Claim
from keras_logitkd.experiments.sweep import Entry

TITLE = "Table 5: test accuracy on a large task"
STANDARD = "kl standard"
# Kim et al., IJCAI 2021, Table 5: ImageNet; the first two are numbers of Heo et al. (2019).
PAPER = {
    ("resnet-50", "ce"): 76.28,
    ("resnet-50", STANDARD): 77.15,
    ("resnet-50", "kl:20"): 77.52,
    ("resnet-50", "mse"): 75.84,
}
NOTE = "Standard distillation is alpha = 0.1 and tau = 5; the paper took its number from others."


def entries(setup):
    """Returns the cells: one student by four objectives."""
    teachers = [setup.taught()]

    def columns(seed):
        yield "ce", setup.cell("ce", seed=seed)
        yield STANDARD, setup.cell("kl:5", teachers, seed=seed, alpha=0.1)
        yield "kl:20", setup.cell("kl:20", teachers, seed=seed)
        yield "mse", setup.cell("mse", teachers, seed=seed)

    return [
        Entry(setup.student, column, cell) for seed in setup.seeds for column, cell in columns(seed)
    ]


def claims(setup):
    """Returns what the paper says: KL at tau = 20 is best, MSE worst."""
    row = setup.student
    return [
        Claim(text, (row, first), (row, second))
        for text, first, second in [
            ("KL at tau = 20 is better than standard distillation", "kl:20", STANDARD),
            ("KL at tau = 20 is better than MSE", "kl:20", "mse"),
            ("Hard labels are better than MSE", "ce", "mse"),
        ]
    ]
