"""Jacobian matching: how the output changes with the input.

Srinivas & Fleuret, "Knowledge Transfer with Jacobian Matching", ICML 2018.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_connectable, check_same_maps
from keras_logitkd.features.labels import class_numbers
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.losses.base import check_choice

TARGETS = ("label", "teacher_argmax", "attention_max")


def jacobian_distance(teacher_gradient, student_gradient):
    """Squared distance of the directions of two gradients with respect to the input.

    Formula: ||g^s / ||g^s|| - g^t / ||g^t|| ||^2, in [0, 4], over everything but the batch. A
    zero gradient has no direction and counts as the zero vector. No gradient flows to the teacher.

    Args:
        teacher_gradient, student_gradient: Tensors of one shape, `(batch, ...)`.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_gradient, student_gradient)
    difference = arithmetic.directions(student) - arithmetic.directions(teacher)
    return ops.sum(ops.square(difference), axis=-1)


def peak_attention(teacher_features, student_features):
    """The attention of both networks where the teacher's is largest.

    The attention is the mean over the channels of the squared features. These values are what is
    differentiated in place of a logit when the Jacobian of an attention map is matched.

    Args:
        teacher_features, student_features: Tensors of shape `(batch, ..., C)`, `(batch, ..., C')`.

    Returns:
        The teacher's and the student's values, float32 tensors of shape `(batch,)`. Both carry
        gradients.
    """
    teacher, student = (
        arithmetic.flat(ops.mean(ops.square(arithmetic.as_float32(features)), axis=-1))
        for features in (teacher_features, student_features)
    )
    peak = ops.one_hot(ops.argmax(teacher, axis=-1), ops.shape(teacher)[-1])
    return ops.sum(peak * teacher, axis=-1), ops.sum(peak * student, axis=-1)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class JacobianMatching(FeatureMethod):
    """Jacobian matching: weight * `jacobian_distance`, beside distillation with alpha 0.1, tau 5.

    Both gradients are of one number an example with respect to the network's inputs, as they are
    fed, raw pixels in the lab: the logit of the label, or of the class that the teacher predicts,
    or the student's and the teacher's attention at the teacher's peak. The gradient of the sum over
    the batch stands for all examples at once. In training mode batch normalization lets examples
    act on each other, so that this is not exactly the gradient of each; `jac_training=False` takes
    the student's gradient in inference mode, by a second forward pass. An example with many
    places has no logit of its own, and many gradients; `"attention_max"` takes features instead.

    The paper has no code. The known one has the mean over the inputs instead of the sum, under
    which the term is next to nothing; the weight is our choice.

    Args:
        weight: Defaults to 1.0.
        target: `"label"`, `"teacher_argmax"` or `"attention_max"`. Defaults to `"label"`.
        taps: One tap with `"attention_max"`. Defaults to `"g3"` there.
        jac_training: Whether the student's gradient is in training mode. Defaults to True.
        **kwargs: As for `FeatureMethod`.

    Raises:
        ValueError: When the teacher is there, if a target other than `"attention_max"` meets logits
            of several places.
    """

    method = "jacobian"
    needs_gradient = True
    logit_loss = "kl:5"
    alpha = 0.1

    def __init__(self, weight=1.0, target="label", taps=(), jac_training=True, **kwargs):
        self.target = check_choice("target", target, TARGETS)
        is_attention = target == "attention_max"
        super().__init__(weight=weight, taps=taps or (("g3",) if is_attention else ()), **kwargs)
        wanted = "one tap with attention_max, and none without"
        check_connectable(self, wanted, len(self.taps) == is_attention, self.student_taps)
        self.jac_training = bool(jac_training)

    @property
    def needs_labels(self):
        return self.target == "label"

    @property
    def needs_softmax(self):
        return self.target != "attention_max"

    def prepare(self, teacher):
        if outputs := getattr(teacher, "outputs", None):
            self._check_logits(outputs[0])

    def build(self, student_shapes, teacher_shapes):
        check_same_maps(self, student_shapes, teacher_shapes)
        super().build(student_shapes, teacher_shapes)

    def score(self, role, logits, taps, batch):
        if self.target == "attention_max":
            is_teacher = role == "teacher"
            theirs = taps if is_teacher else self.teacher_features(batch)
            return peak_attention(theirs[0], taps[0])[0 if is_teacher else 1]
        self._check_logits(logits)
        if self.target == "label":
            label = class_numbers(batch.label, logits)
        else:
            label = ops.argmax(logits if role == "teacher" else batch.teacher_logits, axis=-1)
        chosen = ops.one_hot(ops.cast(label, "int32"), logits.shape[-1], dtype=logits.dtype)
        return ops.sum(chosen * logits, axis=-1)

    def loss(self, teacher, student, batch):
        gradients = batch.teacher_gradient, batch.student_gradient
        wanted = "inputs that both networks can be differentiated in, not numbers of tokens"
        holds = all(gradient is not None for gradient in gradients)
        check_connectable(self, wanted, holds, batch.inputs.dtype)
        return jacobian_distance(*gradients)

    def _check_logits(self, logits):
        wanted = (
            f"logits (batch, classes) with target={self.target}; for those of several places, take "
            "target=attention_max with a tap"
        )
        holds = self.target == "attention_max" or len(logits.shape) == 2
        check_connectable(self, wanted, holds, tuple(logits.shape))
