"""Crash at a chosen statement: the backend is killed, the socket is dropped, or the client stops.

Owns the counting of statements and the three deaths. Must never soften one: the error that steps
see is the driver's own, and a client that stops sees none.

    crashing = CrashingDriver(connection, CrashPoint(at=2, how=How.DROP, when=When.AFTER))
    with pytest.raises(CRASHES):
        run(crashing, steps())

Count first with no point at all: `driver.statements` is how many there are to crash at. A
transaction's `BEGIN` and `COMMIT` are statements too when they are yielded as such (`begin`,
`commit`), and so are the queries and the end of a `Batch`.
"""

from __future__ import annotations

import enum
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import msgspec
import psycopg

from howdah.driver import Query, Rows, Steps, compose, driver_of
from howdah.errors import CouldNot, Unreachable
from howdah.query import load
from howdah.testing.waiting import wait_until

_QUERIES = load("howdah.testing", "sql/crashing.sql")
_BEGIN = compose("begin", "BEGIN")
_COMMIT = compose("commit", "COMMIT")
_PING = compose("ping", "SELECT")


class How(enum.StrEnum):
    """What dies."""

    TERMINATE = "terminate"  # the backend, by pg_terminate_backend
    DROP = "drop"  # the connection; the backend notices when it next looks
    STOP = "stop"  # the client, with everything that it knew


class When(enum.StrEnum):
    """Before the statement is sent, or after it was done and before its answer is known."""

    BEFORE = "before"
    AFTER = "after"


class CrashPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where to crash: statements count from 1."""

    at: int
    how: How
    when: When

    def __str__(self) -> str:
        return f"{self.how} {self.when} {self.at}"


class Stopped(BaseException):
    """The client's end: nothing that it runs can catch it by mistake."""


CRASHES = (Stopped, Unreachable, CouldNot)
"""What a crash looks like from outside."""


def every_point(statements: int, hows: Iterable[How] = tuple(How)) -> Iterator[CrashPoint]:
    """All the ways to crash in that many statements."""
    for at in range(1, statements + 1):
        for how in hows:
            for when in When:
                yield CrashPoint(at=at, how=how, when=when)


def begin() -> Steps[None]:
    """Begin a transaction by a statement that counts."""
    yield _BEGIN()


def commit() -> Steps[None]:
    """Commit it by a statement that counts."""
    yield _COMMIT()


class CrashingDriver:
    """A driver for `run` on an autocommitting psycopg connection, which crashes at one point."""

    def __init__(
        self, connection: psycopg.Connection[Any], point: CrashPoint | None = None
    ) -> None:
        self._connection = connection
        self._driver = driver_of(connection)
        self._point = point
        self.statements = 0
        self.crashed = False

    def execute(self, query: Query) -> Rows:
        """Run one statement, or crash."""
        return self._at_point(lambda: self._driver.execute(query))

    def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction, each of them and its end a place to crash."""
        inside = self._connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
        rows: Rows = []
        if not inside:
            self.execute(_BEGIN())
        for query in queries:
            rows = self.execute(query)
        if not inside:
            self.execute(_COMMIT())
        return rows

    def _at_point(self, act: Callable[[], Rows]) -> Rows:
        self.statements += 1
        point = self._point
        if point is None or point.at != self.statements:
            return act()
        self.crashed = True
        if point.when is When.BEFORE:
            self._die(point.how)
            return act()
        act()
        self._die(point.how)
        return self._driver.execute(_PING())  # fails as the answer that never came would have

    def _die(self, how: How) -> None:
        if how is How.TERMINATE:
            terminate(self._connection)
            return
        drop(self._connection)
        if how is How.STOP:
            self._connection.close()
            raise Stopped


def terminate(connection: psycopg.Connection[Any]) -> None:
    """Kill the backend of a connection and wait until it is gone; needs a role that may."""
    pid = connection.info.backend_pid
    with closing(psycopg.connect(connection.info.dsn, autocommit=True)) as other:
        other.execute(_QUERIES.text("terminate"), {"pid": pid})
        # The server's own wait would look ten times a second.
        wait_until(
            lambda: other.execute(_QUERIES.text("ended"), {"pid": pid}).fetchone() == (True,)
        )


def drop(connection: psycopg.Connection[Any]) -> None:
    """Cut a connection: both sides see the other gone."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
