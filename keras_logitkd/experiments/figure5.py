"""Figure 5: pre-logits of three classes on the plane of their templates."""

from keras_logitkd.analysis import picture
from keras_logitkd.experiments import representation

EXPERIMENT = representation.experiment(
    title="Figure 5: projections of the pre-logits by objective",
    columns=("ce", "kl:inf", "mse"),
    measures=(representation.SPREAD,),
    pairs=(("Clusters by KL at tau = inf are wider than by MSE", "kl:inf", "mse"),),
    pictures=(picture.projections,),
    note="The classes are the first three, as in the paper.",
)
