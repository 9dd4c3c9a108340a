"""The measuring session: what it refuses, what it holds up, what it leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from howdah.errors import BadInput
from howdah.postgres import Server
from howdah.sandbox import Sandbox, measure

TABLES = """
    CREATE TABLE a (id int PRIMARY KEY, n int);
    CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE "Odd Name" (id int);
    CREATE TABLE parted (k int, v int) PARTITION BY RANGE (k);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
    CREATE INDEX parted_v ON parted (v);
    INSERT INTO a SELECT i, i FROM generate_series(1, 100) i;
    CREATE PROCEDURE in_batches() LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE a SET n = n + 1 WHERE id <= 50;
        COMMIT;
        UPDATE a SET n = n + 1 WHERE id > 50;
    END $$;
"""


@pytest.fixture
def sandbox(server: Server) -> Iterator[Sandbox]:
    with Sandbox.from_schema(TABLES, server=server) as built:
        assert built.rebuilt is not None
        assert built.rebuilt.complete
        yield built


def test_statements_follow_each_other_until_one_is_refused(sandbox: Sandbox) -> None:
    run = measure(
        sandbox,
        ["ALTER TABLE a ADD x int", "UPDATE a SET x = 1", "ALTER TABLE a ADD x int", "SELECT 1"],
    )
    assert not run.ok
    assert run.refusal is not None
    assert run.refusal.sqlstate == "42701"
    assert [each.rows for each in run.statements] == [-1, 100, -1]
    assert run.planned == 4
    assert run.statements[1].wal_bytes > 100 * 20
    assert run.statements[1].seconds > 0
    assert sandbox.server is not None
    assert run.server == sandbox.server.installation.version
    assert measure(sandbox, []).ok


def test_entries_that_are_no_single_statement(sandbox: Sandbox) -> None:
    for entry in ("SELECT 1; SELECT 2", "COMMIT", "ROLLBACK"):
        with pytest.raises(BadInput):
            measure(sandbox, [entry])


def test_names_are_quoted(sandbox: Sandbox) -> None:
    run = measure(sandbox, ['ALTER TABLE "Odd Name" ADD x int', 'VACUUM "Odd Name"'])
    assert run.ok
    assert run.statements[0].strongest('public."Odd Name"') == "AccessExclusiveLock"
    assert run.statements[1].strongest('public."Odd Name"') == "ShareUpdateExclusiveLock"


def test_deferred_checks_are_part_of_the_statement(sandbox: Sandbox) -> None:
    run = measure(sandbox, ["INSERT INTO b VALUES (1, 5)", "INSERT INTO b VALUES (2, 500)"])
    assert run.statements[0].strongest("public.a") == "RowShareLock"
    assert run.refusal is not None
    assert run.refusal.sqlstate == "23503"


def test_a_procedure_that_commits(sandbox: Sandbox) -> None:
    run = measure(sandbox, ["CALL in_batches()"])
    assert run.ok, run.refusal
    assert not run.statements[0].transactional
    assert run.statements[0].strongest("public.a") == "RowExclusiveLock"


def test_all_tables_of_a_vacuum_are_seen(sandbox: Sandbox) -> None:
    run = measure(sandbox, ["VACUUM"])
    seen = {held.relation for held in run.statements[0].locks if held.kind in "rp"}
    assert {"public.a", "public.b", 'public."Odd Name"', "public.parted_1"} <= seen


def test_partitions_of_a_named_table_are_held_up(sandbox: Sandbox) -> None:
    run = measure(sandbox, ["VACUUM parted", "REINDEX TABLE CONCURRENTLY parted"])
    assert run.ok, run.refusal
    vacuum, reindex = run.statements
    assert vacuum.strongest("public.parted_1") == "ShareUpdateExclusiveLock"
    # Not what its name promises: to list the partitions it locks each of them against writers.
    assert reindex.strongest("public.parted_1") == "ShareLock"
    assert reindex.indexes_built == ("public.parted_1_v_idx",)


def test_what_touches_no_table_is_not_held_up(sandbox: Sandbox) -> None:
    with sandbox.connect() as busy:
        busy.execute("BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        run = measure(sandbox, ["ALTER SYSTEM RESET work_mem"])
    assert run.ok
    assert run.statements[0].locks == ()
    assert not run.statements[0].transactional


def test_timeouts_and_roles(sandbox: Sandbox) -> None:
    with sandbox.connect() as busy:
        busy.execute("BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        run = measure(sandbox, ["SELECT * FROM a"], lock_timeout_ms=10)
        assert run.refusal is not None
        assert run.refusal.sqlstate == "55P03"
    run = measure(sandbox, ["SELECT * FROM a"], role="pg_monitor")
    assert run.refusal is not None
    assert run.refusal.sqlstate == "42501"
    run = measure(sandbox, ["SELECT pg_sleep(60)"], statement_timeout_ms=10)
    assert run.refusal is not None
    assert run.refusal.sqlstate == "57014"


def test_an_interrupted_concurrent_build_is_told_and_repeated(sandbox: Sandbox) -> None:
    """IF NOT EXISTS succeeds over the invalid index that a cancelled build left behind."""
    with sandbox.connect() as connection:
        connection.execute("UPDATE a SET n = 1")
    unique = "CREATE UNIQUE INDEX CONCURRENTLY {} a_n ON a (n)"
    first = measure(sandbox, [unique.format("")])
    assert first.refusal is not None
    assert first.statements[0].indexes_invalid == ("public.a_n",)
    again = measure(sandbox, [unique.format("IF NOT EXISTS")])
    assert again.ok
    assert again.statements[0].indexes_built == ()
    with sandbox.connect() as connection:
        row = connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_n'::regclass"
        ).fetchone()
    assert row == (False,)


def test_nothing_is_held_afterwards(sandbox: Sandbox) -> None:
    measure(sandbox, ["VACUUM a", "CREATE INDEX CONCURRENTLY ON a (n)", "ALTER TABLE a ADD y int"])
    with sandbox.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in%'"
        ).fetchone()
    assert row == (0,)
