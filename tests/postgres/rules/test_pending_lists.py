"""GIN pending lists, on real servers."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.pending_lists import gin_pending_list
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects

DOCUMENTS = """
CREATE EXTENSION pgstattuple;
CREATE EXTENSION pg_trgm;
CREATE TABLE docs (id int, body text)
  WITH (autovacuum_vacuum_insert_threshold = 100000, autovacuum_analyze_threshold = 100000);
INSERT INTO docs SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i;
CREATE INDEX docs_body ON docs USING gin (body gin_trgm_ops);
"""
MORE = "INSERT INTO docs SELECT i, md5(i::text) FROM generate_series(1, 3000) AS i"


def test_a_long_list_is_found_and_emptied(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(DOCUMENTS)
        assert examine(database, gin_pending_list).kind is Kind.OK
        connection.execute(MORE)
        result = examine(database, gin_pending_list)
        assert objects(result) == {"public.docs_body"}
        assert result.findings[0].evidence[0]["pending_tuples"] == 3000
        empty, off = result.findings[0].remedies
        for statement in (*off.sql, *off.inverse, *empty.sql, *empty.retry_safe):
            connection.execute(statement)
        assert examine(database, gin_pending_list).kind is Kind.OK


def test_without_pgstattuple_it_is_unknown(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (a int[]); CREATE INDEX ON t USING gin (a)")
    assert examine(database, gin_pending_list).kind is Kind.UNKNOWN


def test_no_gin_index_no_verdict(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pgstattuple; CREATE TABLE t (id int PRIMARY KEY)")
    assert examine(database, gin_pending_list).kind is Kind.NOT_APPLICABLE
