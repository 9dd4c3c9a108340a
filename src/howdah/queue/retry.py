"""What follows a failed attempt: again, and when, or never.

Owns backoff, jitter, attempts and retry budgets. Must never draw a number that a repetition with
the same seed would not draw: a decision after a failover is the decision before it.
"""

from __future__ import annotations

from random import Random

from howdah.queue.policy import Backoff, BudgetOptions


def delay_seconds(backoff: Backoff, retry: int, seed: str) -> float:
    """How long to wait before retry number `retry` (1 for the first), jitter included.

    >>> delay_seconds(Backoff(base_seconds=2, jitter="none"), 3, "")
    8.0
    """
    match backoff.form:
        case "fixed":
            delay = backoff.base_seconds
        case "linear":
            delay = backoff.base_seconds * retry
        case _:
            # Beyond 2 ** 60 any base is past any maximum; the exponent must not overflow.
            delay = backoff.base_seconds * min(backoff.factor ** min(retry - 1, 500), 2.0**60)
    delay = min(float(delay), backoff.max_seconds)
    if backoff.jitter == "none" or not delay:
        return delay
    drawn = Random(seed).random()
    return delay * drawn if backoff.jitter == "full" else delay * (1 + drawn) / 2


class Budget:
    """Retries that a kind may still add: earned by successes and by time."""

    def __init__(self, options: BudgetOptions, now: float) -> None:
        self._options = options
        self._saved = float(options.most)
        self._at = now

    def earn(self, successes: int) -> None:
        """So many jobs of the kind succeeded."""
        self._saved = min(self._options.most, self._saved + successes * self._options.ratio)

    def spend(self, now: float) -> bool:
        """One retry, if the budget covers it."""
        earned = max(0.0, now - self._at) * self._options.per_second
        self._saved = min(self._options.most, self._saved + earned)
        self._at = max(self._at, now)
        covered = self._saved >= 1
        self._saved -= covered
        return covered
