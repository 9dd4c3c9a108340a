"""Positions are appended, never updated: exactly one instance of a consumer can commit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from howdah.errors import CouldNot, HowdahError, Superseded
from howdah.log import Consumer
from tests.postgres.log.logged import Logged, texts

HALF = 65536


def start_at(logged: Logged, consumer: Consumer, generation: int) -> None:
    """As if it had committed that often."""
    half = (generation >> 16) & 1
    logged.do(
        f"INSERT INTO howdah.log_x${consumer.name}${half} (generation, epoch, seen, last_id)"
        " VALUES (%s, 0, '1:1:', 0)",
        generation,
    )


def test_of_two_instances_exactly_one_commits(logged: Logged) -> None:
    consumer = logged.consumer()
    logged.emit("1", "2")
    with logged.connect() as one, logged.connect() as two:
        first, second = consumer.open(one), consumer.open(two)
        mine, yours = first.next_page(), second.next_page()
        assert mine and yours
        first.commit(mine.end)
        with pytest.raises(Superseded, match="moved on without this instance") as told:
            second.commit(yours.end)
        assert "generation 1" in told.value.detail
        with pytest.raises(Superseded):
            second.commit(yours.end)
        first.commit(mine.end)


def test_instances_that_race_for_every_generation(logged: Logged) -> None:
    """Across the border of the ledger's halves, with as many winners as generations."""
    consumer = logged.consumer()
    start_at(logged, consumer, HALF - 20)
    won: list[int] = []
    barrier = threading.Barrier(4)

    def race(_: int) -> None:
        with logged.connect() as connection:
            for _ in range(40):
                reading = consumer.open(connection)
                barrier.wait()
                try:
                    won.append(reading.reader.cursor.generation + 1)
                    reading.commit(reading.reader.position)
                except Superseded:
                    won.pop(won.index(reading.reader.cursor.generation + 1))
                barrier.wait()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(race, range(4)))
    assert sorted(won) == list(range(HALF - 19, HALF + 21))


def test_taking_over_fences_the_older_instance_at_once(logged: Logged) -> None:
    consumer = logged.consumer()
    logged.emit("1")
    with logged.connect() as one, logged.connect() as two:
        old = consumer.open(one)
        page = old.next_page()
        assert page is not None
        new = consumer.open(two, take_over=True)
        assert new.reader.cursor.epoch == 1
        with pytest.raises(Superseded):
            old.commit(page.end)
        again = new.next_page()
        assert again is not None
        assert texts(again.records) == ["1"]
        new.commit(again.end)


def test_exactly_once_in_the_database(logged: Logged) -> None:
    consumer = logged.consumer()
    logged.do("CREATE TABLE effect (what text)")
    logged.emit("1", "2")
    with logged.connect() as one, logged.connect() as two:
        with pytest.raises(ZeroDivisionError), consumer.exactly_once(one) as records:
            one.execute("INSERT INTO effect VALUES ('lost')")
            _ = len(records) / 0
        with pytest.raises(Superseded), consumer.exactly_once(one) as records:
            one.execute("INSERT INTO effect VALUES ('lost too')")
            with consumer.exactly_once(two) as same:
                assert records == same
                two.execute("INSERT INTO effect VALUES (%s)", [",".join(texts(same))])
        with consumer.exactly_once(one) as records:
            assert records == ()
    assert logged.do("SELECT what FROM effect") == [("1,2",)]


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_an_instance_with_an_old_snapshot_cannot_commit(logged: Logged, isolation: str) -> None:
    consumer = logged.consumer()
    logged.emit("1")
    with logged.session(isolation) as frozen:
        reading = consumer.open(frozen)
        page = reading.next_page()
        assert page is not None
        assert logged.drain(consumer) == ["1"]
        with pytest.raises((Superseded, CouldNot)):
            reading.commit(page.end)


@pytest.mark.parametrize("start", [HALF - 3, 2 * HALF - 3])
def test_generations_cross_the_halves(logged: Logged, start: int) -> None:
    consumer = logged.consumer()
    start_at(logged, consumer, start)
    for number in range(6):
        logged.emit(str(number))
        assert logged.drain(consumer) == [str(number)]
    with logged.connect() as connection:
        assert consumer.cursor(connection).generation == start + 6
    for half in (0, 1):
        assert logged.do(f"SELECT count(*) > 2 FROM howdah.log_x$c${half}") == [(True,)]


def test_an_old_half_is_emptied_and_a_zombie_of_it_finds_out(logged: Logged) -> None:
    """Paused for a whole cycle: its generation's row is gone, and its half is in use again."""
    consumer = logged.consumer()
    logged.emit("1")
    with logged.connect() as asleep:
        zombie = consumer.open(asleep)
        page = zombie.next_page()
        assert page is not None
        assert zombie.reader.cursor.generation == 1
        start_at(logged, consumer, HALF)
        assert logged.maintain(segment_bytes=1 << 30) == []  # too early: it has just begun
        start_at(logged, consumer, HALF + HALF // 2)
        assert logged.maintain(segment_bytes=1 << 30) == ["trimmed"]
        assert logged.do("SELECT count(*) FROM howdah.log_x$c$0") == [(0,)]
        with pytest.raises(Superseded):
            zombie.commit(page.end)
        start_at(logged, consumer, 2 * HALF)
        start_at(logged, consumer, 2 * HALF + HALF // 2)
        assert logged.maintain(segment_bytes=1 << 30) == ["trimmed"]
        with pytest.raises(Superseded):
            zombie.commit(page.end)
    assert logged.do("SELECT min(generation) FROM howdah.log_x$c$0") == [(2 * HALF,)]
    with pytest.raises(psycopg.Error) as told:
        logged.do("SELECT howdah.commit('x', 'c', '1/2:2://0')")
    assert told.value.sqlstate == "HD001"


def test_a_half_in_use_is_not_waited_for(logged: Logged) -> None:
    consumer = logged.consumer()
    start_at(logged, consumer, HALF + HALF // 2)
    with logged.session() as reader:
        reader.execute("SELECT * FROM howdah.log_x$c$0")
        assert logged.maintain(segment_bytes=1 << 30) == ["busy"]
    assert logged.maintain(segment_bytes=1 << 30) == ["trimmed"]


def commits(logged: Logged, consumer: Consumer, count: int) -> list[float]:
    """Emit, read and commit that often; the milliseconds of each tenth."""
    with logged.connect() as connection:
        connection.execute("SET synchronous_commit = off")
        rows = connection.execute(
            "SELECT howdah.log_now()"  # a plain statement: the session is warm
        ).fetchall()
        assert rows
        reading = consumer.open(connection)
        took = []
        for _ in range(10):
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            for _ in range(count // 10):
                reading.commit(reading.reader.position)
            took.append(
                connection.execute(
                    "SELECT extract(epoch FROM clock_timestamp() - %s)::float8 * 1000", row
                ).fetchall()[0][0]
            )
        return took


def undisturbed(logged: Logged, count: int) -> None:
    """No dead tuple, and the last tenth about as fast as the first, under a held horizon."""
    consumer = logged.consumer()
    logged.emit("1")
    logged.drain(consumer)
    dead = logged.dead()
    with (
        logged.session("repeatable read") as held,
        logged.database.server.connect("postgres", autocommit=False) as elsewhere,
    ):
        held.execute("SELECT 1")
        elsewhere.execute("SELECT pg_current_xact_id()")
        took = commits(logged, consumer, count)
        logged.emit("2")
        assert logged.maintain() == ["turned", "pinned"]
        assert logged.drain(consumer) == ["2"]
        assert "reclaimed" in logged.maintain()
        elsewhere.rollback()
    assert logged.dead() == dead
    # The best of three each: the machine may be busy. An updated row is ten times as slow by then.
    assert min(took[-3:]) < 2 * min(took[:3])


def test_commits_under_a_held_horizon_leave_nothing_dead(logged: Logged) -> None:
    undisturbed(logged, 3_000)


@pytest.mark.soak
@pytest.mark.postgres(newest=True)
def test_fifty_thousand_commits_under_a_held_horizon(logged: Logged) -> None:
    undisturbed(logged, 50_000)


def test_a_forgotten_consumer_stops(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.connect() as connection:
        reading = consumer.open(connection)
        assert consumer.unsubscribe(connection)
        assert not consumer.unsubscribe(connection)
        with pytest.raises(HowdahError):
            reading.commit(reading.reader.position)
        with pytest.raises(HowdahError, match="has no consumer"):
            consumer.open(connection)
