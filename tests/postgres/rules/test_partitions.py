"""The future of partitions on real servers: bounds as each server prints them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from howdah.check.knowledge.bounds import following
from howdah.check.model import Kind, Severity
from howdah.check.rules.partitions import default_partition_filling, no_future_partition
from howdah.testing import Database
from tests.applying import cure, found
from tests.diagnosing import examine, take_picture

TYPES = ("date", "timestamp", "timestamptz")


def parent(database: Database, name: str, type: str, *bounds: tuple[str, str]) -> None:
    parts = "".join(
        f"CREATE TABLE {name}_{n} PARTITION OF {name} FOR VALUES FROM ('{a}') TO ('{b}');"
        for n, (a, b) in enumerate(bounds)
    )
    with database.connect() as connection:
        connection.execute(
            f"""
            CREATE TABLE {name} (at {type} NOT NULL, n int, PRIMARY KEY (at, n))
            PARTITION BY RANGE (at); {parts}
            """.encode()
        )


def month(offset: int) -> str:
    """The first day of the month so many months from now, by the tests' clock."""
    start = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    index = start.year * 12 + start.month - 1 + offset
    return f"{index // 12:04}-{index % 12 + 1:02}-01"


NOW = datetime.now(UTC)


@pytest.mark.parametrize("type", TYPES)
def test_months_that_end(database: Database, type: str) -> None:
    parent(database, "ended", type, (month(-3), month(-2)), (month(-2), month(-1)))
    parent(
        database, "ahead", type, (month(-1), month(0)), (month(0), month(1)), (month(1), month(2))
    )
    parent(database, "endless", type, (month(-1), month(0)), (month(0), "infinity"))
    parent(database, "archive", type, ("2001-01-01", "2001-02-01"), ("2001-02-01", "2001-03-01"))
    result = examine(database, no_future_partition)
    assert found(result) == {"public.ended"}
    assert result.findings[0].severity is Severity.CRITICAL
    assert result.examined == result.of == 4
    cure(database, no_future_partition, "public.ended")
    with database.connect() as connection:
        connection.execute(f"INSERT INTO ended VALUES ('{NOW:%Y-%m-%d %H:%M:%S}+00', 1)".encode())


def test_what_was_written_to_a_new_partition_survives_a_retry(database: Database) -> None:
    parent(database, "ended", "date", (month(-2), month(-1)))
    (finding,) = examine(database, no_future_partition).findings
    (remedy,) = finding.remedies
    with database.connect() as connection:
        for statement in remedy.sql:
            connection.execute(statement.encode())
        connection.execute(f"INSERT INTO ended VALUES ('{month(0)}', 1)".encode())
        for statement in remedy.retry_safe:
            connection.execute(statement.encode())
        assert connection.execute("SELECT count(*) FROM ended").fetchone() == (1,)


def test_new_partitions_follow_in_the_servers_own_zone(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(f"ALTER DATABASE {database.name} SET timezone = 'Asia/Kolkata'".encode())
    parent(database, "ended", "timestamptz", (month(-2), month(-1)))
    cure(database, no_future_partition, "public.ended")


def test_tenants_get_their_partitions_together(database: Database) -> None:
    tenants = "".join(
        f"""
        CREATE TABLE t_{n} PARTITION OF t FOR VALUES IN ({n}) PARTITION BY RANGE (at);
        CREATE TABLE t_{n}_old PARTITION OF t_{n}
        FOR VALUES FROM ('{month(-2)}') TO ('{month(-1)}');
        """
        for n in (1, 2)
    )
    with database.connect() as connection:
        connection.execute(
            f"CREATE TABLE t (tenant int, at date) PARTITION BY LIST (tenant); {tenants}".encode()
        )
    (finding,) = examine(database, no_future_partition).findings
    assert finding.object == "public.t"
    assert len(finding.evidence) == 2
    cure(database, no_future_partition, "public.t")


def test_default_partitions(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE by_time (at date) PARTITION BY RANGE (at);
            CREATE TABLE by_time_rest PARTITION OF by_time DEFAULT;
            INSERT INTO by_time VALUES ('2026-01-01'), ('2026-01-02');
            CREATE TABLE by_kind (kind text) PARTITION BY LIST (kind);
            CREATE TABLE by_kind_rest PARTITION OF by_kind DEFAULT;
            INSERT INTO by_kind VALUES ('other');
            CREATE TABLE empty (at date) PARTITION BY RANGE (at);
            CREATE TABLE empty_rest PARTITION OF empty DEFAULT;
            ANALYZE;
            """
        )
    result = examine(database, default_partition_filling)
    assert {f.object: f.severity for f in result.findings} == {
        "public.by_time": Severity.WARNING,
        "public.by_kind": Severity.NOTICE,
    }
    assert (result.examined, result.of) == (3, 3)


def test_without_partitions_nothing_applies(database: Database) -> None:
    assert examine(database, no_future_partition).kind is Kind.NOT_APPLICABLE
    assert examine(database, default_partition_filling).kind is Kind.NOT_APPLICABLE


@pytest.mark.parametrize("style", ["ISO, MDY", "German", "SQL, DMY"])
def test_bounds_are_read_in_every_date_style(database: Database, style: str) -> None:
    """The snapshot's session must print ISO, whatever the database's own style."""
    parent(database, "ended", "date", (month(-2), month(-1)))
    with database.connect() as connection:
        connection.execute(f"ALTER DATABASE {database.name} SET datestyle = '{style}'".encode())
    bounds = {row.bound for row in take_picture(database).snapshot.inheritance.rows}
    assert bounds == {f"FOR VALUES FROM ('{month(-2)}') TO ('{month(-1)}')"}


def test_following_agrees_with_the_servers_intervals(database: Database) -> None:
    with database.connect() as connection:
        for months in (1, 3, 12):
            row = connection.execute(
                "SELECT u, u + make_interval(months => %(m)s) FROM (SELECT '2026-01-01'::timestamp"
                " + make_interval(months => %(m)s) AS u) AS s",
                {"m": months},
            ).fetchone()
            assert row is not None
            assert following(datetime(2026, 1, 1), row[0]) == row[1]
