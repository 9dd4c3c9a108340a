"""A delay: everybody is served at once.

Owns the time that passes. Must never refuse anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import model, numbers
from howdah.simulate.reference.machine import DELAYED, Event, duration
from howdah.simulate.reference.places import Place

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph
    from howdah.simulate.reference.items import Item


class Delay(Place):
    """A network, a think time."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Delay) -> None:
        super().__init__(graph, name, number)
        self.to = given.to
        self.factor = given.factor
        self._law = numbers.law(given.time)
        self._time = numbers.number(f"{name}/time")

    @property
    def limit(self) -> float:
        """None."""
        return 0.0

    def set_limit(self, value: float) -> None:
        """Nothing is limited."""

    def enter(self, item: Item) -> None:
        """It leaves after its draw."""
        self.entered += 1
        self.count_in(item)
        self.count_started(item)
        length = self._law.draw(self.machine.draw(item, self._time)) * self.factor
        due = self.machine.now + duration(length)
        self.machine.schedule(due, DELAYED, self, item.serial, item)

    def happen(self, event: Event) -> bool:
        """The time is over."""
        item: Item = event.subject
        self.count_out(item)
        self.in_service -= 1
        self.left += 1
        self.machine.then(self.graph.enter, item, self.to)
        return True
