"""Figure 6: accuracy against the temperature when a share of the training labels is wrong."""

from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.experiments import noise
from keras_logitkd.experiments.experiment import Experiment, claims_of

TITLE = "Figure 6: test accuracy with wrong training labels"


def entries(setup):
    """Returns the cells: for each rate the teacher and the student by every objective."""
    noises = [LabelNoise("symmetric", rate) for rate in setup.noise_rates]
    columns = ["ce", *(f"kl:{tau}" for tau in setup.noise_taus), "mse"]
    return noise.noise_entries(setup.student, (setup.taught(),), noises, columns, setup.seeds)


def claims(setup):
    """Returns what the paper says: small temperatures are best, logits carry the noise over."""
    small, large, found = "kl:0.5", "kl:20", []
    for rate in setup.noise_rates:
        row = LabelNoise("symmetric", rate).label
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
        found += claims_of(row, pairs, about=f"{100 * rate:g}% wrong labels")
    return found


def figure(frame, summary, setup):
    """Draws the accuracy against the temperature, a line for each rate."""
    return noise.draw(frame, summary, TITLE)


EXPERIMENT = Experiment(
    title=TITLE, entries=entries, claims=claims, measures=noise.MEASURES, figure=figure
)
