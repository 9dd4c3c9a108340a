"""A relay's connections to the database: limits on everything, and a reason when there is none.

Owns how they are made and the limit of one question. Must never wait without a limit, nor print a
password.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from howdah.driver import Steps, run_async
from howdah.errors import TimedOut, Unreachable, from_database
from howdah.outbox import store
from howdah.postgres.connection import connect, describe

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Value = TypeVar("Value")

CONNECT_SECONDS = 5
# libpq notices a server that vanished without a word after about this long.
_KEEPALIVE = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
_GRACE_SECONDS = 5.0
"""What a question may take beyond the server's own limit, before the connection is given up."""


class Line:
    """One connection, with one limit for every question."""

    def __init__(self, connection: Connection, seconds: float, where: str, *, pooled: bool) -> None:
        self.connection = connection
        self.pooled = pooled
        """Whether the session may be lent to others between two questions."""
        self._seconds = seconds
        self._where = where

    async def ask(self, steps: Steps[Value], *, seconds: float | None = None) -> Value:
        """Run steps; `TimedOut` when the server, or the way to it, is silent."""
        try:
            async with asyncio.timeout((seconds or self._seconds) + _GRACE_SECONDS):
                return await run_async(self.connection, steps)
        except TimeoutError:
            raise TimedOut(f"{self._where} does not answer") from None

    async def close(self) -> None:
        """Let go of it."""
        await self.connection.close()


async def open_line(dsn: str, name: str, *, seconds: float, pooled: bool) -> Line:
    """Connect to a primary; errors as those of `howdah.postgres.connect`.

    A pooler is noticed, whatever `pooled` says: then nothing is prepared, set or locked for longer
    than a transaction.
    """
    where = describe(dsn)
    given = conninfo_to_dict(dsn)
    wanted = {"connect_timeout": str(CONNECT_SECONDS), **_KEEPALIVE, **given}
    target = make_conninfo("", **{**wanted, "application_name": name})
    try:
        async with asyncio.timeout(CONNECT_SECONDS * 2):
            connection = await psycopg.AsyncConnection.connect(
                target, autocommit=True, prepare_threshold=None if pooled else 5
            )
    except TimeoutError:
        raise TimedOut(f"{where} does not answer") from None
    except psycopg.OperationalError as error:
        # The other connection asks why: libpq reports no SQLSTATE for a failed attempt.
        found = await asyncio.to_thread(connect, dsn, connect_timeout_seconds=CONNECT_SECONDS)
        found.close()
        detail = from_database(error).message
        raise Unreachable(f"could not reach {where}", detail=detail) from None
    line = Line(connection, seconds, where, pooled=pooled)
    try:
        if await line.ask(store.require_primary()) != connection.info.backend_pid:
            line.pooled = True
            connection.prepare_threshold = None
        if not line.pooled:
            await line.ask(store.limit(seconds))
    except BaseException:
        await line.close()
        raise
    return line
