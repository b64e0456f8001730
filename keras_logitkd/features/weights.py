"""The weight of a feature term over the epochs."""

import dataclasses
import math
import re

_FORM = re.compile(r"([^.@]*(?:\.\d[^.@]*)?)\.\.([^@]*)(?:@(\d+))?")


@dataclasses.dataclass(frozen=True)
class WeightSchedule:
    """A weight that is constant, or goes from one value to another.

    Its text is a number, or `FIRST..LAST@EPOCHS`: in epoch e, counted from 0, the weight is
    first + (last - first) * min(e / epochs, 1). Without `@EPOCHS` it arrives in the last epoch.

    Args:
        first: weight in the first epoch, finite and >= 0.
        last: weight in the end. Defaults to `first`: constant.
        epochs: after how many epochs it is there. Defaults to None: in the last.

    Raises:
        ValueError: If a weight is negative or not finite.
    """

    first: float
    last: float | None = None
    epochs: int | None = None

    def __post_init__(self):
        for value in (self.first, self.first if self.last is None else self.last):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"`weight` must be finite and at least 0. Received: {self.text}")

    @classmethod
    def of(cls, value):
        """Returns the schedule that a number, a text or a schedule stands for."""
        if isinstance(value, cls):
            return value
        match = _FORM.fullmatch(value) if isinstance(value, str) else None
        *ends, epochs = match.groups() if match else (value, None)
        try:
            ends = () if isinstance(value, bool) else tuple(map(float, ends))
        except (TypeError, ValueError):
            ends = ()
        if not ends:
            raise ValueError(
                "`weight` must be a number, or FIRST..LAST@EPOCHS such as 0..1@20. "
                f"Received: weight={value!r}"
            )
        return cls(*ends, epochs=epochs and int(epochs))

    def over(self, epochs):
        """Returns the schedule of a training of so many epochs."""
        if self.last is None or self.epochs is not None:
            return self
        return dataclasses.replace(self, epochs=max(epochs - 1, 1))

    def at(self, epoch, epochs=None):
        """Returns the weight of an epoch, counted from 0.

        Args:
            epoch: integer >= 0.
            epochs: of the training, where the schedule takes all of them.

        Raises:
            ValueError: If the number of epochs is needed and not known.
        """
        if self.last is None:
            return self.first
        length = self.epochs if epochs is None else self.over(epochs).epochs
        if length is None:
            raise ValueError(
                "`weight` must say after how many epochs it is there, as FIRST..LAST@EPOCHS, "
                f"where their number is not known. Received: weight={self.text}"
            )
        share = min(epoch / length, 1.0) if length else 1.0
        return self.first + (self.last - self.first) * share

    @property
    def text(self):
        """The schedule as `of` reads it: a float, or a string where it is not constant."""
        if self.last is None:
            return self.first
        end = "" if self.epochs is None else f"@{self.epochs}"
        return f"{self.first:.12g}..{self.last:.12g}{end}"
