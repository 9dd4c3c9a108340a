"""Low visibility maps under index-only scans, on real servers."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.visibility import low_all_visible
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects
from tests.postgres.rules.consuming import wait_counted

ORDERS = """
CREATE TABLE orders (id int PRIMARY KEY, customer int, note text);
ALTER TABLE orders ALTER note SET STORAGE PLAIN;
INSERT INTO orders SELECT i, i % 100, repeat('x', 500) FROM generate_series(1, 30000) AS i;
ANALYZE orders;
"""
INDEX_ONLY = "SELECT count(*) FROM orders WHERE id < 25000"
NEWEST = "SELECT id FROM orders WHERE id < 25000 ORDER BY id DESC LIMIT 10"
BITMAP = "SELECT count(note) FROM orders WHERE id < 25000"


def scan(database: Database, statement: str, *switches: str) -> None:
    with database.connect() as connection:
        for switch in ("enable_seqscan", *switches):
            connection.execute(f"SET {switch} = off")
        for _ in range(3):
            connection.execute(statement)
    with database.connect() as connection:
        wait_counted(connection, "orders", "idx_scan >= 3")


def test_index_only_scans_on_a_half_visible_table_are_found(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(ORDERS)
        connection.execute("VACUUM orders")
        connection.execute("UPDATE orders SET customer = 0 WHERE id > 20000 AND id % 3 = 0")
        connection.execute("ANALYZE orders")
    scan(database, INDEX_ONLY, "enable_bitmapscan")
    result = examine(database, low_all_visible)
    assert objects(result) == {"public.orders"}
    (found,) = result.findings
    assert found.evidence[0]["index_only_scans_shown_by"] == "counters"
    with database.connect() as connection:
        for statement in found.remedies[0].retry_safe:
            connection.execute(statement)
    after = examine(database, low_all_visible)
    assert (after.kind, after.examined) == (Kind.OK, 1)


def test_bitmap_scans_alone_are_no_evidence(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(ORDERS)
    scan(database, BITMAP, "enable_indexscan", "enable_indexonlyscan")
    # By the counters there is nothing, and the planner cannot tell: no finding, and no ok.
    assert examine(database, low_all_visible).kind is Kind.UNKNOWN


def test_a_table_with_no_page_marked_is_left_to_the_planner(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(ORDERS)
    scan(database, NEWEST, "enable_bitmapscan")
    (found,) = examine(database, low_all_visible).findings
    assert "planner" in found.evidence[0]["index_only_scans_shown_by"]


def test_a_bitmap_scan_of_empty_tables_tells_nothing(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(ORDERS)
    scan(database, INDEX_ONLY, "enable_bitmapscan")
    assert examine(database, low_all_visible).kind is Kind.UNKNOWN
