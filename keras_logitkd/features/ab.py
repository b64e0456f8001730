"""Activation boundaries: which neurons are on, not how much.

Heo et al., "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons",
AAAI 2019.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_number
from keras_logitkd.features.connectors import Connectors
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.features.stages import Stage
from keras_logitkd.losses import LogitKL


def boundary_loss(teacher_features, student_features, margin=1.0):
    """Squared hinge that puts the student on the teacher's side of zero, by a margin m.

    Formula, over features before the activation, t the teacher's and s the student's:

        sum over positions and channels of max(0, s + m)^2 where t <= 0, max(0, m - s)^2 where t > 0

    It depends on the sign of t only, and is zero at s = t only where |t| >= m. No gradient flows
    to the teacher.

    Args:
        teacher_features, student_features: Tensors of one shape, `(batch, ...)`.
        margin: A float, at least 0. Defaults to 1.0.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    missing = ops.where(teacher > 0, margin - student, student + margin)
    return arithmetic.per_example(ops.square(ops.relu(missing)), ops.sum)


def boundary_agreement(teacher_features, student_features):
    """Share of neurons that are on the same side of zero in both networks.

    Args:
        teacher_features, student_features: Tensors of one shape, `(batch, ...)`, before the
            activation.

    Returns:
        A float32 tensor of shape `(batch,)`, in [0, 1].
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return arithmetic.per_example(arithmetic.as_float32((teacher > 0) == (student > 0)))


@keras.saving.register_keras_serializable(package="keras_logitkd")
class ActivationBoundaries(FeatureMethod):
    """Activation boundaries: a first stage without labels, then logits alone.

    First stage: the student up to its taps, and connectors, learn
    weight * sum over the taps of level weight * `boundary_loss`, with level weights 1/4, 1/2, 1.
    A connector is a 1x1 convolution without bias and batch normalization, and nothing where the
    channel counts are equal. Second stage: the connectors are gone, and the whole student learns by
    KL at temperature 3 without a factor, and not by the labels: the authors' code has its hard loss
    commented out. With another logit loss, as in `mse+ab`, the second stage is that one.

    The first stage has a constant learning rate; the second is the run's own, where the authors
    have drops by 0.2 after 30, 60 and 80% of it.

    Args:
        weight: Defaults to 0.003.
        taps: Defaults to the three groups before their ReLU.
        teacher_bn: Defaults to `"batch"`: in the authors' code the teacher is in training mode.
        margin: As for `boundary_loss`. Defaults to 1.0.
        init_epochs: Of the first stage. Defaults to 30.
        init_rate: Learning rate of the first stage. Defaults to 0.1.
        **kwargs: As for `FeatureMethod`.
    """

    method = "ab"
    alpha = 1.0

    def __init__(
        self,
        weight=0.003,
        taps=("g1_pre", "g2_pre", "g3_pre"),
        teacher_bn="batch",
        margin=1.0,
        init_epochs=30,
        init_rate=0.1,
        **kwargs,
    ):
        super().__init__(weight=weight, taps=taps, teacher_bn=teacher_bn, **kwargs)
        self.margin = check_number("margin", margin)
        self.init_epochs = check_number("init_epochs", init_epochs, 1, whole=True)
        self.init_rate = check_number("init_rate", init_rate)

    @property
    def logit_loss(self):
        """The loss of the second stage where none is asked for."""
        return LogitKL(3.0, scale="none")

    def build(self, student_shapes, teacher_shapes):
        self.connectors = Connectors(self, student_shapes, teacher_shapes, skip_equal=True)
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        connected = self.connectors(student, training=batch.training)
        terms = zip(self.connectors.levels, teacher, connected, strict=True)
        return sum(
            level * boundary_loss(theirs, ours, self.margin) for level, theirs, ours in terms
        )

    def preparation(self):
        rate = self.init_rate
        return [Stage("boundaries", None, 1.0, (self,), "taps", self.init_epochs, rate)]

    def main_stage(self, logit_loss, alpha, others=(), epochs=None):
        return self.stage_of(logit_loss, alpha, others, epochs)
