"""The measured truth about schema changes: what each statement locks, rewrites and reads.

The expectations are PostgreSQL's behaviour, the same on every supported server; the machinery of
`howdah.sandbox.measure` has to see exactly that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from howdah.postgres import Server
from howdah.sandbox.measure import measure
from howdah.sandbox.run import StatementRun
from howdah.sandbox.sandbox import Sandbox

AEX = "AccessExclusiveLock"
SHARE = "ShareLock"
SHARE_ROW = "ShareRowExclusiveLock"
SHARE_UPDATE = "ShareUpdateExclusiveLock"
ROW_SHARE = "RowShareLock"
ROW = "RowExclusiveLock"
READ = "AccessShareLock"

TABLES = """
    DROP SCHEMA IF EXISTS shop CASCADE;
    CREATE SCHEMA shop;
    SET search_path = shop;
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE p (id int PRIMARY KEY, note text);
    CREATE TABLE t (
        id int PRIMARY KEY, a int, c varchar(20), n numeric(10,2), ts timestamp, p int, s text,
        loose int
    );
    CREATE INDEX t_a ON t (a);
    CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t);
    CREATE TABLE parted (k int, v int) PARTITION BY RANGE (k);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
    CREATE TABLE fresh (k int, v int);
    CREATE MATERIALIZED VIEW m AS SELECT 1 AS id;
    CREATE UNIQUE INDEX m_id ON m (id);
    INSERT INTO p SELECT i, i::text FROM generate_series(1, 10) i;
    INSERT INTO t SELECT i, i, i::text, i, '2026-01-01', 1 + i % 10, 'x' FROM generate_series(1, 50) i;
    INSERT INTO child SELECT i, i FROM generate_series(1, 50) i;
    INSERT INTO fresh SELECT 10 + i, i FROM generate_series(0, 9) i;
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""  # noqa: E501 - one statement per line reads better


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One statement and the truth about it. Names are without their schema `shop`."""

    sql: str
    locks: dict[str, str]
    """The strongest mode on each table that is not new."""
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()
    before: str = ""
    since: int = 14
    transactional: bool = True
    message: str = ""
    """What the server says at DEBUG1 when it does so: a cross-check."""


CASES = {
    # Columns
    "add_column": Case(sql="ALTER TABLE t ADD x int", locks={"t": AEX}),
    "add_column_constant_default": Case(
        sql="ALTER TABLE t ADD x int DEFAULT 5 NOT NULL", locks={"t": AEX}
    ),
    "add_column_stable_default": Case(
        sql="ALTER TABLE t ADD x timestamptz DEFAULT now()", locks={"t": AEX}
    ),
    "add_column_volatile_default": Case(
        sql="ALTER TABLE t ADD x uuid DEFAULT gen_random_uuid()",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
        message="rewriting table",
    ),
    "add_column_generated_stored": Case(
        sql="ALTER TABLE t ADD x int GENERATED ALWAYS AS (a + 1) STORED",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
        message="rewriting table",
    ),
    "add_column_bigserial": Case(
        sql="ALTER TABLE t ADD x bigserial",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
        message="rewriting table",
    ),
    "add_column_identity": Case(
        sql="ALTER TABLE t ADD x bigint GENERATED ALWAYS AS IDENTITY",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
        message="rewriting table",
    ),
    "add_column_generated_virtual": Case(
        sql="ALTER TABLE t ADD x int GENERATED ALWAYS AS (a + 1) VIRTUAL",
        locks={"t": AEX},
        since=18,
    ),
    "add_column_check": Case(
        sql="ALTER TABLE t ADD x text CHECK (x <> 'a')",
        locks={"t": AEX},
        scans=("t",),
        message="verifying table",
    ),
    "add_column_references": Case(
        sql="ALTER TABLE t ADD x int REFERENCES p", locks={"t": AEX, "p": SHARE_ROW}
    ),
    "drop_column": Case(sql="ALTER TABLE t DROP c", locks={"t": AEX}),
    "rename_column": Case(sql="ALTER TABLE t RENAME c TO d", locks={"t": AEX}),
    "rename_table": Case(sql="ALTER TABLE fresh RENAME TO stale", locks={"stale": AEX}),
    "set_default": Case(sql="ALTER TABLE t ALTER a SET DEFAULT 5", locks={"t": AEX}),
    # Constraints
    "set_not_null": Case(
        sql="ALTER TABLE t ALTER a SET NOT NULL",
        locks={"t": AEX},
        scans=("t",),
        message="verifying table",
    ),
    "set_not_null_proven": Case(
        before="ALTER TABLE t ADD CONSTRAINT proof CHECK (a IS NOT NULL)",
        sql="ALTER TABLE t ALTER a SET NOT NULL",
        locks={"t": AEX},
    ),
    "not_null_not_valid": Case(
        sql="ALTER TABLE t ADD CONSTRAINT nn NOT NULL a NOT VALID", locks={"t": AEX}, since=18
    ),
    "drop_not_null": Case(
        before="ALTER TABLE t ALTER a SET NOT NULL",
        sql="ALTER TABLE t ALTER a DROP NOT NULL",
        locks={"t": AEX},
    ),
    "add_check": Case(
        sql="ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)",
        locks={"t": AEX},
        scans=("t",),
        message="verifying table",
    ),
    "add_check_not_valid": Case(
        sql="ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID", locks={"t": AEX}
    ),
    "add_check_not_enforced": Case(
        sql="ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT ENFORCED",
        locks={"t": AEX},
        since=18,
    ),
    "validate_check": Case(
        before="ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID",
        sql="ALTER TABLE t VALIDATE CONSTRAINT k",
        locks={"t": SHARE_UPDATE},
        scans=("t",),
        message="verifying table",
    ),
    "add_foreign_key": Case(
        sql="ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p",
        locks={"t": SHARE_ROW, "p": SHARE_ROW},
        scans=("t", "p"),
        message="validating foreign key constraint",
    ),
    "add_foreign_key_not_valid": Case(
        sql="ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p NOT VALID",
        locks={"t": SHARE_ROW, "p": SHARE_ROW},
    ),
    "validate_foreign_key": Case(
        before="ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p NOT VALID",
        sql="ALTER TABLE t VALIDATE CONSTRAINT fk",
        locks={"t": SHARE_UPDATE, "p": ROW_SHARE},
        scans=("t", "p"),
        message="validating foreign key constraint",
    ),
    "add_unique": Case(
        sql="ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)",
        locks={"t": AEX},
        scans=("t",),
        builds=("u",),
    ),
    "add_unique_using_index": Case(
        before="CREATE UNIQUE INDEX u ON t (a)",
        sql="ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u",
        locks={"t": AEX},
    ),
    "drop_constraint": Case(
        sql="ALTER TABLE child DROP CONSTRAINT child_t_fkey", locks={"child": AEX, "t": AEX}
    ),
    # Types
    "varchar_wider": Case(sql="ALTER TABLE t ALTER c TYPE varchar(50)", locks={"t": AEX}),
    "varchar_to_text": Case(sql="ALTER TABLE t ALTER c TYPE text", locks={"t": AEX}),
    "numeric_wider": Case(sql="ALTER TABLE t ALTER n TYPE numeric(12,2)", locks={"t": AEX}),
    "numeric_unlimited": Case(sql="ALTER TABLE t ALTER n TYPE numeric", locks={"t": AEX}),
    "timestamp_to_timestamptz_in_utc": Case(
        sql="ALTER TABLE t ALTER ts TYPE timestamptz", locks={"t": AEX}
    ),
    "varchar_narrower": Case(
        sql="ALTER TABLE t ALTER c TYPE varchar(10)",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
        message="rewriting table",
    ),
    "int_to_bigint": Case(
        sql="ALTER TABLE t ALTER a TYPE bigint",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
        message="rewriting table",
    ),
    "int_to_bigint_of_a_foreign_key": Case(
        sql="ALTER TABLE child ALTER t TYPE bigint",
        locks={"child": AEX, "t": AEX},
        rewrites=("child",),
        scans=("child", "t"),
        builds=("child_pkey",),
        message="rewriting table",
    ),
    "enum_value": Case(sql="ALTER TYPE mood ADD VALUE 'middling'", locks={}),
    # Storage
    "set_unlogged": Case(
        before="DROP TABLE child",
        sql="ALTER TABLE t SET UNLOGGED",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
    ),
    "set_fillfactor": Case(sql="ALTER TABLE t SET (fillfactor = 70)", locks={"t": SHARE_UPDATE}),
    "set_statistics": Case(
        sql="ALTER TABLE t ALTER a SET STATISTICS 500", locks={"t": SHARE_UPDATE}
    ),
    "cluster": Case(
        sql="CLUSTER t USING t_pkey",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
    ),
    "vacuum_full": Case(
        sql="VACUUM FULL t",
        locks={"t": AEX},
        rewrites=("t",),
        scans=("t",),
        builds=("t_pkey", "t_a"),
        transactional=False,
    ),
    "vacuum": Case(sql="VACUUM t", locks={"t": SHARE_UPDATE}, transactional=False),
    "analyze": Case(sql="ANALYZE t", locks={"t": SHARE_UPDATE}),
    # Indexes
    "create_index": Case(
        sql="CREATE INDEX i ON t (c)", locks={"t": SHARE}, scans=("t",), builds=("i",)
    ),
    "create_index_concurrently": Case(
        sql="CREATE INDEX CONCURRENTLY i ON t (c)",
        locks={"t": SHARE_UPDATE},
        scans=("t",),
        builds=("i",),
        transactional=False,
    ),
    "drop_index": Case(sql="DROP INDEX t_a", locks={"t": AEX}),
    "drop_index_concurrently": Case(
        sql="DROP INDEX CONCURRENTLY t_a", locks={"t": SHARE_UPDATE}, transactional=False
    ),
    "reindex_index": Case(
        sql="REINDEX INDEX t_a", locks={"t": SHARE}, scans=("t",), builds=("t_a",)
    ),
    "reindex_index_concurrently": Case(
        sql="REINDEX INDEX CONCURRENTLY t_a",
        locks={"t": SHARE_UPDATE},
        scans=("t",),
        builds=("t_a",),
        transactional=False,
    ),
    # Others
    "create_trigger": Case(
        sql="CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing()",
        locks={"t": SHARE_ROW},
    ),
    "comment": Case(sql="COMMENT ON TABLE t IS 'x'", locks={"t": SHARE_UPDATE}),
    "enable_row_security": Case(sql="ALTER TABLE t ENABLE ROW LEVEL SECURITY", locks={"t": AEX}),
    "attach_partition": Case(
        sql="ALTER TABLE parted ATTACH PARTITION fresh FOR VALUES FROM (10) TO (20)",
        locks={"parted": SHARE_UPDATE, "fresh": AEX},
        scans=("fresh",),
    ),
    "attach_partition_proven": Case(
        before="ALTER TABLE fresh ADD CHECK (k IS NOT NULL AND k >= 10 AND k < 20)",
        sql="ALTER TABLE parted ATTACH PARTITION fresh FOR VALUES FROM (10) TO (20)",
        locks={"parted": SHARE_UPDATE, "fresh": AEX},
    ),
    "detach_partition": Case(
        sql="ALTER TABLE parted DETACH PARTITION parted_1", locks={"parted": AEX, "parted_1": AEX}
    ),
    "detach_partition_concurrently": Case(
        sql="ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY",
        locks={"parted": SHARE_UPDATE, "parted_1": AEX},
        transactional=False,
    ),
    "refresh": Case(
        sql="REFRESH MATERIALIZED VIEW m",
        locks={"m": AEX},
        rewrites=("m",),
        scans=("m",),
        builds=("m_id",),
    ),
    "refresh_concurrently": Case(
        sql="REFRESH MATERIALIZED VIEW CONCURRENTLY m",
        locks={"m": "ExclusiveLock"},
        scans=("m",),
    ),
    "drop_table": Case(sql="DROP TABLE child", locks={"child": AEX, "t": AEX}),
    "lock_table": Case(sql="LOCK TABLE t IN EXCLUSIVE MODE", locks={"t": "ExclusiveLock"}),
    "insert": Case(sql="INSERT INTO child VALUES (99, 1)", locks={"child": ROW, "t": ROW_SHARE}),
    "select_for_share": Case(
        sql="SELECT * FROM p WHERE note = 'x' FOR SHARE", locks={"p": ROW_SHARE}, scans=("p",)
    ),
    "select": Case(sql="SELECT count(*) FROM p", locks={"p": READ}, scans=("p",)),
}


@pytest.fixture(scope="module")
def sandbox(server: Server) -> Iterator[Sandbox]:
    with Sandbox.empty(server) as empty:
        with empty.connect() as connection:
            connection.execute(f'ALTER DATABASE "{empty.name}" SET search_path = shop')
        yield empty


def run_one(sandbox: Sandbox, case: Case) -> StatementRun:
    with sandbox.connect() as connection:
        connection.execute(TABLES)
        connection.execute(case.before)
    run = measure(sandbox, [case.sql])
    assert run.ok, run.refusal
    return run.statements[0]


def strongest(run: StatementRun) -> dict[str, str]:
    tables = {held.relation for held in run.locks if held.kind in "rpm" and not held.created}
    found: dict[str, Any] = {name: run.strongest(name) for name in tables}
    return {name.removeprefix("shop."): mode for name, mode in found.items()}


def since(major: int) -> dict[str, Case]:
    return {name: case for name, case in CASES.items() if case.since == major}


@pytest.mark.parametrize("name", since(14))
def test_the_truth_about(name: str, sandbox: Sandbox) -> None:
    compare(CASES[name], sandbox)


@pytest.mark.postgres(since=18)
@pytest.mark.parametrize("name", since(18))
def test_the_truth_about_what_18_brought(name: str, sandbox: Sandbox) -> None:
    compare(CASES[name], sandbox)


def compare(case: Case, sandbox: Sandbox) -> None:
    run = run_one(sandbox, case)
    assert run.transactional is case.transactional
    assert strongest(run) == case.locks
    assert set(run.rewritten) == {f"shop.{table}" for table in case.rewrites}
    assert {scan.relation for scan in run.scanned} == {f"shop.{table}" for table in case.scans}
    assert set(run.indexes_built) == {f"shop.{index}" for index in case.builds}
    assert run.indexes_invalid == ()
    if case.message:
        assert any(case.message in said for said in run.messages), run.messages
    elif not case.scans:
        assert not [said for said in run.messages if "verifying" in said or "rewriting" in said]


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("ALTER TABLE t ADD UNIQUE (a) NOT VALID", "0A000"),
        ("ALTER TABLE t ADD CONSTRAINT u UNIQUE (s)", "23505"),
        ("ALTER TABLE t ADD CHECK (a > 1)", "23514"),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (s)", "23505"),
    ],
)
def test_a_remedy_that_cannot_work_is_refused(
    statement: str, sqlstate: str, sandbox: Sandbox
) -> None:
    refused(statement, sqlstate, sandbox)


@pytest.mark.postgres(since=18)
def test_what_is_not_enforced_cannot_be_validated(sandbox: Sandbox) -> None:
    before = "ALTER TABLE t ADD CONSTRAINT ne CHECK (a > 0) NOT ENFORCED"
    refused("ALTER TABLE t VALIDATE CONSTRAINT ne", "55000", sandbox, before=before)


def refused(statement: str, sqlstate: str, sandbox: Sandbox, *, before: str = "") -> None:
    with sandbox.connect() as connection:
        connection.execute(TABLES)
        connection.execute(before)
    run = measure(sandbox, [statement, "SELECT 1"])
    assert not run.ok
    assert run.refusal is not None
    assert run.refusal.sqlstate == sqlstate, run.refusal
    assert len(run.statements) == 1
    if "CONCURRENTLY" in statement:
        assert run.statements[0].indexes_invalid == ("shop.i",)
