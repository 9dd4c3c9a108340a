"""Sessions that stand in the way, on real servers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg

from howdah.check.model import Kind, Severity
from howdah.check.rules.locks import blocking_tree, idle_in_transaction, lock_queue_behind_ddl
from howdah.testing import Database, wait_until
from tests.applying import found
from tests.diagnosing import examine

# The rules speak of waits of a second or more: this is the signal that such a wait exists.
WAITING = """
    SELECT count(*) FROM pg_locks
    WHERE NOT granted AND waitstart < clock_timestamp() - interval '1.1 s'
      AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())
"""


@contextlib.contextmanager
def running(database: Database, *statements: str) -> Iterator[None]:
    """Sessions that run (and wait in) these statements one after the other, then are cancelled."""
    sessions: list[psycopg.Connection] = []

    def run(number: int, statement: str) -> None:
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            sessions[number].execute(statement.encode())

    with contextlib.ExitStack() as stack, database.connect() as watcher:
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=len(statements)))
        for number, statement in enumerate(statements):
            application = f"waiter {number}"
            connection = database.connect(application_name=application)
            sessions.append(stack.enter_context(connection))
            stack.callback(connection.cancel_safe)
            pool.submit(run, number, statement)
            wait_until(lambda n=number: _waiting(watcher) > n)  # type: ignore[misc] # bound now
        wait_until(lambda: _long(watcher) >= len(statements))
        yield


def _waiting(watcher: psycopg.Connection) -> int:
    row = watcher.execute(
        "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE NOT granted AND datname = current_database()"
    ).fetchone()
    return int(row[0]) if row else 0


def _long(watcher: psycopg.Connection) -> int:
    row = watcher.execute(WAITING).fetchone()
    return int(row[0]) if row else 0


def test_a_tree_with_a_schema_change_in_it(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (a int); CREATE TABLE other (a int)")
        assert examine(database, lock_queue_behind_ddl).kind is Kind.NOT_APPLICABLE
        with database.connect(application_name="holder") as holder, holder.transaction():
            holder.execute("INSERT INTO t VALUES (1); LOCK TABLE other")
            assert examine(database, blocking_tree).kind is Kind.OK
            assert examine(database, idle_in_transaction).kind is Kind.OK
            with running(database, "ALTER TABLE t ADD COLUMN b int", "SELECT * FROM t"):
                tree = examine(database, blocking_tree)
                queue = examine(database, lock_queue_behind_ddl)
                idle = examine(database, idle_in_transaction)
    name = f"postgres@{database.name} (holder)"
    assert found(tree) == {name}
    rows = tree.findings[0].evidence
    assert [row["depth"] for row in rows] == [0, 1, 2]
    assert rows[0]["state"] == "idle in transaction"
    assert (rows[1]["wanted_mode"], rows[1]["held_mode"]) == (
        "AccessExclusiveLock",
        "RowExclusiveLock",
    )
    assert (rows[2]["parent_pid"], rows[2]["is_behind_in_queue"]) == (rows[1]["pid"], True)
    assert found(queue) == {"public.t"}
    assert found(idle) == {name}


def test_two_writers_of_one_row(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        with database.connect(application_name="first") as first, first.transaction():
            first.execute("UPDATE t SET a = 2")
            with running(database, "UPDATE t SET a = 3", "UPDATE t SET a = 4"):
                tree = examine(database, blocking_tree)
                queue = examine(database, lock_queue_behind_ddl)
    assert found(tree) == {f"postgres@{database.name} (first)"}
    assert len(tree.findings[0].evidence) == 3
    assert queue.kind is Kind.NOT_APPLICABLE


def test_an_open_transaction_that_holds_the_horizon(database: Database) -> None:
    burn = """
        DO $$ BEGIN FOR i IN 1..100100 LOOP
          BEGIN PERFORM pg_current_xact_id(); INSERT INTO t VALUES (i);
          EXCEPTION WHEN division_by_zero THEN NULL; END;
        END LOOP; END $$
    """
    with database.connect() as connection, database.connect(application_name="old") as old:
        connection.execute("CREATE TABLE t (a int)")
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        assert examine(database, idle_in_transaction).kind is Kind.OK
        connection.execute(burn)
        result = examine(database, idle_in_transaction)
        old.execute("ROLLBACK")
    assert found(result) == {f"postgres@{database.name} (old)"}
    assert result.findings[0].severity is Severity.WARNING
    assert examine(database, idle_in_transaction).kind is Kind.OK


def test_sessions_of_others_are_not_examined(database: Database) -> None:
    with database.connect():
        blind = examine(database, idle_in_transaction, user=database.create_role())
    assert blind.examined < blind.of
