"""Controllers: a policy that is called again and again and sets limits.

Owns what it is told and what its answers do. Must never act between ticks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import model
from howdah.simulate.reference.brain import Brain
from howdah.simulate.reference.clients import Client
from howdah.simulate.reference.machine import TICK, Event, duration, seconds
from howdah.simulate.reference.places import Place

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph

MOST_WATCHED = 8


class Controller:
    """See semantics.md: tick."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Controller) -> None:
        self.graph = graph
        self.machine = graph.machine
        self.name = name
        self.number = number
        self.period = given.period
        self.frozen = 0.0  # ticks change nothing
        self.policy = Brain(graph, name, given.policy)
        self._watch: list[Place | Client] = [graph.elements[one] for one in given.watch]

    def begin(self) -> None:
        """The first tick comes after one period."""
        due = self.machine.now + duration(self.period)
        self.machine.schedule(due, TICK, self)

    def happen(self, event: Event) -> bool:  # noqa: ARG002 - only ticks happen
        """Look, ask, set."""
        self.begin()
        view = [seconds(self.machine.now), float(len(self._watch))]
        for one in self._watch:
            view += self._look(one)
        if self.frozen > 0:
            return True
        state = self.policy.state
        state[:MOST_WATCHED] = [-1.0] * MOST_WATCHED
        self.policy.ask_apart("tick", view)
        for one, limit in zip(self._watch, list(state[:MOST_WATCHED]), strict=False):
            if limit >= 0:
                one.set_limit(min(limit, 1e9))
        return True

    def _look(self, one: Place | Client) -> list[float]:
        peak, one.peak = one.peak, one.used
        releases, waiting, entered, left, waits, started, completions = one.figures()
        counts = (one.limit, one.used, peak, releases, waiting, entered, left)
        return [*map(float, counts), seconds(waits), float(started), float(completions)]

    def gauges(self) -> tuple[float, ...]:
        """What it sets shows in what it watches."""
        return ()
