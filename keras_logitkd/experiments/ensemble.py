"""Section 4.3: MSE against the average of several teachers' logits."""

from keras_logitkd.experiments.experiment import Experiment, student_claims
from keras_logitkd.experiments.sweep import Entry

AVERAGE = "average"


def entries(setup):
    """Returns the cells: the student from each teacher alone and from all of them."""
    teachers = [(name, [setup.taught(name)]) for name in setup.ensemble]
    teachers.append((AVERAGE, [setup.taught(name) for name in setup.ensemble]))
    return [
        Entry(setup.student, column, setup.cell("mse", members, seed=seed))
        for column, members in teachers
        for seed in setup.seeds
    ]


def claims(setup):
    """Returns what the paper says: the average is better than each."""
    text = "The average is a better teacher than"
    return student_claims(setup, [(f"{text} {name}", AVERAGE, name) for name in setup.ensemble])


EXPERIMENT = Experiment(
    title="Ensemble: test accuracy by MSE from one teacher or from the average of several",
    entries=entries,
    claims=claims,
    paper={("wrn-16-2", AVERAGE): 75.60, ("wrn-16-2", "wrn-28-4"): 75.54},
)
