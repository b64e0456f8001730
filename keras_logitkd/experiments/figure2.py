"""Figure 2: histograms of the sums of the logits, of the teacher and of students by temperature."""

from keras_logitkd.analysis import picture
from keras_logitkd.experiments import representation

EXPERIMENT = representation.experiment(
    title="Figure 2: sums of the logits by objective",
    columns=("kl:1", "kl:3", "kl:5", "kl:20", "kl:inf", "mse"),
    measures=(representation.SHIFT,),
    # A large temperature shifts the sums, MSE does not.
    pairs=(
        ("KL at tau = inf shifts the sum more than MSE", "kl:inf", "mse"),
        ("KL at tau = 20 shifts the sum more than MSE", "kl:20", "mse"),
        ("KL at tau = inf shifts the sum more than at tau = 1", "kl:inf", "kl:1"),
    ),
    pictures=(picture.logit_sums, picture.logit_sum_shift),
)
