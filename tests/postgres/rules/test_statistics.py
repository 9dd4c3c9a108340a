"""Stale and missing statistics, on real servers."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.statistics import partition_parent_never_analyzed, stale_statistics
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects
from tests.postgres.rules.consuming import wait_counted

PARTED = """
CREATE TABLE events (id int, kind int) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (5000);
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (5000) TO (100000);
INSERT INTO events SELECT i, i % 7 FROM generate_series(0, 9999) AS i;
"""


def test_a_table_never_analysed_is_found_and_analyze_cures(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 5000) AS id")
    with database.connect() as connection:
        wait_counted(connection, "t", "n_mod_since_analyze >= 5000")
        result = examine(database, stale_statistics)
        assert objects(result) == {"public.t"}
        for statement in result.findings[0].remedies[0].retry_safe:
            connection.execute(statement)
        wait_counted(connection, "t", "last_analyze IS NOT NULL")
    after = examine(database, stale_statistics)
    assert (after.kind, after.examined) == (Kind.OK, after.of)


def test_analysed_lately_it_is_left_to_autovacuum_unless_that_is_off(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 5000) AS id")
    with database.connect() as connection:
        connection.execute("ANALYZE t")
    with database.connect() as connection:
        connection.execute("INSERT INTO t SELECT generate_series(1, 5000)")
    with database.connect() as connection:
        wait_counted(connection, "t", "n_mod_since_analyze >= 5000")
        assert examine(database, stale_statistics).kind is Kind.OK
        connection.execute("ALTER TABLE t SET (autovacuum_enabled = off)")
    (found,) = examine(database, stale_statistics).findings
    assert "autovacuum is off for the table" in found.claim


def test_statistics_lost_in_a_reset_are_no_ok(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 5000) AS id; ANALYZE t")
    with database.connect() as connection:
        wait_counted(connection, "t", "last_analyze IS NOT NULL")
        assert examine(database, stale_statistics).kind is Kind.OK
        connection.execute("SELECT pg_stat_reset()")
        wait_counted(connection, "t", "last_analyze IS NULL")
    assert examine(database, stale_statistics).kind is Kind.UNKNOWN


@pytest.mark.parametrize("groups", [None, [], ["pg_monitor"], ["pg_read_all_data"]])
def test_a_parent_never_analysed_is_seen_by_every_role(
    database: Database, groups: list[str] | None
) -> None:
    """pg_stats is closed to pg_monitor; reltuples of the parent is not."""
    with database.connect() as connection:
        connection.execute(PARTED)
    with database.connect() as connection:
        wait_counted(connection, "events_2", "n_tup_ins >= 5000")
        connection.execute("ANALYZE events_1; ANALYZE events_2")
    user = "postgres" if groups is None else database.create_role(member_of=groups)
    result = examine(database, partition_parent_never_analyzed, user=user)
    assert objects(result) == {"public.events"}
    with database.connect() as connection:
        for statement in result.findings[0].remedies[0].retry_safe:
            connection.execute(statement)
    after = examine(database, partition_parent_never_analyzed, user=user)
    assert (after.kind, after.examined) == (Kind.OK, 1)


def test_a_parent_analysed_when_it_was_small_is_found(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(PARTED + "ANALYZE events;")
        assert examine(database, partition_parent_never_analyzed).kind is Kind.OK
        connection.execute("INSERT INTO events SELECT i, 1 FROM generate_series(10000, 40000) AS i")
        connection.execute("ANALYZE events_2")
    (found,) = examine(database, partition_parent_never_analyzed).findings
    assert "when it held 10,000" in found.claim


def test_an_index_on_the_parent_does_not_pass_for_an_analyze(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(PARTED + "CREATE INDEX ON events (id);")
        connection.execute("VACUUM events")
    assert objects(examine(database, partition_parent_never_analyzed)) == {"public.events"}
