"""Publications on real servers: what the server refuses, the rules foresee."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.publications import publication_traps, published_without_identity
from howdah.testing import Database
from tests.applying import cure, found
from tests.diagnosing import examine

Refused = psycopg.errors.ObjectNotInPrerequisiteState
FILTERS_SINCE = 15


def test_tables_that_the_server_refuses_to_update(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE keyless (a int); INSERT INTO keyless VALUES (1);
            CREATE TABLE postponed (a int PRIMARY KEY DEFERRABLE); INSERT INTO postponed VALUES (1);
            CREATE TABLE unnamed (a int PRIMARY KEY); INSERT INTO unnamed VALUES (1);
            ALTER TABLE unnamed REPLICA IDENTITY NOTHING;
            CREATE TABLE orphan (a int NOT NULL UNIQUE); INSERT INTO orphan VALUES (1);
            ALTER TABLE orphan REPLICA IDENTITY USING INDEX orphan_a_key;
            ALTER TABLE orphan DROP CONSTRAINT orphan_a_key;
            CREATE TABLE keyed (a int PRIMARY KEY); INSERT INTO keyed VALUES (1);
            CREATE TABLE whole (a int); INSERT INTO whole VALUES (1);
            ALTER TABLE whole REPLICA IDENTITY FULL;
            CREATE PUBLICATION feed
            FOR TABLE keyless, postponed, unnamed, orphan, keyed, whole;
            """
        )
        refused = set()
        for table in ("keyless", "postponed", "unnamed", "orphan", "keyed", "whole"):
            try:
                connection.execute(f"UPDATE {table} SET a = 2".encode())
            except Refused:
                refused.add(f"public.{table}")
        result = examine(database, published_without_identity)
        assert found(result) == refused
        assert len(refused) == 4
        cure(database, published_without_identity, "public.keyless")
        cure(database, published_without_identity, "public.unnamed")
        connection.execute("UPDATE keyless SET a = 3; UPDATE unnamed SET a = 3")


def test_a_unique_index_becomes_the_identity(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE t (a int NOT NULL UNIQUE, b text); INSERT INTO t VALUES (1);
            CREATE PUBLICATION feed FOR TABLE t;
            """
        )
        remedy = cure(database, published_without_identity, "public.t")
        assert "USING INDEX" in remedy.sql[0]
        connection.execute("UPDATE t SET b = 'x'")


@pytest.mark.parametrize("root", ["true", "false"])
def test_one_partition_stops_updates_through_the_parent(database: Database, root: str) -> None:
    """T33: the row lives in the partition that has a key."""
    with database.connect() as connection:
        connection.execute(
            f"""
            CREATE TABLE m (a int, b int) PARTITION BY LIST (a);
            CREATE TABLE m_1 PARTITION OF m FOR VALUES IN (1);
            CREATE TABLE m_2 PARTITION OF m (PRIMARY KEY (a, b)) FOR VALUES IN (2);
            INSERT INTO m VALUES (2, 2);
            CREATE PUBLICATION feed FOR TABLE m WITH (publish_via_partition_root = {root});
            """.encode()
        )
        with pytest.raises(Refused):
            connection.execute("UPDATE m SET b = 3 WHERE b = 2")
        (finding,) = examine(database, published_without_identity).findings
        assert finding.object == "public.m"
        assert [row["table"] for row in finding.evidence] == ["public.m_1"]
        cure(database, published_without_identity, "public.m")
        connection.execute("UPDATE m SET b = 3 WHERE b = 2")


def test_inserts_alone_need_no_identity(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE t (a int); CREATE PUBLICATION feed FOR TABLE t WITH (publish = 'insert')"
        )
    assert examine(database, published_without_identity).kind is Kind.NOT_APPLICABLE
    assert examine(database, publication_traps).kind is Kind.OK


def test_without_publications_nothing_applies(database: Database) -> None:
    assert examine(database, published_without_identity).kind is Kind.NOT_APPLICABLE


def test_lists_and_filters_must_cover_the_identity(database: Database) -> None:
    if database.major < FILTERS_SINCE:
        pytest.skip("column lists and row filters came with 15")
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE listed (a int PRIMARY KEY, b int); INSERT INTO listed VALUES (1, 1);
            CREATE TABLE filtered (a int PRIMARY KEY, b int); INSERT INTO filtered VALUES (1, 1);
            CREATE TABLE fine (a int PRIMARY KEY, b int); INSERT INTO fine VALUES (1, 1);
            CREATE TABLE whole (a int, b int); INSERT INTO whole VALUES (1, 1);
            ALTER TABLE whole REPLICA IDENTITY FULL;
            CREATE TABLE whole_listed (a int, b int); INSERT INTO whole_listed VALUES (1, 1);
            ALTER TABLE whole_listed REPLICA IDENTITY FULL;
            CREATE PUBLICATION feed FOR TABLE
              listed (b), filtered WHERE (b > 0), fine (a, b) WHERE (a > 0), whole WHERE (b > 0),
              whole_listed (a);
            """
        )
        refused = set()
        for table in ("listed", "filtered", "fine", "whole", "whole_listed"):
            try:
                connection.execute(f"UPDATE {table} SET b = 2".encode())
            except psycopg.DatabaseError:
                refused.add(f"public.{table}")
    result = examine(database, publication_traps)
    assert found(result) == refused == {"public.listed", "public.filtered", "public.whole_listed"}
    assert {finding.severity for finding in result.findings} == {Severity.CRITICAL}


def test_partitions_left_out(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE m (a int PRIMARY KEY) PARTITION BY LIST (a);
            CREATE TABLE m_1 PARTITION OF m FOR VALUES IN (1);
            CREATE TABLE m_2 PARTITION OF m FOR VALUES IN (2);
            CREATE TABLE n (a int PRIMARY KEY) PARTITION BY LIST (a);
            CREATE TABLE n_1 PARTITION OF n FOR VALUES IN (1);
            CREATE PUBLICATION feed FOR TABLE m_1, n;
            """
        )
    assert found(examine(database, publication_traps)) == {"public.m"}
