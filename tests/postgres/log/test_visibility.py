"""A window is what became visible: whatever the order of ids, commits and transaction ids.

Each test fails on a design that follows ids, timestamps or the oldest running transaction.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from howdah.log import Event
from howdah.testing import Database
from tests.postgres.log.logged import Logged, put, texts


def test_commits_out_of_the_order_of_ids(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.session() as slow:
        put(slow, "first id, last commit")
        logged.emit("second id")
        assert logged.drain(consumer) == ["second id"]
        assert logged.drain(consumer) == []
        slow.execute("COMMIT")
    assert logged.drain(consumer) == ["first id, last commit"]
    assert logged.drain(consumer) == []


@pytest.mark.postgres(newest=True)
def test_every_interleaving_of_two_writers_and_a_reader(logged: Logged) -> None:
    """Two emits and a commit each, a read after every step: all, once, each writer in order."""
    consumer = logged.consumer()
    for order in sorted(set(itertools.permutations("aaabbb"))):
        found: list[str] = []
        with ExitStack() as stack:
            sessions = {name: stack.enter_context(logged.session()) for name in "ab"}
            steps = dict.fromkeys("ab", 0)
            for name in order:
                steps[name] += 1
                if steps[name] == 3:
                    sessions[name].execute("COMMIT")
                else:
                    put(sessions[name], f"{name}{steps[name]}")
                found += logged.drain(consumer)
        assert sorted(found) == ["a1", "a2", "b1", "b2"], order
        assert [each for each in found if each[0] == "a"] == ["a1", "a2"]


def test_savepoints_and_rolled_back_parts(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.session() as writer:
        put(writer, "kept")
        writer.execute("SAVEPOINT s")
        put(writer, "undone")
        writer.execute("ROLLBACK TO s")
        writer.execute("SAVEPOINT t")
        put(writer, "in a savepoint")
        assert logged.drain(consumer) == []
        writer.execute("RELEASE t")
        writer.execute("COMMIT")
    assert logged.drain(consumer) == ["kept", "in a savepoint"]


def test_more_savepoints_than_a_snapshot_can_hold(logged: Logged) -> None:
    """Beyond 64 subtransactions PostgreSQL's own snapshots overflow; ours have none of them."""
    consumer = logged.consumer()
    with logged.session() as writer:
        for number in range(80):
            writer.execute("SAVEPOINT s")
            put(writer, str(number))
        logged.emit("other", key="o")
        assert logged.drain(consumer) == ["other"]
        writer.execute("COMMIT")
    assert logged.drain(consumer) == [str(number) for number in range(80)]


def test_a_prepared_transaction_surfaces_when_it_is_committed(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.session() as writer:
        put(writer, "prepared")
        writer.execute("PREPARE TRANSACTION 'p'")
    logged.emit("meanwhile")
    assert logged.drain(consumer) == ["meanwhile"]
    assert logged.maintain() == ["turned", "busy"]
    logged.do("COMMIT PREPARED 'p'")
    assert logged.drain(consumer) == ["prepared"]
    with logged.session() as writer:
        put(writer, "never")
        writer.execute("PREPARE TRANSACTION 'q'")
    logged.do("ROLLBACK PREPARED 'q'")
    assert logged.drain(consumer) == []


def test_an_aborted_writer_leaves_a_gap_and_nothing_else(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.session() as writer:
        put(writer, *map(str, range(500)))
        writer.execute("ROLLBACK")
    logged.emit("after")
    assert logged.drain(consumer) == ["after"]


def test_a_key_in_causal_order_though_the_later_one_has_the_smaller_xid(logged: Logged) -> None:
    """Ordering by (xid, id) would give v2 before v1."""
    consumer = logged.consumer()
    logged.do("CREATE TABLE account (v int)")
    logged.do("INSERT INTO account VALUES (0)")
    with logged.session() as second, logged.session() as first:
        second.execute("SELECT pg_current_xact_id()")
        first.execute("UPDATE account SET v = 1")
        put(first, "v1")
        first.execute("COMMIT")
        second.execute("UPDATE account SET v = 2")
        put(second, "v2")
        second.execute("COMMIT")
    assert logged.drain(consumer) == ["v1", "v2"]


MOVES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["write", "xid", "commit", "rollback", "read"])),
    min_size=4,
    max_size=40,
)


@pytest.mark.postgres(newest=True)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(moves=MOVES)
def test_causal_order_under_any_order_of_sessions(
    logged: Logged, moves: list[tuple[int, str]]
) -> None:
    """A row's lock orders the writers of its key; whatever they do, a reader sees that order."""
    logged.do("DROP TABLE IF EXISTS account")
    logged.do("CREATE TABLE account (key text PRIMARY KEY, v int)")
    logged.do("INSERT INTO account VALUES ('k', 0)")
    consumer = logged.consumer("c")
    logged.drain(consumer)
    found: list[str] = []
    with ExitStack() as stack:
        sessions = [stack.enter_context(logged.session()) for _ in range(4)]
        owner: int | None = None  # who holds the row's lock
        for who, move in moves:
            session = sessions[who]
            if move == "read":
                found += logged.drain(consumer)
            elif move == "xid":
                session.execute("SELECT pg_current_xact_id()")
            elif move in ("commit", "rollback"):
                session.execute(move)
                session.execute("BEGIN")
                owner = None if owner == who else owner
            elif owner in (None, who):
                owner = who
                row = session.execute("UPDATE account SET v = v + 1 RETURNING v").fetchone()
                assert row is not None
                put(session, str(row[0]))
        for session in sessions:
            session.execute("COMMIT")
    found += logged.drain(consumer)
    (last,) = logged.do("SELECT v FROM account")[0]
    assert found == [str(number) for number in range(1, last + 1)]


def test_strangers_do_not_hold_up_delivery(logged: Logged, database: Database) -> None:
    """A watermark at the oldest running transaction would stop for each of these."""
    consumer = logged.consumer()
    with (
        database.server.connect("postgres", autocommit=False) as elsewhere,
        logged.session("repeatable read") as reader,
        logged.session() as writer,
    ):
        elsewhere.execute("SELECT pg_current_xact_id()")
        reader.execute("SELECT count(*) FROM pg_class")
        writer.execute("CREATE TABLE index_me AS SELECT 1 AS a")
        for number in range(3):
            logged.emit(str(number))
            assert logged.drain(consumer) == [str(number)]
        assert logged.maintain() == ["turned", "reclaimed"]
        assert logged.bytes_of(0) == 0
        elsewhere.rollback()


@pytest.mark.parametrize("assigned", [False, True])
def test_a_readers_own_events_are_not_lost(logged: Logged, assigned: bool) -> None:
    """pg_current_snapshot() leaves out the transaction that asks: once a later one has ended, it
    says that ours had too, and a cursor made of it would skip what we still emit."""
    consumer = logged.consumer()
    logged.emit("given")
    with logged.connect() as connection, connection.transaction():
        if assigned:
            connection.execute("SELECT pg_current_xact_id()")
        put(connection, "own, before")
        logged.emit("ends later")
        reading = consumer.open(connection)
        pages = list(reading.pages())
        assert [t for page in pages for t in texts(page.records)] == ["given", "ends later"]
        put(connection, "own, after")
        reading.commit(pages[-1].end)
    assert logged.drain(consumer) == ["own, before", "own, after"]


def test_subscribing_and_emitting_in_one_transaction(logged: Logged) -> None:
    logged.emit("before")
    with logged.connect() as connection, connection.transaction():
        connection.execute("SELECT pg_current_xact_id()")
        logged.emit("meanwhile")
        connection.execute("SELECT howdah.subscribe('x', 'c', 'now')")
        put(connection, "own")
    assert logged.drain(logged.consumer("c")) == ["own"]


def test_a_polling_transaction_that_emits_ends(logged: Logged) -> None:
    """Own rows are visible to us and in no window: that must not be an endless search."""
    consumer = logged.consumer()
    with logged.connect() as connection, connection.transaction():
        put(connection, "own")
        assert list(consumer.open(connection).pages()) == []
        rows = connection.execute("SELECT * FROM howdah.read('x', 'c')").fetchall()
        assert rows == []


def test_a_reader_in_a_repeatable_read_transaction(logged: Logged) -> None:
    consumer = logged.consumer()
    logged.emit("1")
    with logged.session("repeatable read") as frozen:
        reading = consumer.open(frozen)
        page = reading.next_page()
        assert page is not None
        logged.emit("2")
        assert reading.next_page() is None
        reading.commit(page.end)
        frozen.execute("COMMIT")
    assert logged.drain(consumer) == ["2"]


def test_keys_spread_over_shards_and_events_without_key_too(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.connect() as connection:
        logged.log.emit_many(
            connection,
            [Event("t", b"", key) for key in ("a", "b", "a", None, None, "")],
        )
        page = consumer.open(connection).next_page()
    assert page is not None
    shards = [record.shard for record in page.records]
    assert shards[0] == shards[2]
    assert len({shards[0], shards[1], shards[3], shards[4]}) == 4
    assert all(0 <= shard < 32768 for shard in shards)
