"""Table 6: chains of teachers, large to medium to small."""

from keras_logitkd.experiments.experiment import Experiment, published
from keras_logitkd.experiments.statistics import Claim
from keras_logitkd.experiments.sweep import Entry

FINAL = ("kl:3", "kl:20", "mse")
NONE, MEDIUM, LARGE = "no teacher", "medium", "large"
# Kim et al., IJCAI 2021, Table 6: CIFAR-100, wrn-28-4, wrn-16-4, wrn-16-2.
_PAPER = {
    MEDIUM: (74.84, 75.42, 75.58),
    LARGE: (74.24, 75.15, 75.54),
    "large, medium by kl:3": (74.52, 75.47, 75.78),
    "large, medium by mse": (74.83, 75.47, 75.48),
}


def entries(setup):
    """Returns the cells; the row says who taught the small network, the column by what."""
    large, cells = setup.taught(), []
    # The network in the middle is trained as long as when it learns from labels.
    recipe = setup.recipe.replace(epochs=setup.teacher_epochs)
    for seed in setup.seeds:
        cells.append(Entry(NONE, "ce", setup.cell("ce", seed=seed)))
        teachers = {MEDIUM: setup.taught(setup.medium), LARGE: large}
        for loss in ("kl:3", "mse"):
            link = setup.cell(loss, [large], setup.medium, seed=seed, recipe=recipe)
            teachers[f"large, medium by {loss}"] = link
        cells += [
            Entry(row, column, setup.cell(column, [teacher], seed=seed))
            for row, teacher in teachers.items()
            for column in FINAL
        ]
    return cells


def claims(setup):
    """Returns what the paper says: KL and then MSE is the best chain."""
    by_kl, by_mse = "large, medium by kl:3", "large, medium by mse"
    pairs = [
        ("KL and then MSE is better than MSE from the large one", (by_kl, "mse"), (LARGE, "mse")),
        ("KL and then MSE is better than MSE from the medium one", (by_kl, "mse"), (MEDIUM, "mse")),
        ("KL and then MSE is better than MSE twice", (by_kl, "mse"), (by_mse, "mse")),
        ("KL and then MSE is better than KL twice", (by_kl, "mse"), (by_kl, "kl:3")),
        ("KL from the medium one is better than KL twice", (MEDIUM, "kl:3"), (by_kl, "kl:3")),
        ("MSE from the medium one is better than MSE twice", (MEDIUM, "mse"), (by_mse, "mse")),
    ]
    return [Claim(*pair) for pair in pairs]


EXPERIMENT = Experiment(
    title="Table 6: test accuracy of the last student of a chain",
    entries=entries,
    claims=claims,
    paper={(NONE, "ce"): 72.68} | published(FINAL, _PAPER),
)
