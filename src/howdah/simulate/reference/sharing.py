"""Processor sharing, kept as virtual time.

Owns how cores are shared. Must never keep more than one completion pending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import model
from howdah.simulate.reference.machine import (
    QUANTUM,
    SHARED,
    Event,
    duration,
    seconds,
    upward,
)
from howdah.simulate.reference.places import Place

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph
    from howdah.simulate.reference.items import Item


class Sharing(Place):
    """Everybody inside advances at the same rate."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Sharing) -> None:
        super().__init__(graph, name, number)
        self.to = given.to
        self.cores = given.cores
        self.overhead = given.overhead
        self.speed = given.speed
        self.quantum = given.quantum
        self.yield_to = given.yield_to or given.to
        self._virtual = 0.0
        self._updated = 0
        self._ends: dict[Item, float] = {}
        self._pending: Event | None = None

    @property
    def limit(self) -> float:
        """Cores."""
        return self.cores

    def set_limit(self, value: float) -> None:
        """Cores, from now on."""
        self.change("cores", value)

    def change(self, setting: str, value: float) -> None:
        """Change cores, overhead or speed: progress so far is kept."""
        self._advance()
        setattr(self, setting, value)
        self._schedule()

    def _rate(self) -> float:
        n = len(self._ends)
        used = min(n, self.cores) * self.speed
        return used / (1.0 + self.overhead * max(0.0, n - self.cores))

    def _advance(self) -> None:
        if self._ends:
            passed = self.machine.now - self._updated
            self._virtual += seconds(passed) * (self._rate() / len(self._ends))
        self._updated = self.machine.now

    def _schedule(self) -> None:
        if self._pending:
            self._pending.forgotten = True
            self._pending = None
        rate = self._rate()
        if not self._ends or rate <= 0:
            return
        item = min(self._ends, key=lambda one: (self._ends[one], one.serial))
        left = (self._ends[item] - self._virtual) * len(self._ends) / rate * 1e9
        due = self.machine.now + upward(left)
        self._pending = self.machine.schedule(due, SHARED, self, item.serial, item)

    def enter(self, item: Item) -> None:
        """It runs from now on."""
        self.entered += 1
        self._advance()
        self.count_in(item)
        self.count_started(item)
        self._ends[item] = self._virtual + item.remaining
        self._schedule()
        item.stay += 1
        if self.quantum is not None:
            due = self.machine.now + duration(self.quantum)
            self.machine.schedule(due, QUANTUM, self, item.serial, item, item.stay)

    def happen(self, event: Event) -> bool:
        """A demand is done, or a quantum is over."""
        item: Item = event.subject
        if event.kind == QUANTUM and (item not in self._ends or item.stay != event.stamp):
            return False
        self._advance()
        if event.kind == QUANTUM:
            item.remaining = max(0.0, self._ends[item] - self._virtual)
        else:
            item.remaining = item.demand
            self._pending = None
        self._go(item, self.yield_to if event.kind == QUANTUM else self.to)
        return True

    def _go(self, item: Item, to: str) -> None:
        self.count_out(item)
        self.in_service -= 1
        self.left += 1
        del self._ends[item]
        if not self._ends:
            self._virtual = 0.0
        self._schedule()
        self.machine.then(self.graph.enter, item, to)
