"""Whether a client tries again, and when.

Owns the built-in rule and the asking of a policy. Must never schedule anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import model, numbers
from howdah.simulate.reference.brain import Brain
from howdah.simulate.reference.machine import VISITS, duration, seconds

if TYPE_CHECKING:
    from howdah.simulate.reference.clients import Client
    from howdah.simulate.reference.items import Item

NEVER = 1e9  # seconds


def _draw(client: Client, item: Item) -> float:
    b = VISITS * item.attempt
    return client.machine.draw_at(item.request.world, client.purpose("backoff"), b)


def _in_time(client: Client, item: Item, delay: int) -> int | None:
    deadline = item.request.deadline
    late = deadline is not None and client.machine.now + delay >= deadline
    return None if late else delay


class Ruled:
    """`model.Retry`."""

    def __init__(self, client: Client, given: model.Retry) -> None:
        self._client = client
        self._law = numbers.law(given.backoff)
        self.most = given.most
        self.factor = given.factor
        self.longest = given.longest
        self.budget = given.budget
        self.deposit = given.deposit
        self.tokens = given.budget or 0.0

    def observe(self, item: Item, outcome: int) -> None:
        """Nothing is learnt."""

    def succeeded(self) -> None:
        """A success earns a part of a retry."""
        if self.budget is not None:
            self.tokens = min(self.budget, self.tokens + self.deposit)

    def delay(self, item: Item, outcome: int) -> int | None:  # noqa: ARG002 - a policy cares
        """Nanoseconds until the next attempt, or None."""
        if item.attempt >= self.most or (self.budget is not None and self.tokens < 1):
            return None
        factor = 1.0
        for _ in range(item.attempt):
            factor *= self.factor
        wait = min(self._law.draw(_draw(self._client, item)) * factor, self.longest)
        delay = _in_time(self._client, item, duration(wait))
        if delay is not None and self.budget is not None:
            self.tokens -= 1
        return delay

    def set_budget(self, budget: float | None) -> None:
        """A new budget starts full; a smaller one cuts what was saved."""
        if budget is not None:
            self.tokens = budget if self.budget is None else min(self.tokens, budget)
        self.budget = budget


class Advised:
    """A policy with the hook `retry`, and perhaps `observe`."""

    def __init__(self, client: Client, given: model.Policy) -> None:
        self._client = client
        self.brain = Brain(client.graph, client.name, given)

    def succeeded(self) -> None:
        """The policy was told by `observe`."""

    def observe(self, item: Item, outcome: int) -> None:
        """Tell the policy how an attempt ended."""
        if not self.brain.has("observe"):
            return
        client = self._client
        now = client.machine.now
        view = [seconds(now), seconds(now - item.created), outcome, client.group, item.attempt]
        self.brain.ask_apart("observe", [*view, client.open, client.awaited, *[0.0] * 7])

    def delay(self, item: Item, outcome: int) -> int | None:
        """Nanoseconds until the next attempt, or None."""
        if not self.brain.has("retry"):
            return None
        client, deadline = self._client, item.request.deadline
        now = client.machine.now
        left = NEVER if deadline is None else seconds(deadline - now)
        view = [
            seconds(now),
            item.attempt,
            outcome,
            client.group,
            0.0,
            left,
            seconds(item.request.delay),
        ]
        answer = self.brain.raw("retry", view, _draw(client, item))
        return _in_time(client, item, duration(answer)) if answer >= 0 else None
