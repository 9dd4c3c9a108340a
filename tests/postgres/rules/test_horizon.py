"""What holds the horizon, on real servers: this database or another, and every kind of holder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from howdah.check.model import Confidence, Kind, Result
from howdah.check.rules.horizon import horizon_held
from howdah.postgres import Server
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer
from tests.diagnosing import examine
from tests.making import objects, verdict
from tests.postgres.rules.consuming import burn_xids, wait_counted

FILL = "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 4000)"


@contextlib.contextmanager
def snapshot_held(server: Server, database: str) -> Iterator[None]:
    """A session of that database that holds a snapshot, idle in its transaction."""
    with server.connect(database, autocommit=False) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM pg_catalog.pg_class")
        yield


def kill_rows(server: Server, database: str) -> int:
    """Delete all rows, vacuum, and return how many stay dead by the server's own count.

    Deleted and vacuumed by two sessions: counts of a DELETE that arrive after a VACUUM of the same
    session are added to what the vacuum found.
    """
    with server.connect(database) as connection:
        connection.execute("DELETE FROM t")
    with server.connect(database) as connection:
        wait_counted(connection, "t", "n_tup_del = 4000")
        before = counted(connection, "vacuum_count")
        connection.execute("VACUUM t")
    with server.connect(database) as connection:
        wait_counted(connection, "t", f"vacuum_count > {before}")
        return counted(connection, "n_dead_tup")


def counted(connection: psycopg.Connection, counter: str) -> int:
    text = f"SELECT {counter} FROM pg_catalog.pg_stat_all_tables WHERE relid = 't'::regclass"
    row = connection.execute(text).fetchone()
    assert row is not None
    return int(row[0])


def of_server(server: Server) -> Result:
    return verdict(horizon_held, Picture(collect.take(server.dsn(), Options(sample_seconds=0))))


def fill(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(FILL)


def test_a_snapshot_in_this_database_is_named_with_its_effect(database: Database) -> None:
    fill(database)
    with snapshot_held(database.server, database.name):
        assert kill_rows(database.server, database.name) == 4000
        result = examine(database, horizon_held)
        (found,) = result.findings
        assert found.object == f"database {database.name}"
        assert found.confidence is Confidence.MEASURED
        assert "4,000 dead rows" in found.claim
        assert found.evidence[0]["holder"] == "session"
        # The age of a snapshot is visible to every role; for how long it is held is not.
        (blind,) = examine(database, horizon_held, user=database.create_role()).findings
        assert blind.confidence is Confidence.ESTIMATED
        assert blind.evidence[0]["seconds"] is None
    assert kill_rows(database.server, database.name) == 0
    assert examine(database, horizon_held).kind is Kind.OK


def test_a_snapshot_in_another_database_is_not_blamed(database: Database) -> None:
    fill(database)
    other = Database(database.server)
    try:
        with snapshot_held(other.server, other.name):
            assert kill_rows(database.server, database.name) == 0
            # Dead rows again, not vacuumed: still nobody of this database to blame.
            with database.connect() as connection:
                connection.execute("INSERT INTO t SELECT generate_series(1, 4000)")
                connection.execute("DELETE FROM t")
                wait_counted(connection, "t", "n_dead_tup >= 4000")
            result = examine(database, horizon_held)
            assert result.kind is Kind.OK, result.findings
    finally:
        other.drop()


def test_a_prepared_transaction_is_named(database: Database) -> None:
    fill(database)
    with database.connect(autocommit=False) as preparing:
        preparing.execute("CREATE TABLE p (id int)")
        preparing.execute(f"PREPARE TRANSACTION 'order {database.name}'")
    assert kill_rows(database.server, database.name) == 4000
    (found,) = examine(database, horizon_held).findings
    assert found.evidence[0]["holder"] == "prepared transaction"
    assert found.remedies[0].manual
    with database.connect() as connection:
        connection.execute(found.remedies[0].sql[0])
    kill_rows(database.server, database.name)
    assert examine(database, horizon_held).kind is Kind.OK


def test_a_logical_slot_does_not_hold_the_users_tables(database: Database) -> None:
    fill(database)
    with database.connect() as connection:
        connection.execute(
            "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", (database.name,)
        )
    assert kill_rows(database.server, database.name) == 0
    assert examine(database, horizon_held).kind is Kind.OK


@pytest.mark.parametrize("slot", [None, "seat"])
def test_a_standbys_query_holds_by_feedback_or_slot(
    own_server: OwnServer, slot: str | None
) -> None:
    server = own_server({"autovacuum": "off", "wal_receiver_status_interval": "1s"})
    with server.connect() as connection:
        connection.execute(FILL)
        if slot:
            connection.execute("SELECT pg_create_physical_replication_slot(%s)", (slot,))
    asked = {"hot_standby_feedback": "on"} | ({"primary_slot_name": slot} if slot else {})
    with server.standby(asked) as standby:
        assert of_server(standby).kind is Kind.NOT_APPLICABLE
        with standby.connect(autocommit=False) as reading, server.connect() as connection:
            reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reading.execute("SELECT count(*) FROM pg_catalog.pg_class")
            seat = "SELECT xmin FROM pg_replication_slots WHERE xmin IS NOT NULL"
            feedback = "SELECT backend_xmin FROM pg_stat_replication WHERE backend_xmin IS NOT NULL"
            probe = seat if slot else feedback
            wait_until(lambda: connection.execute(probe).fetchone(), seconds=30)
            assert kill_rows(server, "postgres") == 4000
            whole = "database postgres"
            found = next(each for each in of_server(server).findings if each.object == whole)
            assert found.evidence[0]["holder"] == ("replication slot" if slot else "standby")


def test_a_snapshot_elsewhere_is_reported_for_its_own_database_by_age(
    own_server: OwnServer,
) -> None:
    server = own_server({"autovacuum": "off", "autovacuum_freeze_max_age": "100000"})
    server.create_database("archive")
    with snapshot_held(server, "archive"), server.connect() as connection:
        burn_xids(connection, 11_000)
        assert objects(of_server(server)) == {"database archive"}
