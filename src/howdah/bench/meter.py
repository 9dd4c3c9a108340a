"""What a run did to the server: WAL, dead tuples; and what the server is.

Owns the counters that are read from outside, the same for every contender. Must never read a
contender's own tables: each says itself what is unfinished.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing, suppress

import msgspec
import psycopg

from howdah import query
from howdah.bench.model import ServerFacts
from howdah.clock import Clock
from howdah.postgres import connect

_SQL = query.load("howdah.bench", "sql/meter.sql")
_SETTINGS = (
    "autovacuum",
    "fsync",
    "full_page_writes",
    "max_connections",
    "max_wal_size",
    "shared_buffers",
    "synchronous_commit",
    "synchronous_standby_names",
    "wal_compression",
    "wal_level",
)
_SETTLE_SECONDS = 0.3  # sessions flush their counters when they end; this sees that they have
_SETTLE_TRIES = 10


class Tuples(msgspec.Struct, frozen=True):
    """Counters of pg_stat_all_tables, summed."""

    dead: int
    made: int  # updates and deletes, each of which leaves one
    inserted: int
    catalog_dead: int


def wal_bytes(connection: psycopg.Connection) -> int:
    """The position of the WAL as a number of bytes."""
    row = connection.execute(_SQL.text("wal_position").encode()).fetchone()
    assert row is not None, "a function returns a row"
    return int(row[0])


def settled_tuples(connection: psycopg.Connection, schemas: Sequence[str], clock: Clock) -> Tuples:
    """The counters once they stand still: statistics are flushed late, at the latest at the end."""
    last = _tuples(connection, schemas)
    for _ in range(_SETTLE_TRIES):
        clock.sleep(_SETTLE_SECONDS)
        now = _tuples(connection, schemas)
        if now == last:
            break
        last = now
    return last


def _tuples(connection: psycopg.Connection, schemas: Sequence[str]) -> Tuples:
    connection.execute(_SQL.text("fresh_statistics").encode())
    row = connection.execute(_SQL.text("tuples").encode(), {"schemas": list(schemas)}).fetchone()
    assert row is not None, "an aggregate gives a row"
    return Tuples(*row)


def checkpoint(connection: psycopg.Connection) -> None:
    """Write out what the phase before has left; skipped where the role may not."""
    with suppress(psycopg.errors.InsufficientPrivilege):  # the server does it in its own time
        connection.execute(_SQL.text("checkpoint").encode())


def server_facts(dsn: str, *, embedded: bool) -> ServerFacts:
    """What the server is, as far as it bears on the figures."""
    with closing(connect(dsn)) as connection:
        rows = connection.execute(
            _SQL.text("settings").encode(), {"names": list(_SETTINGS)}
        ).fetchall()
        return ServerFacts(
            version=str(connection.info.parameter_status("server_version")),
            embedded=embedded,
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
            settings=dict(rows),
        )


class Holders:
    """Two strangers: one keeps a snapshot, one an unfinished transaction in another database."""

    def __init__(self, dsn: str, elsewhere: str) -> None:
        self._reader = connect(dsn, autocommit=False)
        self._reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._reader.execute(_SQL.text("hold_horizon").encode())
        self._writer = connect(elsewhere, autocommit=False)
        self._writer.execute(_SQL.text("hold_transaction_id").encode())

    def release(self) -> None:
        """Let go."""
        for connection in (self._reader, self._writer):
            connection.close()
