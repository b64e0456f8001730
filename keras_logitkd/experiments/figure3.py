"""Figure 3: accuracy over the weight alpha of the distillation loss and the temperature."""

from keras_logitkd.analysis import plots
from keras_logitkd.experiments.experiment import Experiment
from keras_logitkd.experiments.statistics import Claim
from keras_logitkd.experiments.sweep import Entry
from keras_logitkd.experiments.table_report import TEST_ACCURACY

TITLE = "Figure 3: test accuracy over alpha and tau"


def entries(setup):
    """Returns the cells: every alpha with every temperature."""
    teachers = [setup.taught()]
    return [
        Entry(_row(alpha), _column(tau), setup.cell(f"kl:{tau}", teachers, alpha=alpha, seed=seed))
        for alpha in setup.alphas
        for tau in setup.taus
        for seed in setup.seeds
    ]


def claims(setup):
    """Returns what the paper says: the accuracy rises with alpha and with tau."""
    low, high = _row(min(setup.alphas)), _row(max(setup.alphas))
    first, last = _column(setup.taus[0]), _column(setup.taus[-1])
    rising = [Claim(f"At {high} {last} is better than {first}", (high, last), (high, first))]
    return rising + [
        Claim(f"At {column} {high} is better than {low}", (high, column), (low, column))
        for column in map(_column, setup.taus)
    ]


def figure(frame, summary, setup):
    """Draws the heat map."""
    rows, columns = map(_row, setup.alphas), map(_column, setup.taus)
    grid = summary["mean"].unstack("column").loc[list(rows), list(columns)]
    grid.index, grid.columns = setup.alphas, [float(tau) for tau in setup.taus]
    return plots.heat_map(grid, TITLE)


def _row(alpha):
    return f"alpha = {alpha:g}"


def _column(tau):
    return f"tau = {tau}"


EXPERIMENT = Experiment(
    title=TITLE,
    entries=entries,
    claims=claims,
    measures=TEST_ACCURACY
    | {"train_accuracy": "Accuracy on the augmented training images of the last epoch (%)"},
    figure=figure,
)
