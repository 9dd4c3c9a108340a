"""Ranges, correlations and histograms, on real servers and their real estimates."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.estimates import beyond_last_bound, correlation_off, histogram_looks_wrong
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects
from tests.postgres.rules.consuming import wait_counted

GROWING = """
CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, x int) WITH (autovacuum_enabled = false);
INSERT INTO t (x) SELECT 1 FROM generate_series(1, 20000);
ANALYZE t;
"""


def estimate(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchone()
    assert row is not None
    return int(row[0][0]["Plan"]["Plan Rows"])


@pytest.mark.parametrize("indexed", [False, True])
def test_rows_past_the_last_bound_are_found_and_analyze_cures(
    database: Database, indexed: bool
) -> None:
    with database.connect() as connection:
        connection.execute(GROWING)
        if indexed:
            connection.execute("CREATE INDEX ON t (id)")
    assert examine(database, beyond_last_bound).kind is Kind.OK
    with database.connect() as connection:
        connection.execute("INSERT INTO t (x) SELECT 1 FROM generate_series(1, 25000)")
    with database.connect() as connection:
        wait_counted(connection, "t", "n_mod_since_analyze >= 25000")
        (found,) = examine(database, beyond_last_bound).findings
        assert found.object == "public.t.id"
        assert found.severity is (Severity.NOTICE if indexed else Severity.WARNING)
        # The claim is about estimates: here they are, too low by a factor of ten at least.
        newest = "SELECT * FROM t WHERE id > 20000"
        assert estimate(connection, newest) < 2500
        for statement in found.remedies[0].retry_safe:
            connection.execute(statement)
        assert estimate(connection, newest) == pytest.approx(25000, rel=0.1)
        wait_counted(connection, "t", "n_mod_since_analyze = 0")
    assert examine(database, beyond_last_bound).kind is Kind.OK


def test_a_growing_table_between_two_automatic_analyzes_is_healthy(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(GROWING + "ALTER TABLE t RESET (autovacuum_enabled)")
        connection.execute("INSERT INTO t (x) SELECT 1 FROM generate_series(1, 1900)")
    with database.connect() as connection:
        wait_counted(connection, "t", "n_mod_since_analyze >= 1900")
    assert examine(database, beyond_last_bound).kind is Kind.OK


@pytest.mark.parametrize("group", [None, "pg_monitor"])
def test_roles_that_do_not_see_pg_stats_never_say_ok(database: Database, group: str | None) -> None:
    with database.connect() as connection:
        connection.execute(GROWING + "CREATE INDEX ON t (x);")
    role = database.create_role(member_of=[group] if group else [])
    for rule in (beyond_last_bound, correlation_off, histogram_looks_wrong):
        result = examine(database, rule, user=role)
        assert result.kind in (Kind.UNKNOWN, Kind.NOT_APPLICABLE), (rule.id, result.reason)


def test_a_correlation_that_the_rows_order_contradicts(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id bigserial, x int)")
        # By hand and shuffled at first, then from the sequence.
        connection.execute(
            "INSERT INTO t SELECT i, 0 FROM generate_series(1, 500) AS i ORDER BY md5(i::text)"
        )
        connection.execute("SELECT setval('t_id_seq', 500)")
        connection.execute("ANALYZE t")
        connection.execute("INSERT INTO t (x) SELECT 1 FROM generate_series(1, 20000)")
    with database.connect() as connection:
        wait_counted(connection, "t", "n_tup_ins >= 20500")
        connection.execute("VACUUM t")
        (found,) = examine(database, correlation_off).findings
        assert found.object == "public.t.id"
        for statement in found.remedies[0].sql:
            connection.execute(statement)
    assert examine(database, correlation_off).kind is Kind.OK


def test_a_histogram_of_the_few_is_explained(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE t (status int, even int);
            INSERT INTO t SELECT CASE WHEN i % 20 = 0 THEN i ELSE i % 5 END, i
              FROM generate_series(1, 20000) AS i;
            CREATE INDEX ON t (status);
            CREATE INDEX ON t (even);
            ANALYZE t;
            """
        )
    result = examine(database, histogram_looks_wrong)
    assert objects(result) == {"public.t"}
    assert "public.t.status" in result.findings[0].claim
    assert (result.examined, result.of) == (2, 2)
