"""Dead rows over the trigger and why, on real servers."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.vacuum import dead_rows
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database
from howdah.testing.fixtures import OwnServer
from tests.diagnosing import examine
from tests.making import objects, verdict
from tests.postgres.rules.consuming import wait_counted

FILLED = "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10000); ANALYZE t"


def plant(database: Database, *statements: str, dead: int = 5000) -> None:
    """Run statements in a session each, so that their counters are there one after the other."""
    for statement in statements:
        with database.connect() as connection:
            connection.execute(statement)
    with database.connect() as connection:
        wait_counted(connection, "t", f"n_dead_tup >= {dead} AND n_tup_del >= {dead}")


def test_dead_rows_are_found_and_vacuum_cures(database: Database) -> None:
    plant(database, FILLED, "DELETE FROM t WHERE id <= 5000")
    result = examine(database, dead_rows)
    assert objects(result) == {"public.t"}
    assert result.findings[0].evidence[0]["vacuum_trigger_rows"] == 2050
    assert "has not come" in result.findings[0].claim
    with database.connect() as connection:
        for statement in result.findings[0].remedies[0].retry_safe:
            connection.execute(statement)
        wait_counted(connection, "t", "n_dead_tup = 0")
    after = examine(database, dead_rows)
    assert (after.kind, after.examined) == (Kind.OK, after.of)


def test_just_over_the_trigger_is_left_to_autovacuum(database: Database) -> None:
    plant(database, FILLED, "DELETE FROM t WHERE id <= 3000", dead=3000)
    assert examine(database, dead_rows).kind is Kind.OK


def test_autovacuum_off_for_the_table_is_named(database: Database) -> None:
    plant(
        database,
        FILLED,
        "ALTER TABLE t SET (autovacuum_enabled = off)",
        "DELETE FROM t WHERE id <= 3000",
        dead=3000,
    )
    (found,) = examine(database, dead_rows).findings
    assert "autovacuum is off for the table" in found.claim


def test_a_vacuum_in_vain_names_the_holder(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(FILLED)
    with database.connect(autocommit=False) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM t")
        plant(database, "DELETE FROM t WHERE id <= 5000")
        with database.connect() as connection:
            connection.execute("VACUUM t")
            wait_counted(connection, "t", "vacuum_count = 1 AND n_dead_tup >= 5000")
        (found,) = examine(database, dead_rows).findings
        assert "holds the horizon" in found.claim
        assert found.remedies[0].manual


def test_partitions_are_told_at_their_parent(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE p (id int) PARTITION BY RANGE (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10000);
            CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10000) TO (20000);
            INSERT INTO p SELECT generate_series(0, 19999);
            ANALYZE p;
            """
        )
    with database.connect() as connection:
        connection.execute("DELETE FROM p WHERE id % 2 = 0")
    with database.connect() as connection:
        wait_counted(connection, "p2", "n_dead_tup >= 5000")
        (found,) = examine(database, dead_rows).findings
        assert found.object == "public.p"
        assert "2 partitions" in found.claim
        connection.execute(found.remedies[0].sql[0])
        wait_counted(connection, "p2", "n_dead_tup = 0")
    assert examine(database, dead_rows).kind is Kind.OK


def test_after_a_crash_zero_counters_are_no_ok(own_server: OwnServer) -> None:
    server = own_server({"autovacuum_naptime": "1d"})
    with server.connect() as connection:
        connection.execute(FILLED)
    with server.connect() as connection:
        connection.execute("DELETE FROM t WHERE id <= 5000")
        wait_counted(connection, "t", "n_dead_tup >= 5000")

    def look() -> Picture:
        return Picture(collect.take(server.dsn(), Options(sample_seconds=0)))

    assert objects(verdict(dead_rows, look())) == {"public.t"}
    server.kill()
    server.restart()
    crashed = verdict(dead_rows, look())
    assert crashed.kind is Kind.UNKNOWN
    assert "less than an hour ago" in crashed.reason
