"""Foreign keys without an index, on real servers with the real planner as the judge."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.foreign_keys import foreign_key_without_index
from howdah.testing import Database
from tests.diagnosing import examine, take_picture
from tests.making import objects, verdict

PARENTS = """
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE pair (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent, st text, a int, b int);
"""
PAIR = "ALTER TABLE child ADD FOREIGN KEY (a, b) REFERENCES pair; CREATE INDEX ON child (p);"

SERVED = {
    "plain": "CREATE INDEX ON child (p)",
    "first of several": "CREATE INDEX ON child (p, st)",
    "composite": PAIR + "CREATE INDEX ON child (a, b)",
    "composite in the other order": PAIR + "CREATE INDEX ON child (b, a)",
    "composite by its first column": PAIR + "CREATE INDEX ON child (a)",
    "partial on not null": "CREATE INDEX ON child (p) WHERE p IS NOT NULL",
    "hash": "CREATE INDEX ON child USING hash (p)",
    "descending": "CREATE INDEX ON child (p DESC)",
    "unique": "CREATE UNIQUE INDEX ON child (p)",
    "bigint child of an integer parent": "CREATE INDEX ON child (p); "
    "ALTER TABLE child ALTER p TYPE bigint",
    "pattern operator class": "CREATE TABLE word (w text PRIMARY KEY); CREATE TABLE use "
    "(w text REFERENCES word); CREATE INDEX ON use (w text_pattern_ops); CREATE INDEX ON child (p)",
    "varchar child of a text parent": "CREATE TABLE word (w text PRIMARY KEY); CREATE TABLE use "
    "(w varchar(9) REFERENCES word); CREATE INDEX ON use (w); CREATE INDEX ON child (p)",
    "domain": "CREATE DOMAIN d AS int; CREATE TABLE dp (x d PRIMARY KEY); CREATE TABLE dc "
    "(x d REFERENCES dp); CREATE INDEX ON dc (x); CREATE INDEX ON child (p)",
    "brin besides a hash": "CREATE INDEX ON child USING brin (p); "
    "CREATE INDEX ON child USING hash (p)",
}
UNSERVED = {
    "none": "",
    "partial on a status": "CREATE INDEX ON child (p) WHERE st = 'new'",
    "brin": "CREATE INDEX ON child USING brin (p)",
    "second column": "CREATE INDEX ON child (st, p)",
    "expression": "CREATE INDEX ON child ((p + 0))",
    "included": "CREATE INDEX ON child (st) INCLUDE (p)",
    "invalid": "CREATE INDEX broken ON child (p); UPDATE pg_catalog.pg_index SET indisvalid = "
    "false WHERE indexrelid = 'broken'::regclass",
}


@pytest.mark.parametrize("case", SERVED)
def test_served(database: Database, case: str) -> None:
    with database.connect() as connection:
        connection.execute(PARENTS + SERVED[case])
    result = examine(database, foreign_key_without_index)
    assert (result.kind, result.examined) == (Kind.OK, result.of), result.reason


@pytest.mark.parametrize("case", UNSERVED)
def test_not_served(database: Database, case: str) -> None:
    with database.connect() as connection:
        connection.execute(PARENTS + UNSERVED[case])
    result = examine(database, foreign_key_without_index)
    assert objects(result) == {"public.child.child_p_fkey"}


def test_another_collation_does_not_serve(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE word (w text PRIMARY KEY);
            CREATE TABLE use (w text REFERENCES word);
            CREATE INDEX ON use (w COLLATE "C");
            """
        )
    assert objects(examine(database, foreign_key_without_index)) == {"public.use.use_w_fkey"}


def test_an_integer_child_of_a_numeric_parent_is_compared_as_numeric(database: Database) -> None:
    """The check casts the child's column, which no index on the bare column serves."""
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE amount (n numeric PRIMARY KEY);
            CREATE TABLE use (n int REFERENCES amount);
            CREATE INDEX ON use (n);
            """
        )
    assert objects(examine(database, foreign_key_without_index)) == {"public.use.use_n_fkey"}


PARTITIONED = """
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE m (a int, p int REFERENCES parent) PARTITION BY RANGE (a);
CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (10);
CREATE TABLE m2 PARTITION OF m FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (a);
CREATE TABLE m21 PARTITION OF m2 FOR VALUES FROM (10) TO (20);
"""


@pytest.mark.parametrize(
    ("indexes", "missing"),
    [
        ("", 2),
        ("CREATE INDEX ON m1 (p)", 1),
        ("CREATE INDEX ON ONLY m (p); CREATE INDEX ON m21 (p)", 1),
        ("CREATE INDEX ON m1 (p); CREATE INDEX ON m2 USING hash (p)", 0),
        ("CREATE INDEX ON m (p)", 0),
    ],
)
def test_partitioned_tables_are_reported_once(
    database: Database, indexes: str, missing: int
) -> None:
    with database.connect() as connection:
        connection.execute(PARTITIONED + indexes)
    result = examine(database, foreign_key_without_index)
    if not missing:
        assert result.kind is Kind.OK, result.reason
        return
    assert objects(result) == {"public.m.m_p_fkey"}
    assert result.findings[0].evidence[0]["partitions_without"] == missing


@pytest.mark.parametrize("schema", [PARENTS, PARTITIONED])
def test_the_remedy_cures_and_may_be_repeated_and_taken_back(
    database: Database, schema: str
) -> None:
    with database.connect() as connection:
        connection.execute(schema)
        (finding,) = examine(database, foreign_key_without_index).findings
        remedy = finding.remedies[0]
        for statement in (*remedy.sql, *remedy.retry_safe, *remedy.retry_safe):
            connection.execute(statement)
        assert examine(database, foreign_key_without_index).kind is Kind.OK
        for statement in remedy.inverse:
            connection.execute(statement)
    assert examine(database, foreign_key_without_index).kind is Kind.FINDING


def test_without_a_planner_the_doubtful_keys_are_unknown(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(PARENTS)
    result = verdict(foreign_key_without_index, take_picture(database))
    assert result.kind is Kind.UNKNOWN


@pytest.mark.postgres(since=18)
def test_keys_that_are_not_enforced_have_no_checks(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE parent (id int PRIMARY KEY);"
            "CREATE TABLE child (p int REFERENCES parent NOT ENFORCED)"
        )
    assert examine(database, foreign_key_without_index).kind is Kind.NOT_APPLICABLE


@pytest.mark.postgres(since=18)
def test_a_temporal_key_is_served_by_the_gist_index_of_its_own(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE EXTENSION btree_gist;
            CREATE TABLE parent (id int, during daterange,
              PRIMARY KEY (id, during WITHOUT OVERLAPS));
            CREATE TABLE child (id int, p int, during daterange,
              FOREIGN KEY (p, PERIOD during) REFERENCES parent (id, PERIOD during));
            """
        )
        result = examine(database, foreign_key_without_index)
        (finding,) = result.findings
        for statement in finding.remedies[0].sql:
            connection.execute(statement)
    assert examine(database, foreign_key_without_index).kind is Kind.OK


def test_deletes_of_parents_make_it_a_warning(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            PARENTS + "INSERT INTO parent SELECT generate_series(1, 100);"
            "INSERT INTO child (id, p) SELECT i, 100 FROM generate_series(1, 20000) i;"
            "DELETE FROM parent WHERE id < 4; ANALYZE"
        )
        connection.execute("SELECT pg_catalog.pg_stat_force_next_flush()") if (
            database.major >= 15
        ) else None
    (finding,) = examine(database, foreign_key_without_index).findings
    assert finding.evidence[0]["parent_deletes"] == 3
    assert finding.harm > 0
