"""Collation drift on real servers: the recorded version is changed as an upgrade would find it."""

from __future__ import annotations

import pytest

from howdah.check.evaluate import evaluate
from howdah.check.model import Kind, Severity
from howdah.check.rules.collations import collation_drift
from howdah.snapshot import collect
from howdah.snapshot.options import QUICK
from howdah.snapshot.picture import Picture
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects

SCHEMA = """
CREATE TABLE person (id int PRIMARY KEY, name text COLLATE "{0}", code text COLLATE "C");
CREATE UNIQUE INDEX person_name ON person (name);
CREATE INDEX person_upper ON person (upper(name));
CREATE INDEX person_code ON person (code);
INSERT INTO person SELECT i, 'n' || i, 'c' || i FROM generate_series(1, 100) AS i;
"""


def versioned(database: Database) -> str:
    """A collation of which this server knows a version."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT collname FROM pg_collation WHERE collversion IS NOT NULL AND collname IN "
            "('und-x-icu', 'pg_unicode_fast') ORDER BY collname DESC"
        ).fetchone()
    assert found, "this server has neither ICU nor a built-in collation with a version"
    return str(found[0])


def test_a_collation_that_moved_lists_its_indexes_and_the_remedy_ends_it(
    database: Database,
) -> None:
    name = versioned(database)
    with database.connect() as connection:
        connection.execute(SCHEMA.format(name))
        assert examine(database, collation_drift).kind is Kind.OK
        connection.execute("UPDATE pg_collation SET collversion = '0' WHERE collname = %s", [name])
        result = examine(database, collation_drift)
        assert objects(result) == {f"collation pg_catalog.{name}"}
        (finding,) = result.findings
        assert finding.severity is Severity.CRITICAL
        assert {row["index"] for row in finding.evidence[1:]} == {
            "public.person_name",
            "public.person_upper",
        }
        for statement in (*finding.remedies[0].sql, *finding.remedies[0].retry_safe):
            connection.execute(statement)
    assert examine(database, collation_drift).kind is Kind.OK


@pytest.mark.postgres(since=15, until=17)  # the 18 that the tests run on is built without ICU
def test_a_databases_own_collation_that_moved(database: Database) -> None:
    name = f"{database.name}_icu"
    locale = "LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C'"
    with database.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 {locale}")
        try:
            dsn = database.server.dsn(name)
            with database.server.connect(name) as inside:
                inside.execute("CREATE TABLE person (name text)")
                inside.execute("CREATE INDEX person_name ON person (name)")
                inside.commit()
                assert verdict_of(dsn)[0] is Kind.OK
                inside.execute(
                    "UPDATE pg_database SET datcollversion = '0' WHERE datname = %s", [name]
                )
                inside.commit()
            assert verdict_of(dsn) == (Kind.FINDING, {f"database {name}"})
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def verdict_of(dsn: str) -> tuple[Kind, set[str]]:
    picture = Picture(collect.take(dsn, QUICK))
    (result,) = evaluate(picture, [collation_drift], {})
    return result.kind, {finding.object for finding in result.findings}


def test_indexes_in_byte_order_are_not_applicable(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(SCHEMA.format("C"))
    assert examine(database, collation_drift).kind is Kind.NOT_APPLICABLE
