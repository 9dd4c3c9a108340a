"""A queue: servers with a waiting line and a discipline.

Owns who waits, who is served next and for how long. Must never know where items come from.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from howdah.errors import BadInput
from howdah.simulate import model, numbers
from howdah.simulate.reference.brain import Brain
from howdah.simulate.reference.machine import DONE, Event, duration, seconds
from howdah.simulate.reference.places import Place

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph
    from howdah.simulate.reference.items import Item

NEVER = 1e9  # seconds


class Queue(Place):
    """See semantics.md: entering, service, disciplines."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Queue) -> None:
        super().__init__(graph, name, number)
        self.to = given.to
        self.servers = given.servers
        self.capacity = given.capacity
        self.speed = given.speed
        self.drop_expired = given.drop_expired
        self.discipline: str = given.discipline if isinstance(given.discipline, str) else "policy"
        asked = given.discipline if isinstance(given.discipline, model.Policy) else None
        self.policy = Brain(graph, name, asked) if asked else None
        self.slowdown = Brain(graph, name, given.slowdown) if given.slowdown else None
        self._law = numbers.law(given.service)
        self._service = numbers.number(f"{name}/service")
        self._bands: dict[int, deque[Item]] = {}
        self._busy_since = 0  # when somebody began to wait

    @property
    def limit(self) -> float:
        """Servers."""
        return self.servers

    def set_limit(self, value: float) -> None:
        """Servers: free ones take waiting items at once."""
        self.servers = int(value)
        self.let_in()

    def set_discipline(self, discipline: str) -> None:
        """`fifo`, `lifo`, or `policy` again if the model has one; raises BadInput."""
        if discipline not in ("fifo", "lifo") and not (discipline == "policy" and self.policy):
            raise BadInput(f"{self.name}.discipline cannot become {discipline}", hint="fifo, lifo")
        self.discipline = discipline

    def enter(self, item: Item) -> None:
        """To a free server, to the line, or refused."""
        self.entered += 1
        if self.capacity is not None and self.inside >= self.capacity:
            self.refused += 1
            self.machine.then(self.graph.reject, item)
            return
        self.count_in(item)
        if self._free():
            self._start(item)
        else:
            self._wait(item)

    def _free(self) -> bool:
        return self.in_service < self.servers and self.speed > 0

    def _wait(self, item: Item) -> None:
        if self.waiting == 0:
            self._busy_since = self.machine.now
        self.waiting += 1
        item.line = self
        self._bands.setdefault(item.request.client.band, deque()).append(item)

    def _start(self, item: Item) -> None:
        self.count_started(item)
        u = self.machine.draw(item, self._service)
        length = self._law.draw(u)
        if self.slowdown:
            view = [seconds(self.machine.now), self.inside, self.in_service, self.waiting]
            length *= self.slowdown.ask("slowdown", view, u)
        due = self.machine.now + duration(length / self.speed)
        self.machine.schedule(due, DONE, self, item.serial, item)

    def happen(self, event: Event) -> bool:
        """A service is done."""
        item: Item = event.subject
        self.count_out(item)
        self.in_service -= 1
        self.left += 1
        dropped = self._serve()
        self.machine.then(self.graph.enter, item, self.to)
        self._reject(dropped)
        return True

    def let_in(self) -> None:
        """Speed or servers have changed."""
        self._reject(self._serve())

    def _reject(self, dropped: list[Item]) -> None:
        for item in dropped:
            self.machine.then(self.graph.reject, item)

    def waiters(self) -> list[Item]:
        """Who waits, band by band, the oldest first."""
        return [item for band in sorted(self._bands) for item in self._bands[band]]

    # Who is next.

    def _serve(self) -> list[Item]:
        """Free servers take items; answers those dropped meanwhile."""
        dropped: list[Item] = []
        while self._free() and self.waiting:
            item = self._next(dropped)
            if item:
                self._start(item)
        return dropped

    def _next(self, dropped: list[Item]) -> Item | None:
        line = self._line()
        if self.drop_expired and line[0].expired(self.machine.now):
            dropped.append(self._drop(line[0]))
            return None
        choice = self._choice(line)
        item = line[-1] if choice == 1 else line[0]
        unwanted = self.drop_expired and item.expired(self.machine.now)
        if choice == 2 or unwanted:
            dropped.append(self._drop(item))
            return None
        self._leave_line(item)
        return item

    def _line(self) -> deque[Item]:
        return self._bands[min(band for band, line in self._bands.items() if line)]

    def _choice(self, line: deque[Item]) -> int:
        """0 the oldest, 1 the youngest, 2 drop the oldest."""
        if self.discipline == "lifo":
            return 1
        if self.discipline == "fifo" or self.policy is None:
            return 0
        answer = self.policy.ask_apart("dequeue", self._view(line))
        return int(answer) if 0 <= answer < 3 else 0

    def _view(self, line: deque[Item]) -> list[float]:
        now = self.machine.now
        patience = -1.0
        if line[0].awaited:
            expires = line[0].expires
            patience = NEVER if expires is None else seconds(expires - now)
        return [
            *(seconds(now), self.waiting),
            *(seconds(now - line[0].since[self]), seconds(now - line[-1].since[self])),
            *(seconds(now - self._busy_since), patience, self.in_service),
        ]

    def _leave_line(self, item: Item) -> None:
        self._bands[item.request.client.band].remove(item)
        self.waiting -= 1
        item.line = None

    def _drop(self, item: Item) -> Item:
        self.take_out(item)
        return item

    def take_out(self, item: Item) -> None:
        """It waits no longer: dropped."""
        self._leave_line(item)
        self.count_out(item)
        self.dropped += 1
