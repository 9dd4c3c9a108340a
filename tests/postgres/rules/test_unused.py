"""Unused indexes on real servers: a young server proves nothing, and what counts as a scan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from howdah.check.model import Kind, Result
from howdah.check.rules.unused import unused_index
from howdah.postgres import Server
from howdah.snapshot import collect
from howdah.snapshot.model import Window
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer
from tests.diagnosing import examine, take_picture
from tests.making import objects, verdict

SCHEMA = """
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 300);
CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent, code text UNIQUE, idle text,
                    spare text, read text);
CREATE INDEX child_p ON child (p);
CREATE INDEX child_idle ON child (idle);
CREATE INDEX child_read ON child (read);
INSERT INTO child SELECT i, 300, i, repeat('x', 20) || i, 'y', 'z' || i
  FROM generate_series(1, 60000) AS i;
ANALYZE;
"""


def after_a_month(database: Database) -> Result:
    """The verdict had the counters been counting for a month."""
    now = datetime.now(UTC)
    month = Window(since=now - timedelta(days=30), until=now, reason="as if")
    taken = take_picture(database).snapshot
    return verdict(unused_index, Picture(msgspec.structs.replace(taken, window=month)))


def scans(database: Database, index: str) -> int:
    with database.connect() as connection:
        found = connection.execute(
            "SELECT idx_scan FROM pg_catalog.pg_stat_user_indexes WHERE indexrelname = %s", [index]
        ).fetchone()
    return int(found[0]) if found else 0


def test_a_schema_just_loaded_is_unknown(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(SCHEMA)
    result = examine(database, unused_index)
    assert result.kind is Kind.UNKNOWN
    assert "days" in result.reason


def test_only_what_nothing_reads_or_needs_is_found(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(SCHEMA)
        connection.execute("SET enable_seqscan = off")
        connection.execute("SELECT count(*) FROM child WHERE read = 'z7'")
    wait_until(lambda: scans(database, "child_read") > 0)
    result = after_a_month(database)
    assert objects(result) == {"public.child_idle"}
    (remedy,) = result.findings[0].remedies
    with database.connect() as connection:
        for statement in (*remedy.sql, *remedy.retry_safe, *remedy.inverse):
            connection.execute(statement)


def test_unique_checks_do_not_count_as_scans_and_foreign_key_checks_do(database: Database) -> None:
    """The trap itself, so that a server which changes it is noticed."""
    with database.connect() as connection:
        connection.execute(SCHEMA)
        connection.execute("UPDATE parent SET id = id + 1000 WHERE id < 11")
    wait_until(lambda: scans(database, "child_p") > 0)
    assert scans(database, "child_p") == 10
    assert scans(database, "child_code_key") == 0
    assert "child_code_key" not in str(after_a_month(database))


def test_after_a_month_without_a_read_of_any_partition_the_parents_index_is_found(
    database: Database,
) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE m (a int, b text) PARTITION BY RANGE (a);
            CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (50000);
            CREATE TABLE m2 PARTITION OF m FOR VALUES FROM (50000) TO (100000);
            CREATE INDEX m_b ON m (b);
            CREATE INDEX m_a ON m (a);
            INSERT INTO m SELECT i, repeat('x', 40) || i FROM generate_series(0, 99999) i;
            """
        )
        connection.execute("SET enable_seqscan = off")
        connection.execute("SELECT * FROM m2 WHERE a = 70000")
    wait_until(lambda: scans(database, "m2_a_idx") > 0)
    assert objects(after_a_month(database)) == {"public.m_b"}


def standing(server: Server) -> Result:
    """The verdict on the database postgres of a server, had it counted for a month."""
    taken = collect.take(server.dsn(), Options(sample_seconds=0.0))
    now = datetime.now(UTC)
    month = Window(since=now - timedelta(days=30), until=now, reason="as if")
    return verdict(unused_index, Picture(msgspec.structs.replace(taken, window=month)))


def test_after_a_crash_it_is_unknown(own_server: OwnServer) -> None:
    """T11: a crash empties the counters and leaves no trace of when it did."""
    server = own_server()
    with server.connect() as connection:
        connection.execute(SCHEMA)
    server.kill()
    server.restart()
    taken = collect.take(server.dsn(), Options(sample_seconds=0.0))
    assert verdict(unused_index, Picture(taken)).kind is Kind.UNKNOWN


def test_scans_of_a_standby_are_not_counted_on_the_primary(own_server: OwnServer) -> None:
    """T26: on either side the other's scans are invisible, so both say unknown."""
    primary = own_server()
    with primary.connect() as connection:
        connection.execute(SCHEMA)
    assert standing(primary).kind is Kind.FINDING
    with primary.standby() as standby:
        attached, itself = standing(primary), standing(standby)
    assert attached.kind is Kind.UNKNOWN
    assert "standbys are attached" in attached.reason
    assert "public.child_idle" in attached.reason
    assert itself.kind is Kind.UNKNOWN
    assert "this is a standby" in itself.reason
