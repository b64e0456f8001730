"""Numbers that move during a training: constant, linear or cosine, by epoch or by update."""

import dataclasses
import math
import re

_NUMBER = r"[^.@()]*(?:\.\d[^.@()]*)?"
_RANGE = rf"({_NUMBER})\.\.([^@()]*)(?:@(\d+)(steps)?)?"
_FORM = re.compile(rf"(?:{_RANGE}|cosine\({_RANGE}\))")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A number that is constant, or goes from one value to another.

    Its text is a number, or one of

        FIRST..LAST@EPOCHS          in epoch e, counted from 0, first + (last - first) * share with
                                    share = min(e / epochs, 1)
        FIRST..LAST@UPDATESsteps    the same by updates of the optimizer: 8..2@500steps
        cosine(...)                 of one of these, along half a cosine: (1 - cos(pi share)) / 2
                                    in place of the share

    Without `@...` it is there in the last epoch.

    Args:
        first: the number in the beginning.
        last: in the end. Defaults to None: the first, constant.
        epochs: after how many epochs it is there. Defaults to None: in the last one, unless there
            are `steps`.
        steps: after how many updates it is there. Defaults to None: it goes by epochs.
        is_cosine: whether it goes along half a cosine. Defaults to False: linearly.

    Raises:
        ValueError: If there are both epochs and steps, or one of them without `last`.
    """

    first: float
    last: float | None = None
    epochs: int | None = None
    steps: int | None = None
    is_cosine: bool = False

    def __post_init__(self):
        if not self.moves and (self.epochs, self.steps, self.is_cosine) != (None, None, False):
            raise ValueError(f"A schedule that moves must have `last`. Received: {self!r}")
        if None not in (self.epochs, self.steps):
            raise ValueError(f"A schedule goes by epochs or by steps. Received: {self!r}")

    @classmethod
    def read(cls, name, value, allowed="a number", holds=lambda number: True):
        """Returns the schedule that a number, a text or a schedule stands for.

        Args:
            name: of the number, for messages.
            value: the number, text or schedule.
            allowed, holds: what its ends must be, in words and as a function of one of them.
                Defaults to any number.

        Raises:
            ValueError: If it is none of them, or an end is not allowed.
        """
        schedule = value if isinstance(value, cls) else cls._of(value)
        if schedule is None:
            raise ValueError(
                f"`{name}` must be a number, or FIRST..LAST@EPOCHS such as 0..1@20, 0..1@500steps "
                f"or cosine(0..1@20). Received: {name}={value!r}"
            )
        if not all(map(holds, schedule.ends)):
            raise ValueError(f"`{name}` must be {allowed}. Received: {name}={value!r}")
        if schedule.moves and not all(map(math.isfinite, schedule.ends)):
            raise ValueError(
                f"`{name}` must move between finite numbers. Received: {name}={value!r}"
            )
        return schedule

    @classmethod
    def _of(cls, value):
        match = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
        groups = match.groups() if match else (value,) + 7 * (None,)
        is_cosine = match is not None and groups[0] is None
        first, last, length, unit = groups[4:] if is_cosine else groups[:4]
        try:
            ends = () if isinstance(value, bool) else (float(first),)
            ends += () if last is None else (float(last),)
        except (TypeError, ValueError):
            return None
        if not ends:
            return None
        length = None if length is None else int(length)
        lengths = {"steps": length} if unit else {"epochs": length}
        return cls(*ends, **lengths, is_cosine=is_cosine)

    @property
    def moves(self):
        """Whether it is not constant."""
        return self.last is not None

    @property
    def by_steps(self):
        """Whether it goes by updates of the optimizer, not by epochs."""
        return self.steps is not None

    @property
    def ends(self):
        """The number in the beginning and in the end; all others lie between them."""
        return (self.first, self.last) if self.moves else (self.first,)

    def over(self, epochs):
        """Returns the schedule of a training of so many epochs."""
        if not self.moves or self.by_steps or self.epochs is not None:
            return self
        return dataclasses.replace(self, epochs=max(epochs - 1, 1))

    def at(self, place, epochs=None):
        """Returns the number at a place.

        Args:
            place: the epoch, or the number of updates where it goes by steps; integer >= 0.
            epochs: of the training, where the schedule takes all of them.

        Raises:
            ValueError: If the number of epochs is needed and not known.
        """
        if not self.moves:
            return self.first
        whole = self if epochs is None else self.over(epochs)
        length = whole.steps if self.by_steps else whole.epochs
        if length is None:
            raise ValueError(
                "A schedule must say after how many epochs it is there, as FIRST..LAST@EPOCHS, "
                f"where their number is not known. Received: {self.text}"
            )
        share = min(place / length, 1.0) if length else 1.0
        if self.is_cosine:
            share = (1.0 - math.cos(math.pi * share)) / 2.0
        return self.first + (self.last - self.first) * share

    @property
    def text(self):
        """The schedule as `read` takes it: a float, or a string where it is not constant."""
        if not self.moves:
            return self.first
        length = f"{self.steps}steps" if self.by_steps else self.epochs
        text = f"{_digits(self.first)}..{_digits(self.last)}"
        text += "" if length is None else f"@{length}"
        return f"cosine({text})" if self.is_cosine else text


def moves(text):
    """Whether a text is a schedule that is not constant; its ends may still be none."""
    return _FORM.fullmatch(text.strip()) is not None


def _digits(number):
    """A number in at most 12 digits where that is all of it."""
    short = f"{number:.12g}"
    return short if float(short) == number else repr(number)


class Scheduled:
    """A number that goes by a schedule; in between it has a value, which can be assigned.

    A subclass defines `_receive`, which is told each value. The value is that of the beginning
    until `set_epoch` or `set_steps` is called.
    """

    def __init__(self, schedule):
        self.schedule = schedule
        self.value = schedule.first

    def assign(self, number):
        """Makes it constant from now on."""
        self._move(number)
        self.schedule = Schedule(number)

    @property
    def by_steps(self):
        """Whether it goes by updates of the optimizer, and must be told each."""
        return self.schedule.by_steps

    def set_epoch(self, epoch, epochs=None):
        """Moves where an epoch, counted from 0, of so many begins."""
        if self.schedule.moves and not self.schedule.by_steps:
            self._move(self.schedule.at(epoch, epochs))

    def set_steps(self, steps):
        """Moves where the optimizer has made so many updates."""
        if self.schedule.by_steps:
            self._move(self.schedule.at(steps))

    def _move(self, value):
        if value != self.value:
            self._receive(value)
        self.value = value

    def _receive(self, value):
        raise NotImplementedError
