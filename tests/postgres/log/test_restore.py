"""A position is continued where it means something, and refused where it does not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from howdah.errors import BadInput, PositionLost
from howdah.log import Consumer
from howdah.postgres import programs
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer
from tests.postgres.log.logged import Logged, texts


@contextmanager
def dumped(logged: Logged) -> Iterator[Logged]:
    """The same log in another database, by pg_dump."""
    target = Database(logged.database.server)
    dump = subprocess.run(
        [str(programs("pg_dump")), "--schema=howdah", logged.database.dsn],
        capture_output=True,
        check=True,
    )
    psql = [str(programs("psql")), "-X", "-q", target.dsn]
    subprocess.run(psql, input=dump.stdout, check=True, capture_output=True)
    copy = Logged.__new__(Logged)
    copy.database, copy.log = target, logged.log
    try:
        yield copy
    finally:
        target.drop()


def spend_transactions(logged: Logged, count: int) -> None:
    """So that the xids of rows lie far from those that another server would give."""
    with logged.connect() as connection, connection.pipeline():
        for _ in range(count):
            connection.execute("SELECT pg_current_xact_id()")


@pytest.mark.parametrize("start_at", ["earliest", "now"])
def test_a_dump_elsewhere_is_refused_until_it_is_reanchored(logged: Logged, start_at: str) -> None:
    consumer, other = logged.consumer(), logged.consumer("other")
    logged.emit("1", "2")
    assert logged.drain(consumer) == ["1", "2"]
    logged.emit("3")
    with dumped(logged) as copy:
        for each in (consumer, other):
            with copy.connect() as connection, pytest.raises(PositionLost) as told:
                each.open(connection)
            assert "reanchor" in told.value.hint
        copy.emit("4")  # producers go on
        assert copy.maintain() == ["foreign"]
        with copy.connect() as connection, pytest.raises(PositionLost, match="copied here"):
            Consumer("x", "fresh").subscribe(connection)
        with copy.connect() as connection:
            consumer.reanchor(connection, start_at)
        expected = ["1", "2", "3", "4"] if start_at == "earliest" else []
        assert copy.drain(consumer) == expected
        copy.emit("5")
        assert copy.drain(consumer) == ["5"]
        with copy.connect() as connection, pytest.raises(PositionLost):
            other.open(connection)
        assert copy.maintain() == ["turned", "pinned"]  # by the one who was not asked yet
        with copy.connect() as connection:
            other.reanchor(connection, "earliest")
        assert copy.drain(other) == ["1", "2", "3", "4", "5"]
        assert copy.maintain() == ["reclaimed"]
    assert logged.drain(consumer) == ["3"]


def test_rows_of_the_servers_future_are_adopted(logged: Logged, own_server: OwnServer) -> None:
    """On a younger server no snapshot shows their transaction ids, and every floor is above."""
    consumer = logged.consumer()
    spend_transactions(logged, 3_000)
    logged.emit("old")
    dump = subprocess.run(
        [str(programs("pg_dump")), "--schema=howdah", logged.database.dsn],
        capture_output=True,
        check=True,
    )
    young = own_server()
    psql = [str(programs("psql")), "-X", "-q", young.dsn()]
    subprocess.run(psql, input=dump.stdout, check=True, capture_output=True)
    with young.connect() as connection:
        connection.execute("SELECT howdah.emit('x', 't', 'k', 'new')")
        assert connection.execute("SELECT howdah.adopt_log('x')").fetchone() == (True,)
        assert connection.execute("SELECT howdah.adopt_log('x')").fetchone() == (False,)
        fresh = Consumer("x", "fresh")
        fresh.subscribe(connection)
        page = fresh.open(connection).next_page()
        assert page is not None
        assert texts(page.records) == ["old", "new"]
        with pytest.raises(PositionLost, match="another database"):
            consumer.open(connection)
        before = connection.execute("SELECT uuid FROM howdah.log").fetchone()
    assert before != logged.do("SELECT uuid FROM howdah.log")[0]


def test_keep_after_pg_upgrade(logged: Logged) -> None:
    """pg_upgrade keeps transaction ids and changes the system identifier."""
    consumer = logged.consumer()
    logged.emit("1", "2")
    with logged.connect() as connection:
        reading = consumer.open(connection)
        page = reading.next_page(1)
        assert page is not None
        reading.commit(page.end)
    logged.do("UPDATE howdah.log SET system_identifier = 1")
    logged.do("UPDATE howdah.log_consumer SET system_identifier = 1")
    with logged.connect() as connection:
        with pytest.raises(PositionLost):
            consumer.open(connection)
        uuid = connection.execute("SELECT uuid FROM howdah.log").fetchone()
        consumer.reanchor(connection, "keep")
        assert connection.execute("SELECT uuid FROM howdah.log").fetchone() == uuid
    assert logged.drain(consumer) == ["2"]


def test_a_position_in_the_future_is_refused(logged: Logged) -> None:
    consumer = logged.consumer()
    logged.emit("1")
    logged.do(
        "INSERT INTO howdah.log_x$c$0 (generation, epoch, seen, last_id)"
        " VALUES (2, 0, '4000000000:4000000000:', 0)"
    )
    with logged.connect() as connection:
        with pytest.raises(PositionLost, match="in the future") as told:
            consumer.open(connection)
        assert "4000000000" in told.value.detail
        assert logged.maintain() == ["turned", "pinned"]
        with pytest.raises(PositionLost, match="in the future"):
            consumer.reanchor(connection, "keep")
        consumer.reanchor(connection, "earliest")
    assert logged.drain(consumer) == ["1"]


def test_a_reader_that_outlives_its_server_is_told(logged: Logged) -> None:
    """In memory it has read further than the server that it finds after a failover."""
    consumer = logged.consumer()
    with logged.connect() as connection:
        reading = consumer.open(connection)
        reading.reader._position = reading.reader.position.__class__(seen="4000000000:4000000000:")
        with pytest.raises(PositionLost, match="in the future"):
            reading.next_page()


def test_reanchoring_wants_a_word_that_it_knows(logged: Logged) -> None:
    consumer = logged.consumer()
    with logged.connect() as connection:
        with pytest.raises(BadInput, match="earliest, now or keep"):
            consumer.reanchor(connection, "tomorrow")
        with pytest.raises(BadInput, match="has no consumer"):
            Consumer("x", "nobody").reanchor(connection, "now")


@pytest.mark.postgres(newest=True)
def test_a_standby_is_refused_and_after_promotion_goes_on(own_server: OwnServer) -> None:
    primary = own_server()
    with primary.connect() as connection:
        connection.execute("CREATE DATABASE shop")
    place = Database.__new__(Database)
    place.server, place.name, place.dsn = primary, "shop", primary.dsn("shop")
    logged = Logged(place)
    consumer = logged.consumer()
    logged.emit("1", "2")
    with logged.connect() as connection:
        reading = consumer.open(connection)
        page = reading.next_page(1)
        assert page is not None
        reading.commit(page.end)
        old_identity = logged.log.identity(connection)
    with primary.standby() as standby:
        count = "SELECT count(*) FROM howdah.log_x$0"
        with standby.connect("shop") as connection:
            wait_until(lambda: connection.execute(count).fetchone() == (2,))
            with pytest.raises(BadInput, match="standby") as told:
                consumer.open(connection)
            assert told.value.hint == "connect to the primary"
        logged.emit("3")
        with standby.connect("shop") as connection:
            wait_until(lambda: connection.execute(count).fetchone() == (3,))
        primary.kill()
        standby.promote()
        place.server, place.dsn = standby, standby.dsn("shop")
        logged.emit("4")
        assert logged.drain(consumer) == ["2", "3", "4"]
        with logged.connect() as connection:
            identity = logged.log.identity(connection)
        # Ids may be given out again after a failover, so what they are unique in has changed.
        assert identity != old_identity
        assert identity.rpartition("-")[0] == old_identity.rpartition("-")[0]
