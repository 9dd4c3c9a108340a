"""What a worker knows about its right to run the jobs of its claims.

Owns the worker's own estimate of each claim's lease, on its monotonic clock and never later than
the dispatcher's, and the rows that were taken away. Must never ask a database, nor trust the wall
clock: a process that was stopped for a while finds here that it must not go on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from howdah.queue.model import ClaimId


class Right:
    """The right to run the rows of one claim."""

    __slots__ = ("claim", "crew", "gone", "until")

    def __init__(self, crew: str, claim: ClaimId, until: float) -> None:
        self.crew = crew
        self.claim = claim
        self.until = until
        self.gone: frozenset[int] = frozenset()

    def holds(self, row: int, now: float) -> bool:
        """Whether that row may be started now."""
        return now < self.until and row not in self.gone


class Rights:
    """The rights of one worker process."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease = lease_seconds
        self._lock = threading.Lock()
        self._held: dict[ClaimId, Right] = {}

    def __len__(self) -> int:
        return len(self._held)

    def give(self, crew: str, claim: ClaimId, given_at: float) -> Right:
        """A claim that was given at that time."""
        right = Right(crew, claim, given_at + self._lease)
        with self._lock:
            self._held[claim] = right
        return right

    def end(self, right: Right) -> None:
        """Everything of the claim is reported."""
        with self._lock:
            self._held.pop(right.claim, None)

    def beat(self, crews: Iterable[str], sent_at: float) -> None:
        """A heartbeat was written that was sent at that time. It revives no right that was over."""
        names = frozenset(crews)
        with self._lock:
            for right in self._held.values():
                if right.crew in names and sent_at < right.until:
                    right.until = max(right.until, sent_at + self._lease)

    def revoke(self, claim: ClaimId, rows: Iterable[int]) -> None:
        """Those rows were taken away."""
        with self._lock:
            right = self._held.get(claim)
            if right is not None:
                right.gone |= frozenset(rows)

    def crews(self) -> set[str]:
        """The crews that hold claims."""
        with self._lock:
            return {right.crew for right in self._held.values()}

    def claims(self) -> list[ClaimId]:
        """The claims that are held."""
        with self._lock:
            return list(self._held)

    def may_run(self, claim: ClaimId, row: int, now: float) -> bool:
        """Whether what runs may go on; what is not known here may."""
        right = self._held.get(claim)
        return right is None or right.holds(row, now)
