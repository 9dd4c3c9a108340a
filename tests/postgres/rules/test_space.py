"""Bloat and empty index pages, measured on real servers."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.space import index_bloat, queue_index_pages, table_bloat
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects

WIDE = """
CREATE EXTENSION pgstattuple;
CREATE TABLE t (id int, body text);
ALTER TABLE t ALTER body SET STORAGE PLAIN;
INSERT INTO t SELECT i, repeat('x', 700) FROM generate_series(1, 30000) AS i;
ANALYZE t;
"""


def test_a_nearly_empty_table_is_found(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(WIDE)
        assert examine(database, table_bloat).kind is Kind.OK
        connection.execute("DELETE FROM t WHERE id % 20 > 0")
        connection.execute("VACUUM t")
        (found,) = examine(database, table_bloat).findings
        truth = connection.execute("SELECT free_percent FROM pgstattuple('t')").fetchone()
        assert truth is not None
        wasted = found.evidence[0]["wasted_fraction"]
        assert wasted == pytest.approx(truth[0] / 100, abs=0.02)
        connection.execute(found.remedies[0].sql[0])
    assert examine(database, table_bloat).kind is Kind.OK


def test_without_pgstattuple_or_the_right_to_use_it_it_is_unknown(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
        for rule in (table_bloat, index_bloat, queue_index_pages):
            assert examine(database, rule).kind is Kind.UNKNOWN
        connection.execute("CREATE EXTENSION pgstattuple")
        connection.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    role = database.create_role()
    for rule in (table_bloat, index_bloat, queue_index_pages):
        assert examine(database, rule, user=role).kind is Kind.UNKNOWN


def test_a_monitor_may_measure(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(WIDE)
    role = database.create_role(member_of=["pg_monitor"])
    assert examine(database, table_bloat, user=role).kind is Kind.OK


def test_a_sparse_index_is_found_and_reindex_cures(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE EXTENSION pgstattuple;
            CREATE TABLE t (id int, k text);
            INSERT INTO t SELECT i, lpad(i::text, 60, '0') FROM generate_series(1, 200000) AS i;
            CREATE INDEX t_k ON t (k);
            """
        )
        assert examine(database, index_bloat).kind is Kind.OK
        connection.execute("DELETE FROM t WHERE id % 5 > 0")
        connection.execute("VACUUM t")
        (found,) = examine(database, index_bloat).findings
        assert found.object == "public.t_k"
        for statement in found.remedies[0].retry_safe:
            connection.execute(statement)
    assert examine(database, index_bloat).kind is Kind.OK


def test_a_queues_emptied_index_is_found_and_reindex_cures(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE EXTENSION pgstattuple;
            CREATE TABLE queue (id int PRIMARY KEY);
            INSERT INTO queue SELECT generate_series(1, 60000);
            """
        )
        assert examine(database, queue_index_pages).kind is Kind.OK
        connection.execute("DELETE FROM queue WHERE id < 59000")
        connection.execute("VACUUM queue")
        result = examine(database, queue_index_pages)
        assert objects(result) == {"public.queue_pkey"}
        for remedy in result.findings[0].remedies:
            for statement in remedy.retry_safe:
                connection.execute(statement)
    assert examine(database, queue_index_pages).kind is Kind.OK
