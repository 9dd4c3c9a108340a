"""Real queues and outboxes for tests: tables, and the statements of workers run on them."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

from howdah.testing import Database, wait_until

# Names that say nothing: recognition must not need them.
SCHEMA: LiteralString = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE alpha (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text NOT NULL DEFAULT 'new',
  run_at timestamptz NOT NULL DEFAULT now(), made_at timestamptz NOT NULL DEFAULT now(),
  body jsonb, tries int NOT NULL DEFAULT 0
);
CREATE TABLE beta (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  made_at timestamptz NOT NULL DEFAULT now(), sent_at timestamptz, body jsonb
);
CREATE TABLE orders_queue (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner int, state text, made_at timestamptz
);
"""
TAKE: LiteralString = (
    "UPDATE alpha SET state = 'busy' WHERE id IN (SELECT id FROM alpha WHERE state = 'new' "
    "ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED) RETURNING id, body"
)
DONE: LiteralString = "UPDATE alpha SET state = 'done' WHERE id = %s"
READ: LiteralString = "SELECT id, body FROM beta WHERE sent_at IS NULL ORDER BY id LIMIT 10"
SENT: LiteralString = "UPDATE beta SET sent_at = now() WHERE id = ANY (%s)"
PAGE: LiteralString = (
    "SELECT * FROM orders_queue WHERE owner = %s AND state = 'new' ORDER BY made_at DESC LIMIT 20"
)


def make(connection: psycopg.Connection, rows: int = 100, *, width: int = 0) -> None:
    """The tables with so many new rows each, and empty statement statistics."""
    connection.execute(SCHEMA)
    for table in ("alpha", "beta"):
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN body SET STORAGE PLAIN")
        connection.execute(
            f"INSERT INTO {table} (body) SELECT jsonb_build_object('n', i, 'x', "
            f"repeat('x', {width})) FROM generate_series(1, {rows}) AS i"
        )
    connection.execute("ANALYZE")
    connection.execute("SELECT pg_stat_statements_reset()")


def work(connection: psycopg.Connection, times: int = 1) -> None:
    """A worker: take ten, finish each."""
    for _ in range(times):
        for identity, _ in connection.execute(TAKE).fetchall():
            connection.execute(DONE, [identity])


def relay(connection: psycopg.Connection, times: int = 1) -> None:
    """A relay: read ten, mark them."""
    for _ in range(times):
        found = connection.execute(READ).fetchall()
        connection.execute(SENT, [[identity for identity, _ in found]])


def browse(connection: psycopg.Connection) -> None:
    """Somebody looks at the newest of their orders, and changes one."""
    for owner in range(20):
        connection.execute(PAGE, [owner]).fetchall()
    connection.execute("UPDATE orders_queue SET state = 'seen' WHERE id = 1")


def settled(database: Database, table: str, **wanted: int) -> None:
    """Wait until a table's counters are at least these: statistics arrive when sessions rest."""

    def arrived() -> bool:
        with database.connect() as connection:
            columns = ", ".join(wanted)
            found: Any = connection.execute(
                f"SELECT {columns} FROM pg_stat_user_tables WHERE relname = %s", [table]
            ).fetchone()
        return all(have >= want for have, want in zip(found, wanted.values(), strict=True))

    wait_until(arrived)
