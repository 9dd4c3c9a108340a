"""Bloat that estimators see where none is, and miss where it is: T27 and T28."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.space import BTREE_FILLFACTOR, index_waste, table_bloat
from howdah.snapshot.facts.measured import IndexSpace
from howdah.snapshot.picture import PAGE_BYTES
from howdah.testing import Database
from tests.diagnosing import examine, take_picture


def measured(database: Database, index: str) -> IndexSpace:
    picture = take_picture(database)
    oid = next(row.oid for row in picture.snapshot.indexes.rows if row.name == index)
    return next(row for row in picture.snapshot.index_space.rows if row.index == oid)


def test_t27_waste_of_a_deduplicated_index_is_what_reindex_frees(database: Database) -> None:
    """One entry stands for many rows, so rows x width says nothing about its proper size."""
    with database.connect() as connection:
        connection.execute(
            """
            CREATE EXTENSION pgstattuple;
            CREATE TABLE t (k bigint, n int) WITH (autovacuum_enabled = false);
            INSERT INTO t SELECT i % 50, i FROM generate_series(1, 200000) AS i;
            CREATE INDEX t_k ON t (k);
            ANALYZE t;
            """
        )
        fresh = measured(database, "t_k")
        connection.execute("DELETE FROM t WHERE n % 7 > 0")
        connection.execute("VACUUM ANALYZE t")
        left = measured(database, "t_k")
        connection.execute("REINDEX INDEX t_k")
        rebuilt = measured(database, "t_k")
    naive_pages = 200_000 * 16 / PAGE_BYTES  # of entries as they would be one by one
    assert fresh.leaf_pages < naive_pages / 2, "the index is deduplicated, else this tests nothing"
    assert index_waste(fresh, BTREE_FILLFACTOR) < 0.1
    freed = 1 - rebuilt.leaf_pages / left.leaf_pages
    assert freed > 0.5
    assert index_waste(left, BTREE_FILLFACTOR) == pytest.approx(freed, abs=0.1)


STALE = """
CREATE TABLE t (id int, body text) WITH (autovacuum_enabled = false);
ALTER TABLE t ALTER body SET STORAGE PLAIN;
INSERT INTO t SELECT i, 'x' FROM generate_series(1, 30000) AS i;
ANALYZE t;
TRUNCATE t;
INSERT INTO t SELECT i, repeat('x', 700) FROM generate_series(1, 30000) AS i;
"""


def test_t28_rows_wider_than_their_statistics_are_no_bloat(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(STALE)
        blind = examine(database, table_bloat)
        connection.execute("CREATE EXTENSION pgstattuple")
        snapshot = take_picture(database).snapshot
        seeing = examine(database, table_bloat)
    width = sum(row.average_width for row in snapshot.column_statistics.rows)
    size = max(row.bytes for row in snapshot.table_space.rows)
    assert size > 2 * 30_000 * (width + 28), "an estimator must see bloat, else this tests nothing"
    assert blind.kind is Kind.UNKNOWN
    assert (seeing.kind, seeing.examined) == (Kind.OK, 1)
