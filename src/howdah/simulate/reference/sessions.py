"""Agentic clients: sessions of rounds of requests, with thinks between.

Owns what a session does next and which tickets it keeps. Must never cancel a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from howdah.simulate import model, numbers
from howdah.simulate.reference.items import Item, Request
from howdah.simulate.reference.machine import THINK, VISITS, Event, duration
from howdah.simulate.reference.sources import Source

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph


@dataclass(slots=True, eq=False)
class Session:
    """An agent at work."""

    number: int
    steps: int = 0  # done


@dataclass(slots=True, eq=False)
class Round:
    """The requests of one step."""

    session: Session
    open: int
    over: bool = False
    first: Request | None = None
    held: list[Item] = field(default_factory=list)  # answered, their tickets kept


class Agentic(Source):
    """See semantics.md: Agentic."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Agentic) -> None:
        super().__init__(graph, name, number, given)
        self._given = given
        self._think = numbers.law(given.think)
        self._sessions = 0

    def arrive(self) -> None:
        """A session starts."""
        self.machine.then(self.request)

    def request(self) -> None:
        """A session starts: its first round."""
        self._sessions += 1
        self._begin_round(Session(self._sessions - 1))

    def inject(self, count: int) -> None:
        """So many sessions at once."""
        for _ in range(count):
            self.machine.then(self.request)

    def _begin_round(self, session: Session) -> None:
        asked = Round(session, self._given.parallel)
        for _ in range(self._given.parallel):
            self.machine.then(self._ask, asked)

    def _ask(self, asked: Round) -> None:
        request = self.new_request()
        request.round = asked
        if asked.first is None:
            asked.first = request
        elif self._draw(request, "distinct", 0) >= self._given.distinct:
            request.key = asked.first.key
        self.attempt(request, 0)

    def _draw(self, request: Request, purpose: str, b: int) -> float:
        return self.machine.draw_at(request.world, self.purpose(purpose), b)

    def keeps(self, item: Item) -> bool:
        """Whether this answer leaves a transaction open over the think."""
        asked = item.request.round
        if asked is None or asked.over or not item.awaited or not item.tickets:
            return False
        if self._draw(item.request, "holds", VISITS * item.attempt) >= self._given.holds:
            return False
        asked.held.append(item)
        return True

    def ended(self, request: Request, *, succeeded: bool) -> None:
        """The round may be over: then the session thinks."""
        asked = request.round
        if asked is None:
            return
        asked.open -= 1
        if asked.over or not (asked.open == 0 or (succeeded and self._given.first_wins)):
            return
        asked.over = True
        assert asked.first
        think = self._think.draw(self._draw(asked.first, "think", 0))
        due = self.machine.now + duration(think)
        self.machine.schedule(due, THINK, self, asked.session.number, asked)

    def happen(self, event: Event) -> bool:
        """A think is over; else what every source does."""
        if event.kind != THINK:
            return super().happen(event)
        asked: Round = event.subject
        for item in asked.held:
            for pool in list(item.tickets):
                pool.release(item)
            del self.graph.items[item.serial]
        self.machine.then(self._go_on, asked)
        return True

    def _go_on(self, asked: Round) -> None:
        session = asked.session
        assert asked.first
        session.steps += self._draw(asked.first, "rollback", 0) >= self._given.rollback
        if session.steps < self._given.steps:
            self._begin_round(session)
