"""Closed clients: users who think, ask, wait, and think again.

Owns the users' cycle. Must never start a second request of a user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import model, numbers
from howdah.simulate.reference.clients import Client
from howdah.simulate.reference.items import Request
from howdah.simulate.reference.machine import THINK, Event, duration

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph


class Closed(Client):
    """See semantics.md: Closed."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Closed) -> None:
        super().__init__(graph, name, number, given)
        self.users = given.users
        self._law = numbers.law(given.think)

    def begin(self) -> None:
        """Each user thinks first."""
        for user in range(self.users):
            self._think(user, self.machine.draw_apart(self.purpose("first"), user))

    def _think(self, user: int, u: float) -> None:
        due = self.machine.now + duration(self._law.draw(u))
        self.machine.schedule(due, THINK, self, user, user)

    def happen(self, event: Event) -> bool:
        """A think is over; else what every client does."""
        if event.kind != THINK:
            return super().happen(event)
        self.machine.then(self._ask, event.subject)
        return True

    def _ask(self, user: int) -> None:
        request = self.new_request()
        request.user = user
        self.attempt(request, 0)

    def ended(self, request: Request, *, succeeded: bool) -> None:  # noqa: ARG002 - all the same
        """The user thinks again."""
        if request.user is not None:
            u = self.machine.draw_at(request.world, self.purpose("think"), 0)
            self._think(request.user, u)

    @property
    def limit(self) -> float:
        """Users."""
        return self.users

    def set_limit(self, value: float) -> None:
        """Nobody sets the number of users."""
