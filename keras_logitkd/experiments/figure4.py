"""Figure 4: densities of the logits' distance to the teacher's, and of the norm of pre-logits."""

from keras_logitkd.analysis import picture
from keras_logitkd.experiments import representation, table2
from keras_logitkd.experiments.representation import DISTANCE, NORM

EXPERIMENT = representation.experiment(
    title="Figure 4: distance of the logits and norm of the pre-logits by objective",
    columns=table2.COLUMNS,
    measures=(DISTANCE, NORM),
    # MSE comes nearest to the teacher, KL lengthens pre-logits.
    pairs=(
        ("Logits by KL at tau = 1 are farther away than at tau = 20", "kl:1", "kl:20", DISTANCE),
        ("Logits by KL at tau = 20 are farther away than by MSE", "kl:20", "mse", DISTANCE),
        ("Logits by KL at tau = inf are farther away than by MSE", "kl:inf", "mse", DISTANCE),
        ("Pre-logits by KL at tau = inf are longer than by MSE", "kl:inf", "mse", NORM),
        ("Pre-logits by KL at tau = 20 are longer than by MSE", "kl:20", "mse", NORM),
        ("Pre-logits by KL at tau = inf are longer than at tau = 1", "kl:inf", "kl:1", NORM),
    ),
    pictures=(picture.logit_distance, picture.pre_logit_norm),
)
