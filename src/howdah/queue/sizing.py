"""How many jobs one claim should hold.

Owns the estimate of how long a job of each kind takes, learned from acks. Must never hold back the
first job of a claim: of a slow or unknown kind it is the only one.

A claim should hold about `batch_seconds` of work: few enough that fast jobs do not wait behind each
other's lease, enough that a claim's cost is shared.
"""

from __future__ import annotations

GROWTH = 4  # a claim is at most this many times larger than the largest that was measured
FASTER, SLOWER = 0.2, 0.5  # weight of a new measurement below and above the estimate
SHORTEST_SECONDS = 1e-6


class Durations:
    """Seconds per job, by kind."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._measured: dict[str, int] = {}

    def observe(self, kind: str, jobs: int, seconds: float) -> None:
        """So many jobs of the kind took so many seconds of one slot."""
        if jobs < 1:
            return
        each = max(seconds / jobs, SHORTEST_SECONDS)
        before = self._seconds.get(kind, each)
        weight = SLOWER if each > before else FASTER
        self._seconds[kind] = before + weight * (each - before)
        self._measured[kind] = max(jobs, self._measured.get(kind, 0))

    def seconds(self, kind: str) -> float | None:
        """The estimate for one job; None if there is none yet."""
        return self._seconds.get(kind)

    def size(self, kind: str, seconds: float, most: int) -> int:
        """How many jobs fill that much of a slot's time, at most `most`; 0 if not even one."""
        each = self._seconds.get(kind)
        if each is None:
            return 0
        return min(int(seconds / each), self._measured[kind] * GROWTH, most)
