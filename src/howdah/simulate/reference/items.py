"""What moves: requests, and the attempts (items) made for them.

Owns their fields only. Must never decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from howdah.simulate.reference.clients import Client
    from howdah.simulate.reference.nodes import Choice, Gate
    from howdah.simulate.reference.places import Place
    from howdah.simulate.reference.pool import Pool
    from howdah.simulate.reference.sessions import Round


@dataclass(slots=True, eq=False)
class Request:
    """What a client wants answered, over all its attempts."""

    client: Client
    number: int
    world: int
    started: int
    deadline: int | None  # ns
    user: int | None = None  # of a closed client
    round: Round | None = None  # of an agentic one
    demand: float = 0.0
    key: int = 0
    delay: int = 0  # ns; before the last attempt
    waited: list[Item] = field(default_factory=list)  # attempts that the client waits for


@dataclass(slots=True, eq=False)
class Item:
    """One attempt on its way through the graph."""

    serial: int
    request: Request
    attempt: int
    created: int  # ns
    expires: int | None  # ns; when its client stops waiting
    demand: float
    key: int
    visits: int = 0
    remaining: float = 0.0  # core-seconds until its demand is done
    stay: int = 0  # counts its entries into Sharing, to know a quantum of an earlier one
    ended: bool = False  # answered or refused; it may hold tickets over a think time
    line: Place | None = None  # where it waits
    since: dict[Place, int] = field(default_factory=dict)  # ns; when it entered where it is inside
    tickets: list[Pool] = field(default_factory=list)  # in the order in which they were taken
    taken: dict[Pool, int] = field(default_factory=dict)  # acquisitions, ever
    gates: set[Gate] = field(default_factory=set)
    ways: dict[Choice, int] = field(default_factory=dict)  # the last target of each choice

    @property
    def awaited(self) -> bool:
        """Whether the client still waits for it."""
        return self in self.request.waited

    def expired(self, now: int) -> bool:
        """Whether working on it is of no use to anybody."""
        deadline = self.request.deadline
        return not self.awaited or (deadline is not None and now >= deadline)
