"""A database with a log in it, and short ways to write and read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from howdah.log import COMPONENT, Consumer, Event, Log, Record
from howdah.schema import install
from howdah.testing import Database, wait_until


class Logged:
    """The log `x` of a database, its producers and its consumers."""

    def __init__(self, database: Database, *, segments: int = 4) -> None:
        self.database = database
        self.log = Log("x")
        with database.connect() as connection:
            install(connection, [COMPONENT])
            self.log.create(connection, segments=segments)

    def connect(self, *, autocommit: bool = True, user: str = "postgres") -> psycopg.Connection:
        return self.database.connect(autocommit=autocommit, user=user)

    @contextlib.contextmanager
    def session(self, isolation: str = "read committed") -> Iterator[psycopg.Connection]:
        """A connection inside a transaction, rolled back at the end unless it was committed."""
        with contextlib.closing(self.connect()) as connection:
            connection.execute(f"BEGIN ISOLATION LEVEL {isolation}")
            yield connection

    def do(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement in a transaction of its own."""
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.execute(text.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def emit(self, *payloads: str, key: str | None = "k") -> None:
        with contextlib.closing(self.connect()) as connection:
            put(connection, *payloads, key=key)

    def consumer(self, name: str = "c", **options: Any) -> Consumer:
        made = Consumer("x", name, **options)
        with contextlib.closing(self.connect()) as connection:
            made.subscribe(connection)
        return made

    def drain(self, consumer: Consumer, max_rows: int | None = None) -> list[str]:
        """Everything that is new, committed page by page."""
        with contextlib.closing(self.connect()) as connection:
            reading = consumer.open(connection)
            found = []
            for page in reading.pages(max_rows):
                found += texts(page.records)
                reading.commit(page.end)
        return found

    def maintain(self, **sizes: int) -> list[str]:
        """What maintenance did; by default every segment with a row is full."""
        with contextlib.closing(self.connect()) as connection:
            done = self.log.maintain(connection, **(sizes or {"segment_bytes": 1}))
        return [each.action for each in done]

    def bytes_of(self, segment: int) -> int:
        return int(self.do(f"SELECT pg_relation_size('howdah.log_x${segment}')")[0][0])

    def dead(self) -> int:
        """Dead tuples of everything of ours, once the statistics have arrived."""
        self.do("SELECT pg_stat_force_next_flush()") if self.database.major >= 15 else None
        return int(
            self.do(
                "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables"
                " WHERE schemaname = 'howdah'"
            )[0][0]
        )

    def wait_for_lock(self, connection: psycopg.Connection) -> None:
        """Until that session waits for a lock."""
        pid = connection.info.backend_pid
        wait_until(
            lambda: self.do(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", pid
            )
        )

    def waits_or_ends(self, pid: int) -> bool:
        """Until that session waits for a lock, or is done: whether it waits."""
        state = (
            "SELECT CASE WHEN wait_event_type = 'Lock' THEN 'waits' WHEN state = 'idle' THEN 'ends'"
            " END FROM pg_stat_activity WHERE pid = %s"
        )
        return bool(wait_until(lambda: self.do(state, pid)[0][0]) == "waits")


def put(connection: psycopg.Connection, *payloads: str, key: str | None = "k") -> None:
    """Emit in the connection's transaction."""
    log = Log("x")
    for payload in payloads:
        log.emit(connection, Event("t", payload.encode(), key))


def texts(records: tuple[Record, ...]) -> list[str]:
    return [record.payload.decode() for record in records]
