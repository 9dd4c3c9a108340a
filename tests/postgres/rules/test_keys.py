"""Random UUID keys, measured on real servers."""

from __future__ import annotations

import pytest

from howdah.check.model import Confidence, Kind
from howdah.check.rules.keys import random_uuid_key
from howdah.testing import Database, wait_until
from tests.diagnosing import examine
from tests.making import objects

# Ordered keys of every major: the time first, as version 7 has it.
SCHEMA = """
CREATE EXTENSION pg_stat_statements;
CREATE EXTENSION pgstattuple;
CREATE TABLE random (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n int);
CREATE TABLE ordered (id uuid PRIMARY KEY, n int);
"""


def fill(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(SCHEMA)
        for _ in range(4):
            connection.execute("INSERT INTO random (n) SELECT generate_series(1, 5000)")
            connection.execute(
                "INSERT INTO ordered SELECT lpad(to_hex((SELECT count(*) FROM ordered) + i),"
                " 32, '0')::uuid, i FROM generate_series(1, 5000) AS i"
            )
    wait_until(lambda: inserted(database) == 20_000)


def inserted(database: Database) -> int:
    with database.connect() as connection:
        found = connection.execute(
            "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'random'"
        ).fetchone()
    return int(found[0]) if found else 0


def test_random_keys_are_found_and_ordered_ones_are_not(database: Database) -> None:
    fill(database)
    result = examine(database, random_uuid_key)
    assert objects(result) == {"public.random_pkey"}
    assert (result.examined, result.of) == (2, 2)
    (finding,) = result.findings
    assert finding.confidence is Confidence.PROVEN
    row = finding.evidence[0]
    assert 0.6 < row["leaf_density_share"] < 0.78
    assert row["fragmentation_share"] > 0.4
    assert row["column_default"] == "gen_random_uuid()"
    assert row["full_page_images_per_inserted_row"] is not None


@pytest.mark.postgres(since=18)
def test_the_remedy_makes_it_ok_and_the_inverse_restores_the_default(database: Database) -> None:
    fill(database)
    (finding,) = examine(database, random_uuid_key).findings
    (remedy,) = finding.remedies
    with database.connect() as connection:
        for statement in (*remedy.sql, *remedy.retry_safe, *remedy.retry_safe):
            connection.execute(statement)
        connection.execute("INSERT INTO random (n) SELECT generate_series(1, 5000)")
        assert examine(database, random_uuid_key).kind is Kind.OK
        for statement in remedy.inverse:
            connection.execute(statement)
    with database.connect() as connection:
        default = connection.execute(
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'random'::regclass"
        ).fetchone()
    assert default == ("gen_random_uuid()",)


def test_without_pgstattuple_it_is_unknown(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE random (id uuid PRIMARY KEY)")
    result = examine(database, random_uuid_key)
    assert result.kind is Kind.UNKNOWN
    assert "pgstattuple" in result.reason
