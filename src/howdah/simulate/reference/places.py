"""Places: what items are inside of, with the counters that every place has.

Owns the counting of entries, exits and time integrals, and the law that they obey. Must never
decide who enters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate.reference.machine import Event, seconds

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph
    from howdah.simulate.reference.items import Item


class Place:
    """What a Queue, a Sharing, a Delay and a Pool have in common."""

    def __init__(self, graph: Graph, name: str, number: int) -> None:
        self.graph = graph
        self.machine = graph.machine
        self.name = name
        self.number = number
        self.entered = self.left = self.refused = self.dropped = 0
        self.inside = self.waiting = self.in_service = 0
        self.peak = 0  # of `used`, since a controller last looked
        self.wait_sum = self.busy = 0  # ns
        self._integral = self._sojourns = self._entries = 0  # ns; for Little's law
        self._counted_at = 0

    def happen(self, event: Event) -> bool:
        """Places without events of their own have none."""
        raise NotImplementedError(event.kind)

    def enter(self, item: Item) -> None:
        """An item arrives."""
        raise NotImplementedError

    def take_out(self, item: Item) -> None:
        """An item is taken out of the line; it counts as dropped."""
        raise NotImplementedError

    @property
    def limit(self) -> float:
        """What a controller sets."""
        raise NotImplementedError

    def set_limit(self, value: float) -> None:
        """Set it, and let in who now may."""
        raise NotImplementedError

    @property
    def used(self) -> int:
        """What a controller is told to be in use."""
        return self.inside

    @property
    def releases(self) -> int:
        """Only pools release."""
        return 0

    @property
    def completions(self) -> int:
        """Items done here."""
        return self.left

    @property
    def started(self) -> int:
        """Services begun, or tickets taken."""
        return self.entered - self.refused - self.dropped - self.waiting

    # Counting.

    def count_time(self) -> None:
        """Bring the integrals up to now; before every change of what is counted."""
        passed = self.machine.now - self._counted_at
        self._integral += self.inside * passed
        self.busy += self.in_service * passed
        self._counted_at = self.machine.now

    def count_in(self, item: Item) -> None:
        """The item is inside from now on."""
        self.count_time()
        self.inside += 1
        self._entries += self.machine.now
        item.since[self] = self.machine.now
        self.see_peak()

    def count_out(self, item: Item) -> None:
        """The item is inside no longer."""
        self.count_time()
        self.inside -= 1
        since = item.since.pop(self)
        self._entries -= since
        self._sojourns += self.machine.now - since

    def see_peak(self) -> None:
        """Remember the most that was in use."""
        self.peak = max(self.peak, self.used)

    def count_started(self, item: Item) -> None:
        """The item's wait is over."""
        self.count_time()
        self.in_service += 1
        self.wait_sum += self.machine.now - item.since[self]

    def gauges(self) -> tuple[float, ...]:
        """The columns, in order."""
        self.count_time()
        counted = (self.entered, self.left, self.refused, self.dropped)
        return (
            *(float(n) for n in counted),
            *(float(n) for n in (self.inside, self.waiting, self.in_service)),
            *(float(self.limit), float(self.releases), float(self.completions)),
            *(seconds(self.wait_sum), seconds(self.busy)),
        )

    def figures(self) -> tuple[int, int, int, int, int, int, int]:
        """Releases, waiting, entered, left, sum of waits (ns), started, completions."""
        counts = (self.left, self.waiting, self.entered, self.left)
        return *counts, self.wait_sum, self.started, self.completions

    def check(self) -> list[str]:
        """Flow balance and Little's law, exactly."""
        self.count_time()
        wrong = []
        if self.entered != self.left + self.refused + self.dropped + self.inside:
            wrong.append(f"{self.name}: entered is not left + refused + dropped + inside")
        ages = self.inside * self.machine.now - self._entries
        if self._sojourns + ages != self._integral:
            wrong.append(f"{self.name}: sojourns and ages are not the integral of inside")
        return wrong
