"""Redundant indexes on real servers: the adversarial tables, and what may be dropped."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.redundancy import redundant_index
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects

# Columns a .. l, so that column 1 is a text prefix of column 12.
WIDE = """
CREATE TABLE wide (a int NOT NULL, b int, c int, d text, e text, f int, g int, h int, i int, j int,
                   k int, l int);
"""
# Name of each redundant index, and what makes it so.
TRUE = {
    "prefix": "CREATE INDEX prefix ON wide (f); CREATE INDEX longer ON wide (f, g)",
    "twin_b": "CREATE INDEX twin ON wide (h); CREATE INDEX twin_b ON wide (h)",
    "plain": "CREATE UNIQUE INDEX uniq ON wide (i); CREATE INDEX plain ON wide (i)",
    "uniq_two": "CREATE UNIQUE INDEX uniq_1 ON wide (i, j); CREATE UNIQUE INDEX uniq_two "
    "ON wide (i, j)",
    "bare": "CREATE INDEX bare ON wide (j); CREATE INDEX fat ON wide (j) INCLUDE (k)",
    "with_k": "CREATE INDEX with_k ON wide (a) INCLUDE (k); CREATE INDEX a_k ON wide (a, k)",
    "part_2": "CREATE INDEX part ON wide (k) WHERE b > 0; CREATE INDEX part_2 ON wide (k) "
    "WHERE (b > 0)",
    "low": "CREATE INDEX low ON wide (lower(d)); CREATE INDEX low_a ON wide (lower(d), a)",
    "pkey_twin": "ALTER TABLE wide ADD PRIMARY KEY (a); CREATE UNIQUE INDEX pkey_twin ON wide (a)",
    "brin_2": "CREATE INDEX brin_ ON wide USING brin (l); CREATE INDEX brin_2 ON wide USING brin "
    "(l) WITH (autosummarize = on)",
    "spare": "CREATE TABLE booked (r int4range, EXCLUDE USING gist (r WITH &&));"
    "CREATE INDEX spare ON booked USING gist (r)",
}
FALSE = {
    "descending in part": "CREATE INDEX p ON wide (a, b); CREATE INDEX q ON wide (a, b DESC)",
    "descending": "CREATE INDEX p ON wide (a); CREATE INDEX q ON wide (a DESC)",
    "nulls first": "CREATE INDEX p ON wide (b); CREATE INDEX q ON wide (b NULLS FIRST)",
    "column 1 and column 12": "CREATE INDEX p ON wide (a); CREATE INDEX q ON wide (l, c)",
    "collation": 'CREATE INDEX p ON wide (d); CREATE INDEX q ON wide (d COLLATE "C")',
    "collated expression": "CREATE INDEX p ON wide (lower(d)); "
    'CREATE INDEX q ON wide (lower(d) COLLATE "C")',
    "operator class": "CREATE INDEX p ON wide (d); CREATE INDEX q ON wide (d text_pattern_ops)",
    "unique prefix of unique": "CREATE UNIQUE INDEX p ON wide (a); "
    "CREATE UNIQUE INDEX q ON wide (a, b)",
    "unique and included": "CREATE UNIQUE INDEX p ON wide (a) INCLUDE (b); "
    "CREATE UNIQUE INDEX q ON wide (a, b)",
    "index named like its column": "CREATE UNIQUE INDEX d ON wide (d); "
    "CREATE UNIQUE INDEX e ON wide (e)",
    "order of columns": "CREATE INDEX p ON wide (a, b); CREATE INDEX q ON wide (b, a)",
    "suffix": "CREATE INDEX p ON wide (b); CREATE INDEX q ON wide (a, b)",
    "key and included": "CREATE INDEX p ON wide (a, b); CREATE INDEX q ON wide (a) INCLUDE (c)",
    "method": "CREATE INDEX p ON wide (a); CREATE INDEX q ON wide USING hash (a)",
    "predicate": "CREATE INDEX p ON wide (a) WHERE b > 0; CREATE INDEX q ON wide (a)",
    "predicates": "CREATE INDEX p ON wide (a) WHERE b > 0; CREATE INDEX q ON wide (a) WHERE b > 1",
    "range size": "CREATE INDEX p ON wide USING brin (a); "
    "CREATE INDEX q ON wide USING brin (a) WITH (pages_per_range = 4)",
    "opclass parameters": "CREATE INDEX p ON wide USING gist (to_tsvector('simple', d)); "
    "CREATE INDEX q ON wide USING gist (to_tsvector('simple', d) tsvector_ops (siglen = 64))",
    "gist prefix": "CREATE TABLE g (p point, q point); CREATE INDEX p ON g USING gist (p); "
    "CREATE INDEX q ON g USING gist (p, q)",
    "constraints": "ALTER TABLE wide ADD PRIMARY KEY (a), ADD UNIQUE (a)",
    "target of a foreign key": "CREATE UNIQUE INDEX q ON wide (a); "
    "CREATE TABLE child (a int REFERENCES wide (a)); CREATE UNIQUE INDEX p ON wide (a) "
    "INCLUDE (b)",
    "replica identity": "CREATE UNIQUE INDEX p ON wide (a); ALTER TABLE wide REPLICA IDENTITY "
    "USING INDEX p; ALTER TABLE wide ADD PRIMARY KEY (a)",
    "clustered": "CREATE INDEX p ON wide (a); CREATE INDEX q ON wide (a, b); "
    "ALTER TABLE wide CLUSTER ON p",
    "deferred": "CREATE UNIQUE INDEX p ON wide (a); "
    "ALTER TABLE wide ADD CONSTRAINT q UNIQUE (a) DEFERRABLE",
}


@pytest.mark.parametrize("name", TRUE)
def test_truly_redundant(database: Database, name: str) -> None:
    with database.connect() as connection:
        connection.execute(WIDE + TRUE[name])
    assert objects(examine(database, redundant_index)) == {f"public.{name}"}


def test_all_of_them_together_and_dropped_they_leave_none(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(WIDE + ";".join(TRUE.values()))
        result = examine(database, redundant_index)
        found = objects(result)
        assert {f"public.{name}" for name in TRUE} <= found
        for finding in result.findings:
            for statement in finding.remedies[0].sql:
                connection.execute(statement)
        assert examine(database, redundant_index).kind is Kind.OK
        for finding in result.findings:
            for statement in finding.remedies[0].inverse:
                connection.execute(statement)
    assert objects(examine(database, redundant_index)) == found


@pytest.mark.parametrize("case", FALSE)
def test_not_redundant(database: Database, case: str) -> None:
    with database.connect() as connection:
        connection.execute(WIDE + FALSE[case])
    assert examine(database, redundant_index).kind is Kind.OK


@pytest.mark.postgres(since=15)
def test_nulls_not_distinct_is_stricter_and_only_that_way(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            WIDE + "CREATE UNIQUE INDEX strict ON wide (b) NULLS NOT DISTINCT;"
            "CREATE UNIQUE INDEX loose ON wide (b)"
        )
    assert objects(examine(database, redundant_index)) == {"public.loose"}


def test_partitioned_indexes_are_reported_at_the_parent(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE m (a int, b int) PARTITION BY RANGE (a);
            CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (10);
            CREATE TABLE m2 PARTITION OF m FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (a);
            CREATE TABLE m21 PARTITION OF m2 FOR VALUES FROM (10) TO (20);
            CREATE INDEX short ON m (a);
            CREATE INDEX long ON m (a, b);
            CREATE INDEX own ON m1 (b);
            CREATE INDEX own_long ON m1 (b, a);
            """
        )
        result = examine(database, redundant_index)
        assert objects(result) == {"public.short", "public.own"}
        for finding in result.findings:
            for statement in (*finding.remedies[0].sql, *finding.remedies[0].inverse):
                connection.execute(statement)
    assert objects(examine(database, redundant_index)) == {"public.short", "public.own"}
