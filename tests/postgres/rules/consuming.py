"""Using up ids on a test's server, and waiting for its counters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from howdah.postgres import Server
from howdah.testing import wait_until

BURN = """
CREATE PROCEDURE burn(n int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..n LOOP
    PERFORM pg_catalog.pg_current_xact_id();
    COMMIT;
  END LOOP;
END $$;
"""

# A parent of one row and a child whose every insert locks it.
FAMILY = """
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent VALUES (1);
CREATE TABLE child (id bigserial PRIMARY KEY, parent int NOT NULL REFERENCES parent);
CREATE PROCEDURE breed(n int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..n LOOP
    INSERT INTO child (parent) VALUES (1);
    COMMIT;
  END LOOP;
END $$;
"""


def burn_xids(connection: psycopg.Connection, count: int) -> None:
    """Assign so many transaction ids, one per transaction."""
    connection.execute(BURN)
    connection.execute("CALL burn(%s)", (count,))
    connection.execute("DROP PROCEDURE burn")


@contextlib.contextmanager
def locking_parent(server: Server, database: str, sessions: int = 1) -> Iterator[None]:
    """Sessions that keep the parent's row locked, so that each insert of a child is a MultiXact."""
    with contextlib.ExitStack() as stack:
        for _ in range(sessions):
            holder = stack.enter_context(server.connect(database, autocommit=False))
            holder.execute("SELECT FROM parent FOR KEY SHARE")
        yield


def breed(server: Server, database: str, children: int, sessions: int = 1) -> None:
    """Insert children while so many sessions lock their parent: a MultiXact each."""
    with locking_parent(server, database, sessions), server.connect(database) as inserting:
        inserting.execute("CALL breed(%s)", (children,))


def wait_counted(connection: psycopg.Connection, table: str, condition: str) -> None:
    """Until the statistics of a table have arrived (they come when the counting session idles)."""
    text = f"SELECT 1 FROM pg_catalog.pg_stat_all_tables WHERE relid = %s::regclass AND {condition}"
    connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
    wait_until(lambda: connection.execute(text, (table,)).fetchone())
