"""Table 4: a poorly fitted teacher, stopped after a few epochs."""

import functools

from keras_logitkd.experiments.experiment import Experiment, grid, published, student_claims

COLUMNS = ("kl:0.1", "kl:0.5", "kl:1", "kl:5", "kl:20", "kl:inf", "mse")
# Matching labels is better than matching logits.
_CLAIMS = (
    ("KL at tau = 0.5 is better than at tau = 5", "kl:0.5", "kl:5"),
    ("KL at tau = 0.5 is better than at tau = 20", "kl:0.5", "kl:20"),
    ("KL at tau = 0.5 is better than MSE", "kl:0.5", "mse"),
    ("KL at tau = 0.1 is better than MSE", "kl:0.1", "mse"),
    ("KL at tau = inf is better than MSE, the worst", "kl:inf", "mse"),
)
# Kim et al., IJCAI 2021, Table 4: CIFAR-100; the teacher's training accuracy was 53.77%.
_PAPER = {"wrn-16-2": (51.64, 52.07, 51.36, 50.11, 49.69, 49.46, 49.20)}


def entries(setup):
    """Returns the cells: one student by every objective, from a teacher of few epochs."""
    teachers = [setup.taught(epochs=setup.poor_epochs)]
    return grid(
        [setup.student],
        COLUMNS,
        setup.seeds,
        lambda student, column, seed: setup.cell(column, teachers, seed=seed),
    )


EXPERIMENT = Experiment(
    title="Table 4: test accuracy under a poorly fitted teacher",
    entries=entries,
    claims=functools.partial(student_claims, pairs=_CLAIMS),
    paper=published(COLUMNS, _PAPER),
)
