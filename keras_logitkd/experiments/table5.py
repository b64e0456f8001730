"""Table 5: a large task, on which the teacher does not fit the training set either."""

import functools

from keras_logitkd.experiments.experiment import Experiment, published, student_claims
from keras_logitkd.experiments.setups import IMAGENET
from keras_logitkd.experiments.sweep import Entry

STANDARD = "kl standard"
COLUMNS = ("ce", STANDARD, "kl:20", "mse")
# KL at tau = 20 is best, MSE worst.
_CLAIMS = (
    ("KL at tau = 20 is better than standard distillation", "kl:20", STANDARD),
    ("KL at tau = 20 is better than MSE", "kl:20", "mse"),
    ("Hard labels are better than MSE", "ce", "mse"),
)
# Kim et al., IJCAI 2021, Table 5: ImageNet; the first two are numbers of Heo et al. (2019).
_PAPER = {"resnet-50": (76.28, 77.15, 77.52, 75.84)}


def entries(setup):
    """Returns the cells: one student by four objectives."""
    return [
        Entry(setup.student, column, _cell(setup, column, seed))
        for seed in setup.seeds
        for column in COLUMNS
    ]


def _cell(setup, column, seed):
    loss, alpha = ("kl:5", 0.1) if column == STANDARD else (column, 1.0)
    return setup.cell(loss, [setup.taught()], seed=seed, alpha=alpha)


EXPERIMENT = Experiment(
    title="Table 5: test accuracy on a large task",
    entries=entries,
    claims=functools.partial(student_claims, pairs=_CLAIMS),
    paper=published(COLUMNS, _PAPER),
    note="Standard distillation is alpha = 0.1 and tau = 5; the paper took its number from others.",
    setups={"paper": IMAGENET},
)
