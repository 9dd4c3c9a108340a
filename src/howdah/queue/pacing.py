"""How long to wait before looking again.

Owns that choice alone. There is no notification to wait for: NOTIFY makes every producer's commit
take a lock that the whole server shares. Must never look at a clock.

The longer nothing came, the longer the wait: a sixteenth of that time. So a job that comes after a
pause of any length waits at most a sixteenth of the pause more than it must, and the looks at an
empty queue grow with the logarithm of its length.
"""

from __future__ import annotations

SHARE = 1 / 16


class Pace:
    """Waits between `least` and `most` seconds."""

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._came_at: float | None = None

    def wait(self, now: float, *, came: bool) -> float:
        """Seconds until the next look; `came` if the last one found anything.

        >>> pace = Pace(0.002, 0.05)
        >>> [round(pace.wait(now, came=now == 10.0), 4) for now in (10.0, 10.01, 10.16, 20.0)]
        [0.002, 0.002, 0.01, 0.05]
        """
        if came or self._came_at is None:
            self._came_at = now
        return min(max(self._least, SHARE * (now - self._came_at)), self._most)
