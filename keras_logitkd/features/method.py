"""What every feature method has: taps, a weight, auxiliary layers, and stages."""

import math

import keras

from keras_logitkd.features.checks import check_number
from keras_logitkd.features.stages import Stage
from keras_logitkd.losses.base import check_choice
from keras_logitkd.losses.grammar import options_of
from keras_logitkd.losses.schedules import Schedule
from keras_logitkd.networks.layers import FusedBatchNormalization, draw_initial_values

STATISTICS = ("moving", "batch")


class FeatureMethod(keras.layers.Layer):
    """Base of the feature methods: a term that a `Distiller` adds to its loss.

    A subclass defines `loss`, and `build` if it has auxiliary layers. These train with the student,
    are checkpointed with it, and are no part of it. Class attributes say what it needs:

    - `needs_teacher`: whether the live teacher must run beside the student. Where there are teacher
      taps it must; a method on logits alone may set it to False.
    - `needs_labels`, `needs_indices`: whether the targets must have labels, or the index of each
      example, as `{"label": ..., "index": ...}`
    - `needs_gradient`: whether `loss` needs the networks' gradient with respect to the inputs, see
      `score`; that of the student in training mode where `jac_training` is True
    - `needs_softmax`: whether the logits must be those of a softmax, so that it makes no sense for
      logits that stand for themselves
    - `takes_weights`: whether a `loss` that is a scalar counts the batch's mask and weights; values
      of examples or places are weighed for it
    - `logit_loss`, `alpha`: the logit loss that goes with the method where none is asked for, and
      its weight: `(1 - alpha) * hard + alpha * logit_loss`. Defaults to `(None, 0.0)`: the hard
      loss alone.

    Args:
        weight: A number, or a schedule such as `"0..1@20"`, see `losses.schedules.Schedule`.
        taps: Names of taps, see `features.taps`; a pair is one of the student and one of the
            teacher, also written `"student:teacher"`.
        teacher_bn: `"moving"`, or `"batch"`: the teacher normalises by the moments of each batch,
            and its moving statistics stay as they are. Defaults to `"moving"`.
        weight_decay: L2 on the kernels of the auxiliary layers, whose gradient is `weight_decay`
            times the kernel. Defaults to 0.0.
        seed: Of the auxiliary layers' initial values. Defaults to None: drawn by chance.
        name: Of the term in the logs. Defaults to the method's name.
    """

    method = None
    needs_teacher = True
    needs_labels = False
    needs_indices = False
    needs_gradient = False
    jac_training = True
    needs_softmax = False
    takes_weights = False
    logit_loss = None
    alpha = 0.0

    def __init__(
        self, weight=1.0, taps=(), teacher_bn="moving", weight_decay=0.0, seed=None, name=None
    ):
        # Inputs arrive as float32, whatever the global policy is.
        super().__init__(name=name or self.method, dtype="float32", autocast=False)
        self.schedule = Schedule.read(
            "weight", weight, "finite and at least 0", lambda end: 0 <= end < math.inf
        )
        self.taps = tuple(_pair(tap) for tap in ((taps,) if isinstance(taps, str) else taps))
        self.teacher_bn = check_choice("teacher_bn", teacher_bn, STATISTICS)
        self.weight_decay = check_number("weight_decay", weight_decay)
        self.seed = None if seed is None else check_number("seed", seed, whole=True)
        first = keras.initializers.Constant(self.schedule.first)
        self.weight = self.add_weight((), first, trainable=False, name="weight")

    @property
    def student_taps(self):
        """Names of the student's taps, in the order in which `loss` gets them."""
        return tuple(student for student, _ in self.taps)

    @property
    def teacher_taps(self):
        """Names of the teacher's taps, in the order in which `loss` gets them."""
        return tuple(teacher for _, teacher in self.taps)

    def set_epoch(self, epoch, epochs=None):
        """Sets the weight of an epoch, counted from 0, of so many."""
        if not self.by_steps:
            self.weight.assign(self.schedule.at(epoch, epochs))

    @property
    def by_steps(self):
        """Whether the weight goes by updates of the optimizer."""
        return self.schedule.by_steps

    def set_steps(self, steps):
        """Sets the weight after so many updates of the optimizer, where it goes by these."""
        if self.by_steps:
            self.weight.assign(self.schedule.at(steps))

    def build(self, student_shapes, teacher_shapes):
        """Makes the auxiliary layers. A subclass calls this at the end.

        Args:
            student_shapes: List of the shapes of the student's taps, each with the batch first.
            teacher_shapes: The same of the teacher.

        Raises:
            ValueError: If features of these shapes cannot be connected.
        """
        if self.seed is not None:
            draw_initial_values(self.drawn_layers(), self.seed)

    def auxiliary_layers(self):
        """Returns the auxiliary layers that have variables of their own, a list."""
        layers = self._flatten_layers(include_self=False)
        return [layer for layer in layers if layer.variables and not layer._layers]

    def drawn_layers(self):
        """Returns the layers whose initial values `build` draws, a list."""
        return list(self._flatten_layers(include_self=False))

    def prepare(self, teacher):
        """Takes constants from the teacher, a `keras.Model`, before anything is built."""

    def loss(self, teacher, student, batch):
        """Returns the term of a batch.

        Args:
            student: List of the student's taps, float32 tensors.
            teacher: List of the teacher's taps; no gradient flows into them.
            batch: A `Batch` with the inputs, labels, indices, and the logits of both networks.

        Returns:
            A tensor of shape `(batch,)`, or of the places of the logits, `(batch, ...)`, whose mean
            over those that count is the term; or a scalar where the examples cannot be told apart,
            see `takes_weights`.
        """
        raise NotImplementedError

    def score(self, role, logits, taps, batch):
        """Returns what the gradient in `batch` is of, a tensor of shape `(batch,)`.

        Args:
            role: `"teacher"` or `"student"`: whose logits and taps these are.
            logits: Tensor of shape `(batch, ..., classes)` of the student or of the teacher.
            taps: List of that network's taps.
            batch: The `Batch`; it has the teacher's logits and taps when the student is asked.
        """
        raise NotImplementedError

    def stages(self, epochs=None):
        """Returns the stages of a training with this method alone, a list of `Stage`.

        Args:
            epochs: Of the last stage. Defaults to None: as many as `fit` is told.
        """
        return [*self.preparation(), self.main_stage(self.logit_loss, self.alpha, epochs=epochs)]

    def preparation(self):
        """Returns the stages before the main one. Defaults to none."""
        return []

    def main_stage(self, logit_loss, alpha, others=(), epochs=None):
        """Returns the `Stage` in which the whole student learns, by `others` beside this method."""
        return self.stage_of(logit_loss, alpha, (self, *others), epochs)

    def stage_of(self, logit_loss, alpha, features, epochs):
        """Returns a main stage, with weights that go over its epochs where these are known."""
        for method in features if epochs is not None else ():
            method.schedule = method.schedule.over(epochs)
        return Stage("main", logit_loss, alpha, tuple(features), epochs=epochs)

    def teacher_features(self, batch):
        """Returns the teacher's taps in a batch, a list without gradients."""
        taps = batch.teacher_taps[self.teacher_bn] if self.teacher_taps else {}
        return [keras.ops.stop_gradient(taps[name]) for name in self.teacher_taps]

    def conv(
        self,
        filters,
        kernel_size=1,
        *,
        name,
        rank=4,
        use_bias=False,
        initializer="he_normal",
        padding="same",
        transposed=False,
    ):
        """Returns an auxiliary convolution, in float32 and with the method's L2.

        It is over features of so many axes, batch and channels among them: 4 for maps of two
        dimensions. For 2, vectors without positions, it is a dense layer.
        """
        form = {
            "use_bias": use_bias,
            "kernel_initializer": initializer,
            "kernel_regularizer": self.regularizer(),
            "dtype": "float32",
            "name": f"{self.name}_{name}",
        }
        if rank == 2:
            return keras.layers.Dense(filters, **form)
        kind = getattr(keras.layers, f"Conv{rank - 2}D{'Transpose' if transposed else ''}")
        return kind(filters, kernel_size, padding=padding, data_format="channels_last", **form)

    def norm(self, *, name):
        """Returns an auxiliary batch normalization, in float32 and with PyTorch's constants."""
        return FusedBatchNormalization(
            momentum=0.9, epsilon=1e-5, dtype="float32", name=f"{self.name}_{name}"
        )

    def regularizer(self):
        """Returns the L2 of an auxiliary kernel, or None."""
        return keras.regularizers.L2(self.weight_decay / 2) if self.weight_decay else None

    def get_config(self):
        """Returns the options; those of a subclass are its attributes of the same names."""
        config = {
            "weight": self.schedule.text,
            "taps": [list(pair) for pair in self.taps],
            "teacher_bn": self.teacher_bn,
            "weight_decay": self.weight_decay,
            "seed": self.seed,
            "name": self.name,
        }
        own = [name for name in options_of(type(self)) if name not in config]
        return config | {name: getattr(self, name) for name in own if hasattr(self, name)}


def _pair(tap):
    """The student's and the teacher's tap that `"name"`, `"student:teacher"` or a pair means."""
    pair = tap.split(":") if isinstance(tap, str) else tap
    names = tuple(pair) if isinstance(pair, list | tuple) else ()
    if len(names) not in (1, 2) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"`taps` must be names, or pairs of a student's and a teacher's. Received: {tap!r}"
        )
    return names[0], names[-1]
