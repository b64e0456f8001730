"""Figure 4: densities of the logits' distance to the teacher's, and of the norm of pre-logits."""

from keras_logitkd.analysis import picture
from keras_logitkd.experiments import representation, table2
from keras_logitkd.experiments.representation import ACCURACY, DISTANCE, HEADINGS, NORM
from keras_logitkd.experiments.statistics import Claim

TITLE = "Figure 4: distance of the logits and norm of the pre-logits by objective"
PAPER = {}
NOTE = representation.NOTE
MEASURES = {DISTANCE: HEADINGS[DISTANCE], NORM: HEADINGS[NORM], **ACCURACY}


def entries(setup):
    """Returns the cells: hard labels, KL by temperature, and MSE."""
    return representation.entries(setup, table2.COLUMNS)


def claims(setup):
    """Returns what the paper says: MSE comes nearest to the teacher, KL lengthens pre-logits."""
    row = setup.student
    triples = [
        ("Logits by KL at tau = 1 are farther away than at tau = 20", "kl:1", "kl:20", DISTANCE),
        ("Logits by KL at tau = 20 are farther away than by MSE", "kl:20", "mse", DISTANCE),
        ("Logits by KL at tau = inf are farther away than by MSE", "kl:inf", "mse", DISTANCE),
        ("Pre-logits by KL at tau = inf are longer than by MSE", "kl:inf", "mse", NORM),
        ("Pre-logits by KL at tau = 20 are longer than by MSE", "kl:20", "mse", NORM),
        ("Pre-logits by KL at tau = inf are longer than at tau = 1", "kl:inf", "kl:1", NORM),
    ]
    return [Claim(text, (row, a), (row, b), value) for text, a, b, value in triples]


def study(frame, workspace):
    """Measures the networks and draws both densities."""
    draw = [picture.logit_distance, picture.pre_logit_norm]
    return representation.study(frame, workspace, draw)
