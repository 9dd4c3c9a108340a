"""Segments are given back without losing a late row and without waiting for anybody.

PgQ's way, to wait until no transaction of the cluster is older than the switch, fails the tests
with strangers; truncating by segment number fails those with late writers.
"""

from __future__ import annotations

import itertools

import pytest

from howdah.log import Event, Log
from howdah.testing import Database
from tests.postgres.log.logged import Logged, put

WRITER = "WC"  # writes with the number of the first segment, commits
KEEPER = "MDMDM"  # turns, drains, reclaims, drains, reclaims


def orders() -> list[str]:
    """Every merge of the two, each in its own order."""
    places = itertools.combinations(range(len(WRITER + KEEPER)), len(WRITER))
    merged = []
    for place in places:
        writer, keeper = iter(WRITER), iter(KEEPER)
        merged.append(
            "".join(next(writer if at in place else keeper) for at in range(len(WRITER + KEEPER)))
        )
    return merged


@pytest.mark.postgres(newest=True)
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_a_late_writer_into_an_old_segment_in_every_order(logged: Logged, isolation: str) -> None:
    consumer = logged.consumer()
    with logged.connect() as connection:
        stale = Log("x")
        stale.emit(connection, Event("t", b"warm"))
    for number, order in enumerate(orders()):
        found = []
        logged.emit(f"{number} first")
        with logged.session(isolation) as late:
            late.execute("SELECT 1")
            for step in order:
                if step == "W":
                    stale.emit(late, Event("t", f"{number} late".encode(), "k"))
                elif step == "C":
                    late.execute("COMMIT")
                elif step == "M":
                    logged.maintain()
                else:
                    found += logged.drain(consumer)
        found += logged.drain(consumer)
        assert sorted(found) == sorted(
            ["warm"] * (number == 0) + [f"{number} first", f"{number} late"]
        ), order
        for _ in range(3):
            logged.maintain()
    assert sum(logged.bytes_of(segment) for segment in range(4)) == 0


def test_a_writer_at_work_is_not_waited_for(logged: Logged) -> None:
    consumer = logged.consumer()
    logged.emit("1")
    logged.maintain()
    logged.drain(consumer)
    with logged.session() as late:
        late.execute("INSERT INTO howdah.log_x$0 (topic, payload) VALUES ('t', 'late')")
        with logged.connect() as connection:
            connection.execute("SET statement_timeout = '5s'")
            done = logged.log.maintain(connection, segment_bytes=1)
        assert [each.action for each in done] == ["busy"]
        logged.emit("2")  # nobody queues behind us
        late.execute("COMMIT")
    assert logged.maintain() == ["turned", "pinned", "pinned"]
    assert sorted(logged.drain(consumer)) == ["2", "late"]
    assert logged.maintain() == ["reclaimed", "reclaimed"]


def test_strangers_do_not_stop_it(logged: Logged, database: Database) -> None:
    consumer = logged.consumer()
    with (
        database.server.connect("postgres", autocommit=False) as elsewhere,
        logged.session("repeatable read") as reader,
        logged.session() as writer,
    ):
        elsewhere.execute("SELECT pg_current_xact_id()")
        reader.execute("SELECT count(*) FROM pg_class")
        writer.execute("CREATE TABLE theirs (a int)")
        for number in range(6):  # more often than there are segments
            logged.emit(str(number))
            assert "turned" in logged.maintain()
            assert logged.drain(consumer) == [str(number)]
        logged.maintain()
        assert sum(logged.bytes_of(segment) > 0 for segment in range(4)) <= 1
        elsewhere.rollback()


def test_what_a_consumer_has_not_read_stays(logged: Logged) -> None:
    fast, slow = logged.consumer("fast"), logged.consumer("slow")
    logged.emit("1")
    logged.drain(fast)
    assert logged.maintain() == ["turned", "pinned"]
    assert logged.do("SELECT pinned_by FROM howdah.segments('x') WHERE segment = 0") == [
        (["slow"],)
    ]
    assert logged.drain(slow) == ["1"]
    assert logged.maintain() == ["reclaimed"]


def test_without_consumers_nothing_is_consumed(logged: Logged) -> None:
    logged.emit("1")
    assert logged.maintain() == ["turned"]
    assert logged.drain(logged.consumer()) == ["1"]


def test_a_consumer_inside_a_window_pins_it(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.connect() as connection, connection.transaction():
        put(connection, *"abcd")
    with logged.connect() as connection:
        reading = consumer.open(connection)
        page = reading.next_page(2)
        assert page is not None
        reading.commit(page.end)
        assert logged.maintain() == ["turned", "pinned"]
        page = consumer.open(connection).next_page()
        assert page is not None
        assert [record.payload for record in page.records] == [b"c", b"d"]


def test_toast_is_given_back_too(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.connect() as connection:
        noise = connection.execute(
            "SELECT string_agg(decode(md5(g::text), 'hex'), '') FROM generate_series(1, 20000) AS g"
        ).fetchone()
        assert noise is not None
        for _ in range(10):
            logged.log.emit(connection, Event("t", noise[0], "k"))
        total = "SELECT pg_total_relation_size('howdah.log_x$0') > 3000000"
        assert logged.do(total) == [(True,)]
        assert logged.maintain(segment_bytes=3_000_000) == ["turned", "pinned"]  # TOAST counts
        page = consumer.open(connection).next_page()
        assert page is not None
        assert {record.payload for record in page.records} == {bytes(noise[0])}
        reading = consumer.open(connection)
        reading.commit([page.end for page in reading.pages()][-1])
    assert logged.maintain() == ["reclaimed"]
    assert logged.do(total) == [(False,)]


def test_the_ring_grows_rather_than_stops(logged: Logged) -> None:
    logged.consumer()
    done: list[str] = []
    for number in range(5):
        logged.emit(str(number))
        done += logged.maintain()
    assert done.count("turned") == 3 + done.count("added")
    assert "added" in done
    with logged.connect() as connection:
        other = Log("x")
        other.emit(connection, Event("t", b"into the new one"))
    assert logged.drain(logged.consumer()) == [*"01234", "into the new one"]


@pytest.mark.postgres(newest=True)
def test_a_full_ring_says_so(database: Database) -> None:
    logged = Logged(database, segments=64)
    logged.consumer()
    for segment in range(64):
        logged.do(f"INSERT INTO howdah.log_x${segment} (topic, payload) VALUES ('t', '')")
    assert "full" in logged.maintain()
    logged.emit("still accepted")


def test_segments_turn_by_age_too(logged: Logged) -> None:
    assert logged.maintain(segment_bytes=1 << 30, segment_seconds=1) == []
    logged.emit("1")
    assert logged.maintain(segment_bytes=1 << 30, segment_seconds=900) == []
    logged.do("UPDATE howdah.log_turn SET opened_at = opened_at - interval '15 minutes'")
    assert logged.maintain(segment_bytes=1 << 30, segment_seconds=900) == ["turned"]


def test_maintenance_by_two_is_done_by_one(logged: Logged) -> None:
    logged.consumer()
    logged.emit("1")
    with logged.session() as first:
        assert len(logged.log.maintain(first, segment_bytes=1)) == 2
        assert logged.maintain() == []
        first.execute("COMMIT")
    assert logged.maintain() == ["pinned"]


def test_only_read_committed_may_maintain(logged: Logged) -> None:
    with logged.session("repeatable read") as frozen, pytest.raises(Exception, match="looks again"):
        logged.log.maintain(frozen)
