"""FitNets: a layer of the student gives a hint, a layer of the teacher.

Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015.
"""

import math

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import RANKS, check_connectable, check_number
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.features.softened import SoftenedLogits
from keras_logitkd.features.stages import Stage
from keras_logitkd.losses.base import check_choice

MODES = ("joint", "two_stage")


def hint_loss(teacher_features, student_features):
    """Mean squared error between the teacher's features and the student's regressed ones.

    Formula: mean over all positions and channels of (r(F^s) - F^t)^2. The paper has half the sum
    instead; the mean is what the well-known implementations weigh with 100. No gradient flows to
    the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`.
        student_features: The regressor's output, of the same shape.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return arithmetic.per_example(ops.square(student - teacher))


@keras.saving.register_keras_serializable(package="keras_logitkd")
class FitNets(FeatureMethod):
    """Hints: weight * `hint_loss` of the student's features, regressed to the teacher's shape.

    The regressor is a convolution with bias and, by default, batch normalization. Its kernel is
    1x1, or where the student's maps are larger as large as it takes without padding, as in the
    paper; between vectors it is a dense layer. `relu=True` ends it in a ReLU, which cannot reach
    the negative values of the default tap.

    `"joint"` is one stage, the hard loss and the hint, as in RepDistiller. `"two_stage"` is the
    paper's: first the student up to the tap learns the hint alone; then the whole student learns by
    the hard loss and lambda * KL at temperature 3 without a factor, lambda falling from 4 to 1 over
    the stage (in the paper from the 5th epoch to the 400th), and the regressor is gone. The first
    stage has the optimizer of the run at a constant `init_rate`; the paper has RMSprop in both.

    Args:
        weight: Defaults to 100.0.
        taps: One tap. Defaults to `"g2"`.
        mode: `"joint"` or `"two_stage"`. Defaults to `"joint"`.
        bn: Whether the regressor is normalized. Defaults to True.
        relu: Whether it ends in a ReLU. Defaults to False.
        init_epochs: Of the first stage. Defaults to 30.
        init_rate: Learning rate of the first stage. Defaults to 0.01.
        **kwargs: As for `FeatureMethod`.
    """

    method = "fitnets"

    def __init__(
        self,
        weight=100.0,
        taps=("g2",),
        mode="joint",
        bn=True,
        relu=False,
        init_epochs=30,
        init_rate=0.01,
        **kwargs,
    ):
        super().__init__(weight=weight, taps=taps, **kwargs)
        check_connectable(self, "one tap", len(self.taps) == 1, self.student_taps)
        self.mode = check_choice("mode", mode, MODES)
        self.bn, self.relu = bool(bn), bool(relu)
        self.init_epochs = check_number("init_epochs", init_epochs, 1, whole=True)
        self.init_rate = check_number("init_rate", init_rate)

    def build(self, student_shapes, teacher_shapes):
        (ours,), (theirs,) = student_shapes, teacher_shapes
        fits = len(ours) == len(theirs) in RANKS and None not in (ours[-1], theirs[-1])
        sides = [*zip(ours[1:-1], theirs[1:-1], strict=True)] if fits else []
        size = [1 if a == b else (a or 0) - (b or math.inf) + 1 for a, b in sides]
        wanted = "student maps at least as large as the teacher's, or vectors in both"
        received = (tuple(ours), tuple(theirs))
        check_connectable(self, wanted, fits and min(size, default=1) >= 1, received)
        form = {"rank": len(ours), "use_bias": True, "padding": "valid"}
        self.regressor = self.conv(theirs[-1], size, name="regressor", **form)
        self.regressor.build(ours)
        if self.bn:
            self.regressor_bn = self.norm(name="regressor_bn")
            self.regressor_bn.build(theirs)
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        features = self.regressor(student[0])
        if self.bn:
            features = self.regressor_bn(features, training=batch.training)
        return hint_loss(teacher[0], ops.relu(features) if self.relu else features)

    def preparation(self):
        if self.mode == "joint":
            return []
        rate = self.init_rate
        return [Stage("hint", None, 1.0, (self,), "taps", self.init_epochs, learning_rate=rate)]

    def main_stage(self, logit_loss, alpha, others=(), epochs=None):
        if self.mode == "joint":
            return super().main_stage(logit_loss, alpha, others, epochs)
        features = others
        if logit_loss is None:
            features = (SoftenedLogits(weight="4..1", temperature=3.0, scale="none"), *others)
        return self.stage_of(logit_loss, alpha, features, epochs)
