"""What a search chooses from: the loss, its temperature and alpha, as data."""

import contextlib
import dataclasses
import itertools
import math
import numbers

import numpy as np

from keras_logitkd.features import Objective
from keras_logitkd.losses import registry

_AXIS = "range"  # the choice of tau that is a point on the axis


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One point of a search space.

    Args:
        loss: an objective.
        tau: temperature in [0, inf] that was chosen for it, or None.
        alpha: weight of the distillation loss, in [0, 1].
    """

    loss: str
    tau: float | None
    alpha: float

    @property
    def objective(self):
        """The text of the objective."""
        return self.loss if self.tau is None else registry.with_argument(self.loss, self.tau)


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Losses, temperatures and alphas to search.

    tau and alpha are rounded to 4 digits, so that a value can be written down and used again.

    Args:
        losses: objectives, such as `"kl"`, `"mse"`, `"at"` or `"mse+at"`. Defaults to the first
            two.
        tau_range: (low, high) of the temperature of kl, or of another loss that has one and is
            named without it, a logarithmic axis with 0 < low < high < inf,
            or None. Defaults to (0.1, 30).
        tau_choices: temperatures in [0, inf] beside the axis, such as 0 and inf, which a
            logarithmic axis cannot hold. Defaults to none.
        alpha: a number in [0, 1], or (low, high): a linear axis. Defaults to 1.
        points: values that stand for an axis, evenly on it and with both ends. Defaults to None:
            continuous. A grid needs a number.

    Raises:
        ValueError: If one of them is out of range, or kl is left without a temperature.
    """

    losses: tuple[str, ...] = ("kl", "mse")
    tau_range: tuple[float, float] | None = (0.1, 30.0)
    tau_choices: tuple[float, ...] = ()
    alpha: float | tuple[float, float] = 1.0
    points: int | None = None

    def __post_init__(self):
        for name, allowed, holds in _BOUNDS:
            value = getattr(self, name)
            try:
                valid = holds(value)
            except TypeError:
                valid = False
            if not valid:
                raise ValueError(f"`{name}` must be {allowed}. Received: {name}={value!r}")
        if self._softened and self.tau_range is None and not self.tau_choices:
            raise ValueError(
                f"`tau_range` or `tau_choices` must give {self._softened[0]} a temperature. "
                f"Received: tau_range=None, tau_choices={self.tau_choices!r}"
            )

    def declare(self, hp):
        """Declares the space in a `keras_tuner.HyperParameters`.

        `"loss"` is a choice; `"tau"` exists only where it needs one, next to `"tau_choice"` where
        there are an axis and choices; `"alpha"` only if it is an axis.

        Returns:
            The `Candidate` that the values of `hp` are.
        """
        hp.Choice("loss", list(self.losses))
        if self._softened:
            with hp.conditional_scope("loss", self._softened):
                self._declare_tau(hp)
        if self._alpha_is_axis:
            if self.points is None:
                hp.Float("alpha", *map(float, self.alpha))
            else:
                hp.Choice("alpha", self._alphas())
        return self.read(hp.values)

    def read(self, values):
        """Returns the `Candidate` of a dict of hyperparameter values."""
        alpha = _rounded(values["alpha"]) if self._alpha_is_axis else float(self.alpha)
        loss = values["loss"]
        if loss not in self._softened:
            return Candidate(loss, None, alpha if _is_weighed(loss) else 1.0)
        choice = values.get("tau_choice", _AXIS)
        tau = values["tau"] if choice == _AXIS else choice
        return Candidate(loss, _rounded(tau), alpha)

    def combinations(self):
        """Returns every combination of a space with `points`, a list of dicts of values."""
        if self.points is None:
            raise ValueError("`points` must be a number for a grid. Received: points=None")
        alphas = [{"alpha": alpha} for alpha in self._alphas()] if self._alpha_is_axis else [{}]
        heads = []
        for loss in self.losses:
            taus = [{"tau": tau} for tau in self._taus()] if loss in self._softened else [{}]
            heads.extend({"loss": loss, **tau} for tau in taus)
        # Without a logit loss alpha does not count: one of them stands for all.
        weighed = [head for head in heads if _is_weighed(head["loss"])]
        others = [{**head, **alphas[0]} for head in heads if head not in weighed]
        return [{**head, **alpha} for head, alpha in itertools.product(weighed, alphas)] + others

    def to_config(self):
        """Returns the fields as JSON types; infinity is a string there."""
        alpha = [float(end) for end in self.alpha] if self._alpha_is_axis else float(self.alpha)
        return {
            "losses": list(self.losses),
            "tau_range": self.tau_range and [float(end) for end in self.tau_range],
            "tau_choices": [_text(tau) for tau in self.tau_choices],
            "alpha": alpha,
            "points": self.points,
        }

    @property
    def _softened(self):
        """The losses whose temperature is chosen."""
        return [loss for loss in self.losses if "temperature" in Objective.parse(loss).searched]

    @property
    def _alpha_is_axis(self):
        return not isinstance(self.alpha, numbers.Real)

    def _declare_tau(self, hp):
        if self.points is not None or self.tau_range is None:
            hp.Choice("tau", self._taus())
            return
        scope = contextlib.nullcontext()
        if self.tau_choices:
            hp.Choice("tau_choice", [_AXIS, *map(_text, self.tau_choices)])
            scope = hp.conditional_scope("tau_choice", [_AXIS])
        low, high = map(float, self.tau_range)
        usual = min(max(registry.LOSSES[self._softened[0]].default, low), high)
        with scope:
            hp.Float("tau", low, high, sampling="log", default=usual)

    def _taus(self):
        axis = [] if self.tau_range is None else np.geomspace(*self.tau_range, self.points)
        return [_text(tau) for tau in sorted({_rounded(tau) for tau in (*axis, *self.tau_choices)})]

    def _alphas(self):
        return [_text(alpha) for alpha in np.linspace(*self.alpha, self.points)]


def _rounded(value):
    """A number of 4 significant digits; grids hold theirs as text."""
    return float(f"{float(value):.4g}")


def _text(value):
    return f"{float(value):.4g}"


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_axis(ends, lowest, highest):
    return len(ends) == 2 and all(map(_is_number, ends)) and lowest <= ends[0] < ends[1] <= highest


def _is_alpha(alpha):
    return 0 <= alpha <= 1 if _is_number(alpha) else _is_axis(alpha, 0, 1)


_TINY, _HUGE = math.nextafter(0, 1), math.nextafter(math.inf, 0)


def _is_weighed(loss):
    return "alpha" in Objective.parse(loss).searched


def _is_known(loss):
    objective = Objective.parse(loss)
    objective.check()
    return not objective.stages


_BOUNDS = [
    (
        "losses",
        f"one or more of {tuple(sorted(registry.LOSSES))} and objectives with feature methods, "
        "each once",
        lambda losses: losses and all(map(_is_known, losses)) and len(set(losses)) == len(losses),
    ),
    (
        "tau_range",
        "two numbers with 0 < low < high < inf, or None",
        lambda ends: ends is None or _is_axis(ends, _TINY, _HUGE),
    ),
    (
        "tau_choices",
        "different numbers in [0, inf]",
        lambda taus: (
            all(_is_number(tau) and tau >= 0 for tau in taus)
            and len(set(map(_text, taus))) == len(taus)
        ),
    ),
    ("alpha", "a number in [0, 1], or two with 0 <= low < high <= 1", _is_alpha),
    ("points", "at least 2, or None", lambda points: points is None or points >= 2),
]
