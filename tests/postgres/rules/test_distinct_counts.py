"""Distinct counts against uniqueness and foreign keys, on real servers."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.distinct_counts import n_distinct_off
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects
from tests.postgres.rules.consuming import wait_counted

ITEMS = """
CREATE TABLE orders (id int PRIMARY KEY);
INSERT INTO orders SELECT generate_series(1, 20000);
CREATE TABLE items (order_id int NOT NULL, line int NOT NULL, UNIQUE (order_id, line));
INSERT INTO items SELECT o, l FROM generate_series(1, 20000) AS o, generate_series(1, 5) AS l;
"""
FOREIGN = "ALTER TABLE items ADD FOREIGN KEY (order_id) REFERENCES orders;"


def analyze(database: Database, *tables: str) -> None:
    """In a session of its own: counts of an INSERT must not arrive after the ANALYZE."""
    with database.connect() as connection:
        for table in tables:
            wait_counted(connection, table, "n_mod_since_analyze > 0")
            connection.execute(f"ANALYZE {table}")
    with database.connect() as connection:
        for table in tables:
            wait_counted(connection, table, "n_mod_since_analyze = 0")


def test_a_true_count_is_fine(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(ITEMS + FOREIGN)
    analyze(database, "orders", "items")
    result = examine(database, n_distinct_off)
    assert (result.kind, result.examined, result.of) == (Kind.OK, 2, 2)


def test_a_sample_too_small_for_the_key_is_found_and_declared(database: Database) -> None:
    """A number as a small sample gives it: but the key knows better."""
    with database.connect() as connection:
        connection.execute(ITEMS)
        connection.execute("ALTER TABLE items ALTER order_id SET (n_distinct = 1000)")
    analyze(database, "orders", "items")
    with database.connect() as connection:
        result = examine(database, n_distinct_off)
        assert objects(result) == {"public.items.order_id"}
        assert "at least 20,000" in result.findings[0].claim
        declare, sample = result.findings[0].remedies
        for statement in (*declare.sql, *declare.retry_safe):
            connection.execute(statement)
        assert examine(database, n_distinct_off).kind is Kind.OK
        for statement in (*declare.inverse, *sample.sql):
            connection.execute(statement)
        assert examine(database, n_distinct_off).kind is Kind.OK
        for statement in sample.inverse:
            connection.execute(statement)


def test_more_references_than_rows_are_found(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(ITEMS + FOREIGN)
        connection.execute("ALTER TABLE items ALTER order_id SET (n_distinct = -1)")
    analyze(database, "orders", "items")
    (found,) = examine(database, n_distinct_off).findings
    assert "at most 20,000" in found.claim


def test_a_column_unique_by_itself_is_the_planners_own_knowledge(database: Database) -> None:
    """Whatever its statistics say: the premise of leaving it out, shown by a real planner."""
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE t (id int PRIMARY KEY);
            INSERT INTO t SELECT generate_series(1, 20000);
            ALTER TABLE t ALTER id SET (n_distinct = 5);
            ANALYZE t;
            """
        )
        row = connection.execute("EXPLAIN (FORMAT json) SELECT id FROM t GROUP BY id").fetchone()
        assert row is not None
        assert row[0][0]["Plan"]["Plan Rows"] == 20000
    assert examine(database, n_distinct_off).kind is Kind.NOT_APPLICABLE


@pytest.mark.parametrize("groups", [[], ["pg_monitor"]])
def test_roles_that_do_not_see_pg_stats_are_told_so(database: Database, groups: list[str]) -> None:
    with database.connect() as connection:
        connection.execute(ITEMS)
    analyze(database, "orders", "items")
    role = database.create_role(member_of=groups)
    assert examine(database, n_distinct_off, user=role).kind is Kind.UNKNOWN
