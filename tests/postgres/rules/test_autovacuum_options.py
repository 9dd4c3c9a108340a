"""Autovacuum switched off, or with thresholds that do not suit, on real servers."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.autovacuum_options import autovacuum_off, vacuum_thresholds
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer
from tests.diagnosing import examine
from tests.making import objects, verdict
from tests.postgres.rules.consuming import wait_counted

OFF = {
    "table": "CREATE TABLE t (id int, body text); ALTER TABLE t SET (autovacuum_enabled = false)",
    "written otherwise": "CREATE TABLE t (id int) WITH (autovacuum_enabled = 0)",
    "toast": "CREATE TABLE t (body text) WITH (toast.autovacuum_enabled = off)",
    "both": "CREATE TABLE t (body text) WITH (autovacuum_enabled = off, "
    "toast.autovacuum_enabled = off)",
    "materialised view": "CREATE MATERIALIZED VIEW t WITH (autovacuum_enabled = off) AS SELECT 1",
}


@pytest.mark.parametrize("case", OFF)
def test_a_tables_switch_is_found_and_its_remedy_works_both_ways(
    database: Database, case: str
) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE fine (id int) WITH (autovacuum_enabled = true)")
        assert examine(database, autovacuum_off).kind is Kind.OK
        connection.execute(OFF[case])
        (found,) = examine(database, autovacuum_off).findings
        assert (found.object, found.severity) == ("public.t", Severity.NOTICE)
        remedy = found.remedies[0]
        for statement in (*remedy.sql, *remedy.retry_safe, *remedy.retry_safe):
            connection.execute(statement)
        assert examine(database, autovacuum_off).kind is Kind.OK
        for statement in remedy.inverse:
            connection.execute(statement)
    assert objects(examine(database, autovacuum_off)) == {"public.t"}


def test_dead_rows_make_it_a_warning(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int) WITH (autovacuum_enabled = off)")
        connection.execute("INSERT INTO t SELECT generate_series(1, 5000)")
    with database.connect() as connection:
        connection.execute("DELETE FROM t")
    with database.connect() as connection:
        wait_counted(connection, "t", "n_dead_tup >= 5000")
    (found,) = examine(database, autovacuum_off).findings
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize("setting", ["autovacuum", "track_counts"])
def test_the_servers_switch(own_server: OwnServer, setting: str) -> None:
    server = own_server()
    with server.connect() as connection:
        connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")

    def look() -> Picture:
        return Picture(collect.take(server.dsn(), Options(sample_seconds=0)))

    # A new session shows the new value as soon as the postmaster has read it.
    assert wait_until(lambda: verdict(autovacuum_off, look()).findings)
    (found,) = verdict(autovacuum_off, look()).findings
    assert (found.object, found.severity) == ("server", Severity.CRITICAL)
    with server.connect() as connection:
        for statement in found.remedies[0].sql:
            connection.execute(statement)
    wait_until(lambda: verdict(autovacuum_off, look()).kind is Kind.OK)


def test_thresholds_of_small_tables_are_nobodys_concern(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id; ANALYZE t")
    assert examine(database, vacuum_thresholds).kind is Kind.NOT_APPLICABLE


def test_a_large_table_without_a_window_is_unknown(database: Database) -> None:
    """The server is seconds old: no rate can be had of it, and none is made up."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000000) AS id; ANALYZE t")
    result = examine(database, vacuum_thresholds)
    assert (result.kind, result.of) == (Kind.UNKNOWN, 1)
