"""The running machine: the clock, the calendar, the hash, the stack of a cascade, and the draws.

Owns time and order. Must never know what an element does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

from howdah.simulate import numbers

if TYPE_CHECKING:
    from howdah.simulate.reference.items import Item

# Kinds of events, as numbered in semantics.md.
ARRIVAL, DONE, SHARED, QUANTUM, DELAYED, TIMEOUT, HEDGE = range(7)
RETRY, THINK, TICK, ACTION, UNDO, PROFILE = range(7, 13)

FAR = 1 << 62
VISITS = 4096  # draws of one attempt


class Element(Protocol):
    """Whatever events happen to."""

    name: str
    number: int

    def happen(self, event: Event) -> bool:
        """Do it; False (and nothing done) when it no longer applies."""


@dataclass(slots=True, eq=False)
class Event:
    """Something due. `stamp` tells a later stay of the same subject apart."""

    time: int
    kind: int
    element: Element
    serial: int
    subject: Any = None
    stamp: int = 0
    forgotten: bool = False


def seconds(ns: int) -> float:
    """A time or a sum of times for views and columns."""
    return float(ns) / 1e9


def upward(ns: float) -> int:
    """A duration in nanoseconds, rounded up, within the clock."""
    return 0 if not ns > 0 else FAR if ns >= 4e18 else ceil(ns)


def nearest(ns: float) -> int:
    """A duration in nanoseconds, rounded, within the clock."""
    return 0 if not ns > 0 else FAR if ns >= 4e18 else int(ns + 0.5)


def duration(length: float) -> int:
    """A duration given in seconds; 0 unless positive."""
    return 0 if not length > 0 else FAR if length >= 4e9 else int(length * 1e9 + 0.5)


class Machine:
    """Time, order and chance of one run."""

    def __init__(self, seed: int) -> None:
        self.now = 0
        self.events = 0
        self.cancelled = 0
        self.hash = 0
        self.serials = 0
        self.root = numbers.root(seed)
        self._sequence = 0
        self._calendar: list[tuple[int, int, Event]] = []
        self._agenda: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._next: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    # Order.

    def schedule(
        self,
        time: int,
        kind: int,
        element: Element,
        serial: int = 0,
        subject: Any = None,
        stamp: int = 0,
    ) -> Event:
        """Put an event into the calendar behind all others of its time."""
        event = Event(time, kind, element, serial, subject, stamp)
        heapq.heappush(self._calendar, (time, self._sequence, event))
        self._sequence += 1
        return event

    def due(self, until: int) -> bool:
        """Whether something happens up to `until`."""
        while self._calendar and self._calendar[0][2].forgotten:
            heapq.heappop(self._calendar)
        return bool(self._calendar) and self._calendar[0][0] <= until

    @property
    def next_time(self) -> int:
        """When the next event is due; ask `due` first."""
        return self._calendar[0][0]

    def pending(self) -> list[Event]:
        """All events that are still to come, in no order."""
        return [event for _, _, event in self._calendar if not event.forgotten]

    def step(self) -> None:
        """Let the next event happen, with all that follows at once."""
        event = heapq.heappop(self._calendar)[2]
        self.now = event.time
        if event.element.happen(event):
            self.events += 1
            self._hash(event)
            self.work()
        else:
            self.cancelled += 1

    def _hash(self, event: Event) -> None:
        what = (event.kind << 48) ^ (event.element.number << 32) ^ event.serial
        told = (event.time + numbers.GOLDEN * what) & numbers.MASK
        self.hash = numbers.mix(self.hash ^ told)

    def then(self, do: Callable[..., None], *arguments: Any) -> None:
        """Do this after what is being done, in the order of calls, before all that is older."""
        self._next.append((do, arguments))

    def work(self) -> None:
        """Work a cascade through, depth first."""
        self._agenda.extend(reversed(self._next))
        self._next.clear()
        while self._agenda:
            do, arguments = self._agenda.pop()
            do(*arguments)
            self._agenda.extend(reversed(self._next))
            self._next.clear()

    # Chance.

    def draw(self, item: Item, name: int) -> float:
        """A draw of the item: the next of its visits."""
        item.visits += 1
        return self.draw_at(item.request.world, name, VISITS * item.attempt + item.visits)

    def draw_at(self, world: int, name: int, b: int) -> float:
        """The draw `b` for a purpose in a world."""
        return numbers.uniform(numbers.item_bits(world, name, b))

    def draw_apart(self, name: int, n: int) -> float:
        """The n-th draw of a purpose that belongs to no item."""
        return numbers.uniform(numbers.bits(self.root, name, n))
