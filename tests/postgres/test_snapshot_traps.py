"""The traps of reading catalogs, each as a test that fails when the trap is fallen into."""

from __future__ import annotations

from datetime import datetime

import pytest

from howdah.postgres.versions import RESPELLED_WAITS
from howdah.snapshot.collect import take
from howdah.snapshot.facts import Status
from howdah.snapshot.model import Snapshot
from howdah.snapshot.options import Options
from howdah.snapshot.sampler import Sampler
from howdah.snapshot.session import pin
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer

BARE = Options(sample_seconds=0.0, measure_megabytes=0, multixact_samples=0)
NEVER = 2**31 - 1  # what age() and mxid_age() say of an id that is none


def bare(database: Database, *statements: str) -> Snapshot:
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement)
    return take(database.dsn, BARE)


def test_t1_ages_are_real_or_none(database: Database) -> None:
    snapshot = bare(
        database,
        "CREATE TABLE plain (id int, body text)",
        "CREATE TABLE split (id int) PARTITION BY RANGE (id)",
        "CREATE MATERIALIZED VIEW seen AS SELECT 1 AS one",
    )
    rows = {row.name: row for row in snapshot.relations.rows}
    for name in ("plain", "seen"):
        assert rows[name].xid_age is not None
        assert rows[name].mxid_age is not None
    assert rows["split"].xid_age is None
    assert rows["split"].mxid_age is None
    assert rows["plain"].toast_mxid_age is not None
    for row in snapshot.relations.rows:
        for age in (row.xid_age, row.mxid_age, row.toast_xid_age, row.toast_mxid_age):
            assert age is None or 0 <= age < NEVER, row.name
    assert all(0 <= row.mxid_age < NEVER for row in snapshot.databases.rows)


def test_t2_slru_names_are_those_of_17(database: Database) -> None:
    assert {row.name for row in bare(database).slrus.rows} >= {
        "commit_timestamp",
        "multixact_member",
        "multixact_offset",
        "notify",
        "serializable",
        "subtransaction",
        "transaction",
    }


def test_t3_wait_names_are_those_of_17(database: Database) -> None:
    old_spellings = {
        wait.event.lower(): wait.event for wait in RESPELLED_WAITS if wait.type == "Activity"
    }
    events = {row.wait_event for row in bare(database).sessions.rows if row.wait_event}
    respelled = {event for event in events if event.lower() in old_spellings}
    assert respelled
    assert respelled <= set(old_spellings.values())


def test_t4_t5_checkpoints_and_wal_on_every_major(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i")
        connection.execute("CHECKPOINT")
        checkpoint = wait_until(
            lambda: [row for row in take(database.dsn, BARE).checkpoints.rows if row.requested]
        )
    assert checkpoint[0].buffers_written >= 0
    wal = take(database.dsn, BARE).wal.rows[0]
    assert wal.records > 0
    assert wal.bytes > 0


def test_t6_statements_on_every_major_and_without_ours(database: Database) -> None:
    snapshot = bare(
        database,
        "CREATE EXTENSION pg_stat_statements",
        "CREATE TABLE t (id int)",
        "SELECT count(*) FROM t WHERE id = 4711",
    )
    again = take(database.dsn, BARE)
    texts = [row.text for row in again.statements.rows]
    assert "SELECT count(*) FROM t WHERE id = $1" in texts
    assert not [text for text in texts if "pg_catalog." in text]
    assert len(again.statements.rows) == len(snapshot.statements.rows)


def test_t7_vacuum_progress(database: Database) -> None:
    bare(
        database,
        "CREATE TABLE big WITH (autovacuum_enabled = false) AS"
        " SELECT i, repeat('x', 500) AS pad FROM generate_series(1, 5000) AS i",
    )
    with database.connect() as vacuuming:
        vacuuming.execute("SET vacuum_cost_delay = 100")
        vacuuming.execute("SET vacuum_cost_limit = 1")
        vacuuming.pgconn.send_query(b"VACUUM big")
        rows = wait_until(lambda: take(database.dsn, BARE).vacuum_progress.rows)
        vacuuming.cancel_safe()
        while vacuuming.pgconn.get_result():
            pass
    assert rows[0].relation == "public.big"
    assert rows[0].heap_blocks_total > 0
    assert rows[0].is_autovacuum is False
    assert rows[0].is_anti_wraparound is False


@pytest.mark.postgres(since=18)
def test_t8_not_enforced_is_not_unvalidated(database: Database) -> None:
    snapshot = bare(
        database,
        "CREATE TABLE t (id int NOT NULL, CONSTRAINT lax CHECK (id > 0) NOT ENFORCED)",
        "ALTER TABLE t ADD CONSTRAINT later CHECK (id > 1) NOT VALID",
    )
    rows = {row.name: row for row in snapshot.constraints.rows}
    assert (rows["lax"].is_enforced, rows["lax"].is_validated) == (False, False)
    assert (rows["later"].is_enforced, rows["later"].is_validated) == (True, False)
    assert rows["t_id_not_null"].kind == "n"


@pytest.mark.postgres(until=17)
def test_t8_before_18_all_is_enforced_and_not_null_is_no_constraint(database: Database) -> None:
    rows = bare(database, "CREATE TABLE t (id int NOT NULL CHECK (id > 0))").constraints.rows
    assert [(row.kind, row.is_enforced) for row in rows] == [("c", True)]


def test_t9_nulls_not_distinct(database: Database) -> None:
    clause = "NULLS NOT DISTINCT" if database.major >= 15 else ""
    snapshot = bare(
        database, "CREATE TABLE t (id int)", f"CREATE UNIQUE INDEX u ON t (id) {clause}"
    )
    assert [row.nulls_not_distinct for row in snapshot.indexes.rows] == [database.major >= 15]


def test_t10_columns_of_16(database: Database) -> None:
    snapshot = bare(database, "CREATE TABLE t (id int PRIMARY KEY)")
    oid = next(row.oid for row in snapshot.relations.rows if row.name == "t")
    row = next(row for row in snapshot.table_statistics.rows if row.relation == oid)
    assert (row.new_page_updated is None) is (database.major < 16)


def test_t11_window_after_a_crash(own_server: OwnServer) -> None:
    server = own_server()
    with server.connect() as connection:
        connection.execute("SELECT pg_stat_reset()")
        reset = connection.execute("SELECT clock_timestamp()").fetchone()
    before = take(server.dsn(), BARE)
    assert reset is not None
    assert before.window.since is not None
    assert before.window.since <= reset[0]
    assert "reset" in before.window.reason
    server.kill()
    server.restart()
    after = take(server.dsn(), BARE)
    own = next(row.stats_reset for row in after.databases.rows if row.is_current)
    assert own is None or datetime.fromisoformat(own) > reset[0]
    assert after.window.since is not None
    assert after.window.since > reset[0]
    assert after.window.seconds is not None
    assert after.window.seconds < 120


def test_t11_window_of_a_reset_database_is_the_databases_own(database: Database) -> None:
    with database.connect() as connection:
        started = connection.execute("SELECT clock_timestamp()").fetchone()
        connection.execute("SELECT pg_stat_reset()")
    window = take(database.dsn, BARE).window
    assert started is not None
    assert window.since is not None
    assert window.since >= started[0]


@pytest.mark.postgres(since=15)
def test_t12_statistics_are_of_one_moment(database: Database) -> None:
    with database.connect() as connection, connection.transaction():
        pin(connection, database.major)
        row = connection.execute("SHOW stats_fetch_consistency").fetchone()
    assert row == ("snapshot",)


def test_pins_are_gone_with_the_transaction(database: Database) -> None:
    with database.connect() as connection:
        with connection.transaction():
            pin(connection, database.major)
        for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            assert connection.execute(f"SHOW {name}").fetchone() == ("0",), name


def test_t13_ticks_are_not_frozen(database: Database) -> None:
    with Sampler(database.dsn) as sampler, database.connect() as working:
        assert sum(wait.sessions for wait in sampler.tick().waits) == 0
        working.execute("BEGIN")
        assert [(w.type, w.event) for w in sampler.tick().waits] == [("Client", "ClientRead")]
        working.execute("ROLLBACK")
        wait_until(lambda: not sampler.tick().waits)


def test_t16_no_snapshot_is_held_while_waits_are_sampled(database: Database) -> None:
    with database.connect() as looking:
        seen = []

        def progress(stage: str) -> None:
            if stage in ("making rows", "counter_samples"):
                seen.append(
                    looking.execute(
                        "SELECT state, backend_xmin FROM pg_stat_activity"
                        " WHERE application_name = 'howdah' AND datname = current_database()"
                    ).fetchone()
                )

        take(database.dsn, Options(sample_seconds=0.1), progress=progress)
    assert seen == [("idle", None), ("idle", None)]


def test_t26_t30_a_primary_has_neither_receiver_nor_recovery(database: Database) -> None:
    snapshot = bare(database)
    assert snapshot.receiver.status is Status.EMPTY
    assert snapshot.recovery.status is Status.EMPTY
    assert not snapshot.server.in_recovery


def test_temporary_tables_of_living_sessions(database: Database) -> None:
    with database.connect() as working:
        working.execute("CREATE TEMP TABLE scratch (id int)")
        row = next(row for row in take(database.dsn, BARE).relations.rows if row.name == "scratch")
    assert row.persistence == "t"
    assert row.temp_session_alive is (True if database.major >= 16 else None)


def test_blocked_sessions_and_their_locks(database: Database) -> None:
    bare(database, "CREATE TABLE t AS SELECT 1 AS id")
    with database.connect() as holding, database.connect() as waiting:
        pids = waiting.info.backend_pid, holding.info.backend_pid
        holding.execute("BEGIN")
        holding.execute("UPDATE t SET id = 2")
        waiting.pgconn.send_query(b"UPDATE t SET id = 3")
        wait_until(lambda: holding.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())
        snapshot = take(database.dsn, BARE)
        with Sampler(database.dsn) as sampler:
            blocked = sampler.tick().blocking
        holding.execute("ROLLBACK")
        while waiting.pgconn.get_result():
            pass
    rows = {row.pid: row for row in snapshot.blocking.rows}
    assert rows[pids[0]].blockers == (pids[1],)
    awaited = [row for row in snapshot.locks.rows if row.pid == pids[0] and not row.is_granted]
    assert [row.kind for row in awaited] == ["transactionid"]
    assert any(row.relation == "public.t" for row in snapshot.locks.rows)
    assert (pids[0], (pids[1],)) in [(each.pid, each.blockers) for each in blocked]
    session = next(row for row in snapshot.sessions.rows if row.pid == pids[0])
    assert (session.wait_type, session.wait_event) == ("Lock", "transactionid")
    assert session.query == "UPDATE t SET id = $1"
