"""Figure 5: pre-logits of three classes on the plane of their templates."""

from keras_logitkd.analysis import picture
from keras_logitkd.experiments import representation
from keras_logitkd.experiments.representation import ACCURACY, HEADINGS, SPREAD
from keras_logitkd.experiments.statistics import Claim

TITLE = "Figure 5: projections of the pre-logits by objective"
PAPER = {}
NOTE = f"{representation.NOTE} The classes are the first three, as in the paper."
MEASURES = {SPREAD: HEADINGS[SPREAD], **ACCURACY}
COLUMNS = ("ce", "kl:inf", "mse")


def entries(setup):
    """Returns the cells: hard labels, KL at tau = inf, and MSE."""
    return representation.entries(setup, COLUMNS)


def claims(setup):
    """Returns what the paper says: clusters by KL at tau = inf are wider than by MSE."""
    row = setup.student
    text = "Clusters by KL at tau = inf are wider than by MSE"
    return [Claim(text, (row, "kl:inf"), (row, "mse"), SPREAD)]


def study(frame, workspace):
    """Measures the networks and draws the projections."""
    return representation.study(frame, workspace, [picture.projections])
