"""Figures with their intervals, in words: shares, times, thresholds, verdicts.

Owns the wording that all answers of the simulator share. Must never give a figure without its
interval where it has one.
"""

from __future__ import annotations

from howdah.report.pictures.chart import number
from howdah.simulate.intervals import Estimate
from howdah.simulate.search import Threshold, Verdict

INTERVALS = "Intervals are those of 95 % confidence."


def percent(estimate: Estimate) -> str:
    """A share with its interval.

    >>> percent(Estimate(value=0.5, low=0.38, high=0.621))
    '50 % (38 to 62 %)'
    """
    value, low, high = (
        f"{100 * each:.0f}" for each in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} % ({low} to {high} %)"


def amount(estimate: Estimate) -> str:
    """A figure with its interval.

    >>> amount(Estimate(value=1234.5, low=1200.0, high=1300.0))
    '1,234 (1,200 to 1,300)'
    """
    if estimate.low == estimate.high:
        return number(estimate.value)
    return f"{number(estimate.value)} ({number(estimate.low)} to {number(estimate.high)})"


def median_recovery(verdict: Verdict) -> str:
    """The time by which half of the runs had recovered, or that they had not."""
    for time, alive in zip(verdict.recovery.times, verdict.recovery.alive, strict=True):
        if alive <= 0.5:
            return f"{number(time)} s"
    return f"not within {number(verdict.horizon)} s"


def passes(found: Threshold) -> str:
    """Where a threshold lies, in words."""
    if found.value is not None:
        return amount(found.value)
    if found.where == "below":
        return f"below {number(found.low)}: already there at the lower end"
    return f"above {number(found.high)}: not reached in the range"


def judged(verdict: Verdict) -> tuple[str, ...]:
    """The cells of a verdict in a table."""
    return (
        percent(verdict.stuck),
        median_recovery(verdict),
        f"{number(verdict.last.value)} of {number(verdict.undisturbed)}",
        amount(verdict.deficit),
    )


JUDGED = ("stuck", "half recovered after", "goodput at the end, a second", "successes missing")
