"""Freezing that does not happen, on real servers."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.freezing import anti_wraparound_starved, temp_table_age
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer
from tests.diagnosing import examine
from tests.making import objects, verdict
from tests.postgres.rules.consuming import burn_xids

IMPATIENT = "WITH (autovacuum_freeze_max_age = 100000)"


def test_a_table_passed_over_is_starved_until_it_is_vacuumed(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(f"CREATE TABLE t (id int) {IMPATIENT}; CREATE TABLE u (id int)")
        assert examine(database, anti_wraparound_starved).kind is Kind.OK
        burn_xids(connection, 112_000)
        result = examine(database, anti_wraparound_starved)
        assert objects(result) == {"public.t"}
        assert "workers are free" in result.findings[0].claim
        for statement in result.findings[0].remedies[-1].sql:
            connection.execute(statement)
    assert examine(database, anti_wraparound_starved).kind is Kind.OK


def test_a_vacuum_that_waits_for_a_lock_is_starved_by_its_holder(own_server: OwnServer) -> None:
    server = own_server(
        {
            "autovacuum_freeze_max_age": "100000",
            "autovacuum_naptime": "1s",
            "autovacuum_max_workers": "1",
        }
    )
    dsn = server.dsn()
    with server.connect(autocommit=False) as holding, server.connect() as connection:
        connection.execute("CREATE TABLE t (id int)")
        holding.execute("SET application_name = 'migration'")
        holding.execute("LOCK TABLE t IN SHARE MODE")
        burn_xids(connection, 115_000)
        waiting = (
            "SELECT 1 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted"
            " AND mode = 'ShareUpdateExclusiveLock'"
        )
        wait_until(lambda: connection.execute(waiting).fetchone(), seconds=30)
        result = verdict(
            anti_wraparound_starved, Picture(collect.take(dsn, Options(sample_seconds=0)))
        )
        found = next(each for each in result.findings if each.object == "public.t")
        assert "waits for Lock" in found.claim
        assert found.evidence[1]["blocker_application"] == "migration"
        holding.rollback()


def test_an_old_temporary_table_of_a_live_session(own_server: OwnServer) -> None:
    server = own_server({"autovacuum_freeze_max_age": "100000", "autovacuum_naptime": "1d"})

    def look() -> Picture:
        return Picture(collect.take(server.dsn(), Options(sample_seconds=0)))

    with server.connect() as owner, server.connect() as connection:
        assert verdict(temp_table_age, look()).kind is Kind.NOT_APPLICABLE
        owner.execute("CREATE TEMP TABLE basket (id int)")
        assert verdict(temp_table_age, look()).kind is Kind.OK
        burn_xids(connection, 101_000)
        (found,) = verdict(temp_table_age, look()).findings
        assert found.object.endswith(".basket")
        owner.execute("VACUUM (FREEZE) basket")
        assert verdict(temp_table_age, look()).kind is Kind.OK
