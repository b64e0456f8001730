"""The objective: what a student minimises, as it is written down and as it is trained.

    OBJECTIVE = TERM[+TERM...]        a logit loss, feature methods, or both

A logit loss is a term of `losses.registry`, or such terms with their first epochs. A term is
written as `losses.grammar` says: `at`, `at:weight=500`, `mse+at`, `kl:3@0,mse@100`, `kl:8..2@20`,
`fitnets:taps=conv_3:group2_out/g3,weight=0..100@5`. Without a logit loss a method has the one that
it was published with, or none. Names are known without Keras.
"""

import dataclasses
import math
import re

from keras_logitkd.features.registry import METHODS, get
from keras_logitkd.features.stages import Stage
from keras_logitkd.losses import grammar, registry
from keras_logitkd.losses.schedules import Schedule

HARD = "ce"  # the text of hard labels where objectives stand side by side


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a student minimises. Made by `parse`.

    Attributes:
        text: as it was written; `"ce"` where it is hard labels alone.
        logit_loss: the term of the logit loss, or None.
        methods: tuple of the terms of feature methods.
        alpha: weight of the logit loss, in [0, 1]: (1 - alpha) * hard + alpha * logit loss +
            features; a number, or the text of a schedule.
    """

    text: str
    logit_loss: str | None = None
    methods: tuple[str, ...] = ()
    alpha: float | str = 1.0

    @classmethod
    def parse(cls, text, alpha=1.0):
        """Returns the objective of a text, or that of hard labels for None.

        Only names are checked, see `check`.

        Raises:
            ValueError: If a term is neither a logit loss nor a method, or there are two logit
                losses.
        """
        if text is None:
            return cls(HARD, alpha=alpha)
        found = {"loss": [], "method": []}
        for term in re.split(r"\+(?=[a-zA-Z])", text):
            name = grammar.name_of(term)
            if name not in METHODS and name not in registry.LOSSES:
                raise ValueError(
                    f"`loss` must be made of {', '.join([*registry.LOSSES, *METHODS])}, such as "
                    "mse, kl:3, at or mse+at:weight=500. "
                    f"Received: {text!r}{grammar.hint(name, METHODS)}"
                )
            found["method" if name in METHODS else "loss"].append(term)
        if len(found["loss"]) > 1:
            raise ValueError(f"`loss` may have one logit loss. Received: {text!r}")
        return cls(text, next(iter(found["loss"]), None), tuple(found["method"]), alpha)

    @property
    def name(self):
        """The text with alpha, where that is not 1."""
        is_weighed = self.logit_loss is not None and self.alpha != 1
        return f"{self.text}+a{alpha_text(self.alpha)}" if is_weighed else self.text

    @property
    def stages(self):
        """The (term, first epoch) pairs of a logit loss that changes over the epochs, or ()."""
        return tuple(registry.stages_in(self.logit_loss or ""))

    @property
    def temperature(self):
        """Of the logit loss, in [0, inf]; None where it has none, changes or moves."""
        return None if self.stages else registry.temperature_of(self.logit_loss or "")

    @property
    def argument(self):
        """What is written after the name of a logit loss alone: `"3"` of kl:3; None without."""
        if self.methods or self.logit_loss is None or self.stages or self.alpha != 1:
            return None
        argument, options = grammar.split_argument(self.logit_loss)
        return None if options else argument

    @property
    def label(self):
        """What readers call it: kl:3 is KL at τ = 3, in two lines; most keep their name."""
        if self.text == HARD:
            return "hard labels\n(CE)"
        row, argument = registry.LOSSES.get(grammar.name_of(self.text)), self.argument
        if argument is not None:
            tau = self.temperature
            value = argument if tau is None else "∞" if tau == math.inf else f"{tau:g}"
            kind = "τ" if row.is_softened else row.argument
            return f"{grammar.name_of(self.text).upper()}\n{kind} = {value}"
        return self.name.upper() if self.is_plain else self.name

    @property
    def order(self):
        """A key to sort by: hard labels, losses by temperature, those without, everything else."""
        if self.argument is not None:
            moving = registry.schedule_in(self.logit_loss)
            start = self.temperature if moving is None else Schedule.read("tau", moving).first
            return 1, start or 0.0, self.name
        rank = 0 if self.text == HARD else 2 if self.is_plain else 3
        return rank, 0.0, self.name

    @property
    def is_plain(self):
        """Whether it is a loss alone that takes no argument, such as mse."""
        row = registry.LOSSES.get(self.name)
        return row is not None and not row.argument

    @property
    def searched(self):
        """The options that a search may choose: alpha, and a temperature that is not written."""
        row = registry.LOSSES.get(self.text)
        tau = ("temperature",) if row is not None and row.is_softened else ()
        return (*tau, *(("alpha",) if self.logit_loss is not None else ()))

    def needs(self, what):
        """Whether some stage needs `"teacher"`, alive, `"labels"` or `"indices"`."""
        return any(getattr(stage, f"needs_{what}") for stage in self.training())

    def check(self):
        """Raises ValueError where `training` would, or there is no such logit loss or option."""
        if self.logit_loss is not None:
            registry.get(self.logit_loss)
        read_alpha(self.alpha)
        self.training()

    def check_epochs(self, epochs):
        """Raises ValueError where a stage of the logit loss begins after the last of `epochs`."""
        last = max((start for _, start in self.stages), default=0)
        if last >= epochs:
            raise ValueError(
                f"Every stage must begin below the number of epochs, {epochs}. "
                f"Received: a stage that begins at epoch {last} in {self.text}"
            )

    def training(self, epochs=None, **defaults):
        """Returns the stages that train it, a list of `Stage`, the main one last.

        Args:
            epochs: of the main stage. Defaults to None: not known yet.
            **defaults: options of the methods that the text does not give.

        Raises:
            ValueError: If an option is not known, `alpha` weighs nothing, two methods have stages
                of their own, or two bring logit losses.
        """
        methods = [get(each, **defaults) for each in self.methods]
        loss, alpha = self.logit_loss, self.alpha
        if epochs is not None:
            loss = loss and registry.over(loss, epochs)
            alpha = Schedule.read("alpha", alpha).over(epochs).text
        if not methods:
            return [Stage("main", loss, alpha, epochs=epochs)]
        if loss is None:
            if alpha != 1:
                raise ValueError(
                    f"`alpha` weighs a logit loss, and {self.text} names none: write "
                    f"mse+{self.text} or kl:4+{self.text}. Received: alpha={alpha_text(alpha)}"
                )
            loss, alpha = _own_logit_loss(methods)
        names = [method.name for method in methods]
        if len(set(names)) < len(names):
            raise ValueError(f"`loss` may name a method once. Received: {self.text}")
        staged = [method for method in methods if method.preparation()]
        if len(staged) > 1:
            both = " and ".join(method.name for method in staged)
            raise ValueError(f"`loss` may have one method with stages. Received: {both}")
        leader = (staged or methods)[0]
        others = tuple(method for method in methods if method is not leader)
        return [*leader.preparation(), leader.main_stage(loss, alpha, others, epochs)]


def read_alpha(alpha):
    """Returns the `Schedule` of an alpha; ValueError where it does not stay in [0, 1]."""
    return Schedule.read("alpha", alpha, "a number in [0, 1]", lambda end: 0 <= end <= 1)


def alpha_text(alpha):
    """Returns an alpha in short, a number or the text of a schedule."""
    return alpha if isinstance(alpha, str) else f"{alpha:g}"


def of_column(text):
    """Returns the objective that a column or a run is called by, or None where it is no loss."""
    try:
        return Objective.parse(None if text == HARD else text)
    except ValueError:
        return None


def order_of(column):
    """Returns the key to sort a column by; what is no loss comes last."""
    found = of_column(column)
    return found.order if found else (3, 0.0, column)


def _own_logit_loss(methods):
    """The logit loss and its weight that methods are published with."""
    own = [method for method in methods if method.logit_loss is not None]
    if len(own) > 1:
        both = " and ".join(method.name for method in own)
        raise ValueError(
            f"{both} come with different logit losses: name the one to use, as in mse+{own[0].name}"
        )
    return (own[0].logit_loss, own[0].alpha) if own else (None, 0.0)
