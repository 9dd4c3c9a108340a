"""A pool of tickets, or one for each key.

Owns who holds a ticket and who gets the next. Must never take a ticket away from its holder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from howdah.simulate import model
from howdah.simulate.reference.places import Place

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph
    from howdah.simulate.reference.items import Item


@dataclass(slots=True)
class Bowl:
    """The tickets of one key, or of all."""

    used: int = 0
    line: list[Item] = field(default_factory=list)


class Pool(Place):
    """Tickets."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Pool) -> None:
        super().__init__(graph, name, number)
        self.to = given.to
        self.tickets = given.tickets
        self.max_waiting = given.max_waiting
        self.order = given.order
        self.keyed = given.keyed
        self.replied = 0
        self._bowls: dict[int, Bowl] = {}

    @property
    def limit(self) -> float:
        """Tickets."""
        return self.tickets

    def set_limit(self, value: float) -> None:
        """Tickets: more of them admit at once, fewer are taken from nobody."""
        self.tickets = int(value)
        for key in sorted(self._bowls):
            self._admit(self._bowls[key])

    @property
    def used(self) -> int:
        """Tickets taken."""
        return self.in_service

    @property
    def releases(self) -> int:
        """Tickets given back, at a yield too."""
        return self.left

    @property
    def completions(self) -> int:
        """Replies of items that ever took a ticket here."""
        return self.replied

    def _bowl(self, item: Item) -> Bowl:
        return self._bowls.setdefault(item.key if self.keyed else 0, Bowl())

    def enter(self, item: Item) -> None:
        """To a ticket, to the line, or refused."""
        if self in item.tickets:
            self.machine.then(self.graph.enter, item, self.to)
            return
        self.entered += 1
        bowl = self._bowl(item)
        if bowl.used < self.tickets and (self.order == "barging" or not bowl.line):
            self.count_in(item)
            self._take(item, bowl)
        elif self.max_waiting is not None and len(bowl.line) >= self.max_waiting:
            self.refused += 1
            self.machine.then(self.graph.reject, item)
        else:
            self.count_in(item)
            self.waiting += 1
            item.line = self
            bowl.line.append(item)

    def _take(self, item: Item, bowl: Bowl) -> None:
        bowl.used += 1
        self.count_started(item)
        self.see_peak()
        item.tickets.append(self)
        item.taken[self] = item.taken.get(self, 0) + 1
        self.machine.then(self.graph.enter, item, self.to)

    def release(self, item: Item) -> None:
        """The ticket comes back; who gets it enters later."""
        if self not in item.tickets:
            return
        item.tickets.remove(self)
        self.count_out(item)
        self.left += 1
        self.in_service -= 1
        bowl = self._bowl(item)
        bowl.used -= 1
        if self.order == "barging":
            self.machine.then(self._admit, bowl)
        else:
            self._admit(bowl)

    def _admit(self, bowl: Bowl) -> None:
        while bowl.used < self.tickets and bowl.line:
            item = self._next(bowl)
            self._leave_line(item, bowl)
            self._take(item, bowl)

    def waiters(self) -> list[Item]:
        """Who waits, key by key, the oldest first."""
        return [item for key in sorted(self._bowls) for item in self._bowls[key].line]

    def _next(self, bowl: Bowl) -> Item:
        if self.order == "fewest":
            return min(bowl.line, key=lambda item: item.taken.get(self, 0))  # the first of equals
        return bowl.line[0]

    def _leave_line(self, item: Item, bowl: Bowl) -> None:
        bowl.line.remove(item)
        self.waiting -= 1
        item.line = None

    def take_out(self, item: Item) -> None:
        """It waits no longer: dropped."""
        self._leave_line(item, self._bowl(item))
        self.count_out(item)
        self.dropped += 1
