"""What a snapshot says when it cannot look: each status on a real server, never a wrong `empty`."""

from __future__ import annotations

import time

import pytest

from howdah.clock import SYSTEM_CLOCK, FakeClock
from howdah.errors import BadInput, Unreachable
from howdah.snapshot.collect import take
from howdah.snapshot.facts import Status
from howdah.snapshot.gather import _ask, _fact, _server, _sliced
from howdah.snapshot.model import Snapshot, fact_types
from howdah.snapshot.options import Options
from howdah.snapshot.plan import PARTS
from howdah.snapshot.questions import Questions
from howdah.snapshot.session import Session
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer

QUICK = Options(sample_seconds=0.2)
BARE = Options(sample_seconds=0.0, measure_megabytes=0, multixact_samples=0)

SHOP = """
CREATE TABLE customer (id bigserial PRIMARY KEY, email text NOT NULL CHECK (email <> ''));
CREATE TABLE orders (
  id bigserial PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customer,
  placed timestamptz NOT NULL DEFAULT now(),
  note text DEFAULT 'none'
);
CREATE INDEX orders_note ON orders (lower(note)) WHERE note IS NOT NULL;
INSERT INTO customer (email) SELECT 'c' || i FROM generate_series(1, 100) AS i;
INSERT INTO orders (customer_id) SELECT 1 + i % 100 FROM generate_series(1, 1000) AS i;
ANALYZE;
"""


def statuses(snapshot: Snapshot) -> dict[str, Status]:
    return {name: snapshot.fact(name).status for name in fact_types()}


def furnish(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE EXTENSION pgstattuple")
        connection.execute(SHOP)


def test_superuser_knows_every_fact(database: Database) -> None:
    furnish(database)
    snapshot = take(database.dsn, QUICK)
    unknown = {
        name: snapshot.fact(name).reason
        for name, status in statuses(snapshot).items()
        if status not in (Status.PRESENT, Status.EMPTY)
    }
    assert unknown == {}
    assert snapshot.seconds < 5
    assert {row.name for row in snapshot.relations.rows} >= {"customer", "orders", "pg_class"}
    assert len(snapshot.counter_samples.rows) == 2
    assert {row.tick for row in snapshot.wait_samples.rows} == {0, 1}


def test_empty_database_is_known_to_be_empty(database: Database) -> None:
    snapshot = take(database.dsn, BARE)
    for name in ("columns", "indexes", "constraints", "sequences", "column_statistics"):
        assert snapshot.fact(name).status is Status.EMPTY, name
    assert snapshot.statements.status is Status.UNSUPPORTED
    assert "not installed" in snapshot.statements.reason


def test_role_with_nothing_but_connect(database: Database) -> None:
    furnish(database)
    role = database.create_role()
    with database.connect() as busy:
        busy.execute("BEGIN")
        snapshot = take(database.dsn_of(role), QUICK)
    assert not snapshot.server.is_superuser
    assert not snapshot.server.is_monitor
    denied = {name for name, status in statuses(snapshot).items() if status is Status.DENIED}
    assert denied >= {"column_statistics", "archive_queue", "wait_samples", "table_space"}
    assert snapshot.column_statistics.left_out == 6
    others = [row for row in snapshot.sessions.rows if row.role == "postgres"]
    assert others
    assert not any(row.is_visible for row in others)
    assert all(row.state is None for row in others)
    # what needs no privilege is there
    assert len(snapshot.indexes.rows) == 3
    assert snapshot.multixacts.status is Status.PRESENT


def test_t14_pg_monitor_sees_no_column_statistics_and_says_so(database: Database) -> None:
    furnish(database)
    role = database.create_role(member_of=["pg_monitor"])
    snapshot = take(database.dsn_of(role), QUICK)
    assert snapshot.server.is_monitor
    assert snapshot.column_statistics.status is Status.DENIED
    assert snapshot.column_statistics.left_out == 6
    for name in ("sessions", "wait_samples", "statements", "table_space", "index_space"):
        assert snapshot.fact(name).known, (name, snapshot.fact(name).reason)
    assert all(row.is_visible for row in snapshot.sessions.rows)


def test_column_grant_shows_part_and_counts_the_rest(database: Database) -> None:
    furnish(database)
    role = database.create_role()
    with database.connect() as connection:
        connection.execute(f"GRANT SELECT (email) ON customer TO {role}")
    statistics = take(database.dsn_of(role), BARE).column_statistics
    assert statistics.status is Status.PRESENT
    assert (len(statistics.rows), statistics.left_out) == (1, 5)
    assert "howdah doctor" in statistics.reason


def test_t23_unreadable_sequence_is_not_an_unused_one(database: Database) -> None:
    furnish(database)
    with database.connect() as connection:
        connection.execute("CREATE SEQUENCE unused")
    role = database.create_role()
    for dsn, readable in ((database.dsn, True), (database.dsn_of(role), False)):
        rows = {row.name: row for row in take(dsn, BARE).sequences.rows}
        assert rows["orders_id_seq"].is_readable is readable
        assert rows["orders_id_seq"].last_value == (1000 if readable else None)
        assert rows["unused"].last_value is None
        assert rows["unused"].is_readable is readable
        assert len(rows["orders_id_seq"].fed_relations) == 1


def test_t15_locked_tables_are_left_out_without_waiting(database: Database) -> None:
    furnish(database)
    free = take(database.dsn, BARE)
    with database.connect() as locking:
        locking.execute("BEGIN")
        locking.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        locking.execute("ALTER SEQUENCE orders_id_seq INCREMENT 2")
        began = time.monotonic()
        snapshot = take(database.dsn, Options(sample_seconds=0.0))
        took = time.monotonic() - began
        waited = locking.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass"
        ).fetchone()
    assert waited == (0,)
    assert took < 3  # generous: the machine is shared
    assert [row.name for row in snapshot.relations.rows if row.is_locked] == ["orders"]
    assert len(snapshot.indexes.rows) == len(free.indexes.rows) - 2
    assert snapshot.indexes.left_out == 2
    assert "ACCESS EXCLUSIVE" in snapshot.indexes.reason
    assert snapshot.sequences.left_out == 1
    assert snapshot.sizes.left_out >= 1
    for name, status in statuses(snapshot).items():
        if name not in ("wait_samples", "table_samples"):
            assert status in (Status.PRESENT, Status.EMPTY), (name, snapshot.fact(name).reason)


def test_t15_somebody_who_waits_for_access_exclusive_counts_too(database: Database) -> None:
    furnish(database)
    with database.connect() as reading, database.connect() as altering:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM orders")
        altering.pgconn.send_query(b"BEGIN; LOCK TABLE customer, orders IN ACCESS EXCLUSIVE MODE")
        _wait_for_lock(database)
        snapshot = take(database.dsn, BARE)
        reading.execute("ROLLBACK")
        while altering.pgconn.get_result():
            pass
    assert {row.name for row in snapshot.relations.rows if row.is_locked} == {"customer", "orders"}
    assert snapshot.indexes.left_out == 3
    assert snapshot.indexes.status is Status.LOCKED


def _wait_for_lock(database: Database) -> None:
    with database.connect() as looking:
        wait_until(
            lambda: looking.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
                " AND relation = 'orders'::regclass"
            ).fetchone()
        )


def test_locked_catalog_is_locked_within_the_patience(database: Database) -> None:
    with database.connect() as locking:
        locking.execute("BEGIN")
        locking.execute("LOCK TABLE pg_catalog.pg_publication IN ACCESS EXCLUSIVE MODE")
        locking.execute("LOCK TABLE pg_catalog.pg_foreign_table IN ACCESS EXCLUSIVE MODE")
        snapshot = take(database.dsn, BARE)
    assert snapshot.publications.status is Status.LOCKED
    assert snapshot.foreign_tables.status is Status.LOCKED
    assert snapshot.publications.seconds + snapshot.foreign_tables.seconds < 1
    assert snapshot.indexes.known


def test_deadline_makes_timeouts_not_empty_facts(database: Database) -> None:
    snapshot = take(database.dsn, Options(sample_seconds=0.0, open_seconds=0.001))
    asked = {name: status for name, status in statuses(snapshot).items() if name in TIMED}
    assert set(asked.values()) == {Status.TIMEOUT}
    assert snapshot.window.since is None


TIMED = ("relations", "indexes", "settings", "sessions", "counter_samples", "slots")


def test_facts_past_the_deadline_are_read_in_another_transaction(database: Database) -> None:
    furnish(database)
    snapshot = take(database.dsn, BARE, clock=LeapingClock())
    assert snapshot.relations.known
    assert snapshot.indexes.known
    late = [name for name in fact_types() if "transaction of its own" in snapshot.fact(name).reason]
    assert "column_statistics" in late
    assert "extensions" not in late


class LeapingClock(FakeClock):
    """Each look at it costs a quarter of a second."""

    def monotonic(self) -> float:
        self.sleep(0.25)
        return super().monotonic()


def test_hot_standby(own_server: OwnServer) -> None:
    primary = own_server()
    with primary.connect() as connection:
        connection.execute(SHOP)
        connection.execute("CREATE UNLOGGED TABLE scratch (id serial PRIMARY KEY)")
    with primary.standby() as standby:
        snapshot = take(standby.dsn(), QUICK)
        assert snapshot.server.in_recovery
        unknown = {
            name
            for name, status in statuses(snapshot).items()
            if status not in (Status.PRESENT, Status.EMPTY)
        }
        assert unknown == {"statements", "table_space", "index_space", "pending_lists"}
        assert snapshot.counter_samples.rows[0].wal_position is None
        assert [row.status for row in snapshot.receiver.rows] == ["streaming"]
        # T30: a position, and how long ago; whether that is lag depends on the primary
        assert snapshot.recovery.rows[0].replayed_position
        feeding = take(primary.dsn(), BARE)
        assert [row.state for row in feeding.standbys.rows] == ["streaming"]
        primary.stop()
        alone = take(standby.dsn(), BARE)
        assert [row for row in alone.receiver.rows if row.status == "streaming"] == []
        assert alone.recovery.status is Status.PRESENT


@pytest.mark.postgres(newest=True)
def test_extension_without_its_library_is_unsupported(own_server: OwnServer) -> None:
    server = own_server()
    with server.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
    statements = take(server.dsn(), BARE).statements
    assert statements.status is Status.UNSUPPORTED
    assert "55000" in statements.reason


@pytest.mark.postgres(newest=True)
def test_wrong_dsn_and_unreachable_host(database: Database) -> None:
    with pytest.raises(BadInput, match="cannot be understood"):
        take("no=such=key", BARE)
    with pytest.raises(BadInput, match="does not open"):
        take(database.server.dsn("nowhere"), BARE)
    with pytest.raises(Unreachable):
        take("host=/nonexistent dbname=x", BARE)


def test_slices_are_the_whole(database: Database) -> None:
    furnish(database)
    with database.connect() as connection:
        session = Session(connection, options=BARE, clock=SYSTEM_CLOCK)
        with session.picture() as reading:
            server, _ = _server(session)
        questions = Questions(reading, server, BARE)
        for part in PARTS:
            if not part.is_sliced:
                continue
            with session.picture() as questions.reading:
                whole = _ask(questions, (part,), print)[part.fact]
            sliced, _ = _sliced(session, questions, part, print)
            kind = fact_types()[part.fact]
            found = _fact(sliced[part.fact], kind).rows
            assert len(sliced[part.fact].more) > 1
            assert sorted(map(repr, found)) == sorted(map(repr, _fact(whole, kind).rows))
