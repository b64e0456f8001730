"""Factor transfer: the student's translator meets the factors of the teacher's paraphraser.

Kim, Park & Kwak, "Paraphrasing Complex Network: Network Compression via Factor Transfer",
NeurIPS 2018.
"""

import keras
from keras import ops

from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_connectable, check_number, check_same_maps
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.features.stages import Stage
from keras_logitkd.losses.base import check_choice


def factor_loss(teacher_factor, student_factor, p=1):
    """Distance of the directions of two factors.

    Formula: mean over all entries of |u^s - u^t|^p with u the factor as one vector of length 1 an
    example. No gradient flows to the teacher.

    Args:
        teacher_factor, student_factor: Tensors of one shape, `(batch, ...)`.
        p: 1 or 2. Defaults to 1.

    Returns:
        A float32 tensor of shape `(batch,)`.

    Raises:
        ValueError: If `p` is neither 1 nor 2.
    """
    teacher, student = arithmetic.detached_pair(teacher_factor, student_factor)
    difference = arithmetic.directions(student) - arithmetic.directions(teacher)
    return ops.mean(_power(difference, p), axis=-1)


def reconstruction_loss(features, reconstruction, p=1):
    """Error of a paraphraser: mean over all entries of |reconstruction - features|^p.

    Shapes, `p`, result and errors are as for `factor_loss`.
    """
    features, reconstruction = arithmetic.detached_pair(features, reconstruction)
    return arithmetic.per_example(_power(reconstruction - features, p))


def _power(difference, p):
    if p not in (1, 2):
        raise ValueError(f"`p` must be 1 or 2. Received: p={p!r}")
    return ops.abs(difference) if p == 1 else ops.square(difference)


def factor_layers(method, channels, factors, name, rank=4, transposed=False):
    """Three 3x3 convolutions of a method, with bias and LeakyReLU(0.1), as a built `Sequential`.

    They lead from so many channels of the features to those of the factor or, transposed, back;
    `rank` is as for `FeatureMethod.conv`.
    """
    widths = [factors, channels, channels] if transposed else [channels, factors, factors]
    network = keras.Sequential(
        [keras.Input((*[None] * (rank - 2), factors if transposed else channels))], name=name
    )
    form = {"rank": rank, "use_bias": True, "transposed": transposed}
    for number, width in enumerate(widths, start=1):
        network.add(method.conv(width, 3, name=f"{name}_conv{number}", **form))
        network.add(keras.layers.LeakyReLU(0.1, dtype="float32", name=f"{name}_relu{number}"))
    return network


@keras.saving.register_keras_serializable(package="keras_logitkd")
class Paraphraser(FeatureMethod):
    """The first stage of factor transfer: an autoencoder of the teacher's features.

    Args:
        rate: Channels of the factor over those of the features. Defaults to 0.5.
        p: Of `reconstruction_loss`. Defaults to 1.
        **kwargs: As for `FeatureMethod`.
    """

    method = "ft_paraphraser"

    def __init__(self, taps=("g3_act",), rate=0.5, p=1, **kwargs):
        super().__init__(taps=taps, **kwargs)
        self.rate, self.p = rate, p

    @property
    def student_taps(self):
        return ()

    def build(self, student_shapes, teacher_shapes):
        check_same_maps(self, teacher_shapes, teacher_shapes)
        rank, channels = len(teacher_shapes[0]), teacher_shapes[0][-1]
        factors = round(self.rate * channels)
        self.encoder = factor_layers(self, channels, factors, "encoder", rank)
        self.decoder = factor_layers(self, channels, factors, "decoder", rank, transposed=True)
        super().build(student_shapes, teacher_shapes)

    def loss(self, teacher, student, batch):
        return reconstruction_loss(teacher[0], self.decoder(self.encoder(teacher[0])), self.p)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class FactorTransfer(FeatureMethod):
    """Factor transfer: first the teacher's paraphraser, then weight * `factor_loss`.

    First stage: encoder and decoder, three 3x3 convolutions each, learn to reconstruct the
    teacher's features; no labels, and no student. Second stage: the student learns by the hard loss
    and the distance of its translator's factor from the encoder's; the encoder stays as it is. The
    translator has the encoder's form and trains with the student.

    The first stage has a constant rate of 0.01 where the authors' code has 0.1 for 5 epochs.

    Args:
        weight: Defaults to 500.0.
        taps: One tap. Defaults to the last group after its ReLU.
        rate: Channels of the factor over those of the teacher's features. Defaults to 0.5.
        p: Of the distance in both stages, 1 or 2. Defaults to 1.
        init_epochs: Of the first stage. Defaults to 30.
        init_rate: Learning rate of the first stage. Defaults to 0.01.
        **kwargs: As for `FeatureMethod`.
    """

    method = "ft"

    def __init__(
        self,
        weight=500.0,
        taps=("g3_act",),
        rate=0.5,
        p=1,
        init_epochs=30,
        init_rate=0.01,
        **kwargs,
    ):
        super().__init__(weight=weight, taps=taps, **kwargs)
        check_connectable(self, "one tap", len(self.taps) == 1, self.student_taps)
        self.rate = check_number("rate", rate)
        self.p = check_choice("p", p, (1, 2))
        self.init_epochs = check_number("init_epochs", init_epochs, 1, whole=True)
        self.init_rate = check_number("init_rate", init_rate)
        shared = ("taps", "rate", "p", "teacher_bn", "weight_decay", "seed")
        self.paraphraser = Paraphraser(**{name: getattr(self, name) for name in shared})

    def build(self, student_shapes, teacher_shapes):
        (ours,), (theirs,) = student_shapes, teacher_shapes
        check_same_maps(self, student_shapes, teacher_shapes)
        factors = round(self.rate * theirs[-1])
        received = (tuple(ours), tuple(theirs), f"rate={self.rate:g}")
        check_connectable(self, "a factor with channels", factors >= 1, received)
        self.translator = factor_layers(self, ours[-1], factors, "translator", len(ours))
        super().build(student_shapes, teacher_shapes)
        if not self.paraphraser.built:
            self.paraphraser.build([], teacher_shapes)
        self.paraphraser.trainable = False

    def drawn_layers(self):
        return list(self.translator._flatten_layers())  # the paraphraser may be trained already

    def loss(self, teacher, student, batch):
        factor = self.paraphraser.encoder(teacher[0])
        return factor_loss(factor, self.translator(student[0]), self.p)

    def preparation(self):
        rate = self.init_rate
        return [Stage("paraphraser", None, 1.0, (self.paraphraser,), "aux", self.init_epochs, rate)]
