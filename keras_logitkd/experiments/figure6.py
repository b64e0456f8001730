"""Figure 6: accuracy against the temperature when a share of the training labels is wrong."""

from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.experiments.statistics import Claim
from keras_logitkd.experiments.sweep import Entry

TITLE = "Figure 6: test accuracy with wrong training labels"
TEACHER = "teacher"
PAPER = {}


def entries(setup):
    """Returns the cells: for each rate the teacher and the student by every objective."""
    cells = []
    for rate in setup.noise_rates:
        noise = LabelNoise("symmetric", rate)
        cells += noisy_entries(setup, noise, ["ce", *_losses(setup), "mse"])
    return cells


def noisy_entries(setup, noise, columns):
    """Returns the cells of one noise: a teacher on the noisy labels, and students by each loss."""
    teacher = setup.taught(noise=noise)
    cells = [] if isinstance(teacher, str) else [Entry(noise.label, TEACHER, teacher)]
    return cells + [
        Entry(noise.label, column, setup.cell(column, [teacher], noise=noise, seed=seed))
        for column in columns
        for seed in setup.seeds
    ]


def claims(setup):
    """Returns what the paper says: small temperatures are best, logits carry the noise over."""
    small, large = "kl:0.5", "kl:20"
    found = []
    for rate in setup.noise_rates:
        row, percent = LabelNoise("symmetric", rate).label, f"{100 * rate:g}% wrong labels"
        pairs = [
            ("KL at tau = 0.5 is better than hard labels", small, "ce"),
            ("KL at tau = 0.5 is better than at tau = 20", small, large),
            ("KL at tau = 0.5 is better than MSE", small, "mse"),
        ]
        if rate < 0.5:
            pairs.append(("MSE is better than hard labels", "mse", "ce"))
            pairs.append(("KL at tau = inf is better than hard labels", "kl:inf", "ce"))
        else:
            pairs.append(("Hard labels are better than MSE", "ce", "mse"))
            pairs.append(("Hard labels are better than KL at tau = inf", "ce", "kl:inf"))
        found += [Claim(f"{text} ({percent})", (row, a), (row, b)) for text, a, b in pairs]
    return found


def figure(frame, summary, setup):
    """Draws the accuracy against the temperature, a line for each rate."""
    return None


def _losses(setup):
    return [f"kl:{tau}" for tau in setup.noise_taus]
