"""What a worker process says of itself: its crews, how their kinds are treated, its limits.

Owns that report and its row. Must never say anything else of a kind than the program does.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Any

import psycopg

from howdah.driver import run
from howdah.log import Log
from howdah.queue import desk
from howdah.queue.crew import Crew
from howdah.queue.model import Registered
from howdah.queue.policy import QueuePolicy


class Registering:
    """One process; it counts from when it first registered, however often it does."""

    def __init__(self, queue: str, policy: QueuePolicy, reports: Log) -> None:
        self._queue = queue
        self._policy = policy
        self._reports = reports
        self._since = 0.0  # by the server's clock

    def make_known(self, connection: psycopg.Connection[Any], crews: Iterable[Crew]) -> None:
        """Register the crews, each with its report in one transaction."""
        for crew in crews:
            with connection.transaction():
                self._register(connection, crew)

    def _register(self, connection: psycopg.Connection[Any], crew: Crew) -> None:
        said = Registered(
            crew.name,
            crew.slots,
            frozenset(crew.kinds),
            0.0,
            policies={kind: self._policy.of(kind) for kind in crew.kinds},
            terms=self._policy.terms,
            since=self._since,
            confirms=True,
        )
        steps = desk.register(self._queue, said, socket.gethostname(), os.getpid())
        told = run(connection, steps)
        self._since = told.since
        self._reports.emit_many(connection, desk.events([told]))
