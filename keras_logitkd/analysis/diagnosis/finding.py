"""A finding: what a check came to, with its number and what to do."""

import dataclasses

OK, WARNING, PROBLEM, NOT_MEASURED = "ok", "warning", "problem", "not measured"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a check came to.

    Args:
        check: its name.
        title: what was looked at, for people.
        status: "ok", "warning", "problem" or "not measured".
        numbers: dict of what was measured: numbers, or text where there is no number.
        sentence: the finding.
        advice: what to do. Defaults to nothing.
    """

    check: str
    title: str
    status: str
    numbers: dict
    sentence: str
    advice: str = ""


def percent(share):
    """Returns a share as text, `0.9876` as `98.8%`."""
    return f"{100 * share:.1f}%"
