"""Invalid indexes on real servers: leftovers of builds, and builds that are not left over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

import psycopg
import pytest

from howdah.check.model import Kind
from howdah.check.rules.indexes import invalid_index
from howdah.testing import Database, wait_until
from tests.diagnosing import examine


def test_a_unique_build_that_failed_is_found_and_its_remedies_run(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)")
        (finding,) = examine(database, invalid_index).findings
        assert finding.object == "public.t_a"
        connection.execute("DELETE FROM t")
        drop, rebuild = finding.remedies
        for statement in (*rebuild.sql, *rebuild.retry_safe):
            connection.execute(statement)
        assert examine(database, invalid_index).kind is Kind.OK
        for statement in (*drop.sql, *drop.retry_safe):
            connection.execute(statement)


def test_the_copy_of_an_interrupted_reindex_is_said_to_be_one(database: Database) -> None:
    with database.connect() as connection, database.connect() as other:
        connection.execute("CREATE TABLE t (a int); CREATE INDEX t_a ON t (a)")
        with other.transaction():
            other.execute("INSERT INTO t VALUES (1)")
            connection.execute("SET statement_timeout = '300ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("REINDEX INDEX CONCURRENTLY t_a")
    (finding,) = examine(database, invalid_index).findings
    assert finding.object == "public.t_a_ccnew"
    assert "REINDEX CONCURRENTLY" in finding.claim
    assert [remedy.operation for remedy in finding.remedies] == ["drop-index"]
    with database.connect() as connection:
        for statement in finding.remedies[0].retry_safe:
            connection.execute(statement)
    assert examine(database, invalid_index).kind is Kind.OK


@contextlib.contextmanager
def working_on(database: Database, statement: LiteralString) -> Iterator[None]:
    """A session that runs the statement meanwhile, and is cancelled at the end."""

    def run() -> None:
        with database.connect() as busy, contextlib.suppress(psycopg.errors.QueryCanceled):
            sessions.append(busy)
            busy.execute(statement)

    sessions: list[psycopg.Connection] = []
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            for session in sessions:
                session.cancel_safe()
            running.result()


def test_a_build_that_waits_is_not_reported(database: Database) -> None:
    """T31: the index is in the catalog, invalid, for as long as the other transaction lives."""
    build: LiteralString = "CREATE INDEX CONCURRENTLY t_wait ON t (a)"
    with database.connect() as connection, database.connect() as writer:
        connection.execute("CREATE TABLE t (a int); CREATE INDEX t_ok ON t (a)")
        with writer.transaction():
            writer.execute("INSERT INTO t VALUES (1)")
            with working_on(database, build):
                wait_until(lambda: _exists(connection, "t_wait"))
                result = examine(database, invalid_index)
                blind = examine(database, invalid_index, user=database.create_role())
    assert result.kind is Kind.OK
    assert (result.examined, result.of) == (1, 2)
    assert blind.kind is Kind.UNKNOWN


def test_a_drop_that_waits_is_not_reported(database: Database) -> None:
    drop: LiteralString = "DROP INDEX CONCURRENTLY t_gone"
    with database.connect() as connection, database.connect() as reader:
        connection.execute("CREATE TABLE t (a int); CREATE INDEX t_gone ON t (a)")
        with reader.transaction():
            reader.execute("SELECT * FROM t")
            with working_on(database, drop):
                wait_until(lambda: not _is_valid(connection, "t_gone"))
                result = examine(database, invalid_index)
                blind = examine(database, invalid_index, user=database.create_role())
    assert result.kind is Kind.UNKNOWN
    assert blind.kind is Kind.UNKNOWN


def test_on_only_a_partitioned_table_is_in_progress_not_broken(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE m (a int) PARTITION BY RANGE (a);
            CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (10);
            CREATE INDEX m_a ON ONLY m (a);
            CREATE INDEX m1_a ON m1 (a);
            """
        )
    assert examine(database, invalid_index).kind is Kind.OK


def test_behind_a_lock_the_indexes_are_not_called_examined(database: Database) -> None:
    with database.connect() as connection, database.connect() as locker:
        connection.execute(
            "CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE free (a int PRIMARY KEY)"
        )
        with locker.transaction():
            locker.execute("LOCK TABLE t")
            result = examine(database, invalid_index)
            assert result.examined < result.of


def _exists(connection: psycopg.Connection, name: str) -> bool:
    found = connection.execute("SELECT pg_catalog.to_regclass(%s)", [name]).fetchone()
    return found is not None and found[0] is not None


def _is_valid(connection: psycopg.Connection, name: str) -> bool:
    found = connection.execute(
        "SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = %s::regclass", [name]
    ).fetchone()
    return bool(found and found[0])
