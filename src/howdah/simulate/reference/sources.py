"""Open clients, and the arrivals that agentic ones share with them.

Owns when the next arrival comes, and what a change of the rate does to it. Must never wait for an
answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import model, numbers
from howdah.simulate.reference.clients import Client
from howdah.simulate.reference.machine import ARRIVAL, PROFILE, Event, duration, nearest

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph


class Source(Client):
    """A client whose requests, or sessions, arrive at a rate."""

    profile: tuple[tuple[float, float], ...] = ()

    def __init__(
        self, graph: Graph, name: str, number: int, given: model.Open | model.Agentic
    ) -> None:
        super().__init__(graph, name, number, given)
        self.rate = given.rate
        even = isinstance(given, model.Open) and given.interval == "even"
        one = model.Constant(value=1.0) if even else model.Exponential(mean=1.0)
        self._law = numbers.law(one)
        self._arrivals = 0  # drawn
        self._pending: Event | None = None
        self._parked = 0.0  # the rest of the interval, in ns at rate 1

    def begin(self) -> None:
        """The first step of the profile, the first arrival."""
        self._schedule_step(0)
        self._schedule()

    def _schedule_step(self, index: int) -> None:
        if index < len(self.profile):
            due = duration(self.profile[index][0])
            self.machine.schedule(due, PROFILE, self, index, index)

    def _schedule(self) -> None:
        n = self._arrivals
        self._arrivals += 1
        interval = self._law.draw(self.machine.draw_apart(self.purpose("interval"), n))
        if self.rate > 0:
            due = self.machine.now + duration(interval / self.rate)
            self._pending = self.machine.schedule(due, ARRIVAL, self, n)
        else:
            self._pending, self._parked = None, interval * 1e9

    def happen(self, event: Event) -> bool:
        """An arrival or a step of the profile; else what every client does."""
        if event.kind == ARRIVAL:
            self._schedule()
            self.arrive()
            return True
        if event.kind == PROFILE:
            self._schedule_step(event.subject + 1)
            self.set_limit(self.profile[event.subject][1])
            return True
        return super().happen(event)

    def arrive(self) -> None:
        """Somebody is there."""
        raise NotImplementedError

    @property
    def limit(self) -> float:
        """The rate."""
        return self.rate

    def set_limit(self, value: float) -> None:
        """The rate: what is left of the interval stretches or shrinks."""
        old, self.rate = self.rate, value
        if old == value:
            return
        if self._pending:
            self._parked = float(self._pending.time - self.machine.now) * old
            self._pending.forgotten = True
        if value > 0:
            due = self.machine.now + nearest(self._parked / value)
            self._pending = self.machine.schedule(due, ARRIVAL, self, self._arrivals - 1)
        else:
            self._pending = None


class Open(Source):
    """One request each arrival."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Open) -> None:
        super().__init__(graph, name, number, given)
        self.profile = given.profile

    def arrive(self) -> None:
        """A request starts."""
        self.machine.then(self.request)
