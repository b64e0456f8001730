"""Figure 2: histograms of the sums of the logits, of the teacher and of students by temperature."""

from keras_logitkd.analysis import picture
from keras_logitkd.experiments import representation
from keras_logitkd.experiments.representation import ACCURACY, HEADINGS, SHIFT
from keras_logitkd.experiments.statistics import Claim

TITLE = "Figure 2: sums of the logits by objective"
PAPER = {}
NOTE = representation.NOTE
MEASURES = {SHIFT: HEADINGS[SHIFT], **ACCURACY}
COLUMNS = ("kl:1", "kl:3", "kl:5", "kl:20", "kl:inf", "mse")


def entries(setup):
    """Returns the cells: KL by temperature, and MSE."""
    return representation.entries(setup, COLUMNS)


def claims(setup):
    """Returns what the paper says: a large temperature shifts the sums, MSE does not."""
    pairs = [
        ("KL at tau = inf shifts the sum more than MSE", "kl:inf", "mse"),
        ("KL at tau = 20 shifts the sum more than MSE", "kl:20", "mse"),
        ("KL at tau = inf shifts the sum more than at tau = 1", "kl:inf", "kl:1"),
    ]
    row = setup.student
    return [Claim(text, (row, first), (row, second), SHIFT) for text, first, second in pairs]


def study(frame, workspace):
    """Measures the networks and draws the sums, and their difference from the teacher's."""
    draw = [picture.logit_sums, picture.logit_sum_shift]
    return representation.study(frame, workspace, draw)
