"""Visible is not durable: what may be published is what a crash would keep."""

from __future__ import annotations

from howdah.driver import run
from howdah.log import store
from howdah.testing import wait_until
from howdah.testing.fixtures import OwnServer
from tests.postgres.log.logged import Logged, texts
from tests.postgres.log.places import place_on


def test_the_gate_opens_when_the_log_is_flushed(own_server: OwnServer) -> None:
    server = own_server({"wal_writer_delay": "10000ms", "wal_writer_flush_after": "0"})
    logged = Logged(place_on(server))
    consumer = logged.consumer()
    with logged.connect() as producer, logged.connect() as reader:
        producer.execute("CHECKPOINT")
        producer.execute("SET synchronous_commit = off")
        reading = consumer.open(reader)
        reading.next_page()

        def visible_before_durable() -> bool:
            """The WAL writer may have passed by just now; then it is repeated."""
            producer.execute("SELECT howdah.emit('x', 't', 'k', 'fast')")
            page = reading.next_page()
            assert page is not None
            assert texts(page.records)[-1] == "fast"
            peek = reading.reader.peeked
            assert peek is not None
            return not peek.flushed and not run(reader, store.flushed(peek.lsn))

        wait_until(visible_before_durable)
        peek = reading.reader.peeked
        assert peek is not None
        producer.execute("SET synchronous_commit = on")
        producer.execute("SELECT howdah.emit('x', 't', 'k', 'safe')")
        assert run(reader, store.flushed(peek.lsn))
        assert reading.next_page() is not None
        assert reading.reader.peeked is not None
        assert reading.reader.peeked.flushed


def test_after_a_crash_ids_go_on_and_nothing_acknowledged_is_gone(own_server: OwnServer) -> None:
    server = own_server({"fsync": "on"})
    logged = Logged(place_on(server))
    consumer = logged.consumer()
    emitted = []
    for number in range(3):
        logged.emit(str(number))
        emitted.append(str(number))
        server.stop("immediate")
        server.restart()
    logged.emit("last")
    with logged.connect() as connection:
        page = consumer.open(connection).next_page()
    assert page is not None
    assert texts(page.records) == [*emitted, "last"]
    ids = [record.id for record in page.records]
    assert ids == sorted(set(ids))
