"""Through a pooler in transaction mode: every transaction may be in another session.

PgBouncer before 1.21 knows no prepared statements; a client's own connections must prepare none.
What we connect ourselves notices the pooler and prepares nothing, sets nothing and locks nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import howdah.queue
from howdah import schema
from howdah.errors import HowdahError, Superseded
from howdah.log import Consumer, Event, Log
from howdah.log.api import OpenConsumer
from howdah.outbox import Outbox, Relay
from howdah.postgres import connect
from howdah.queue import Queue
from howdah.testing import Database, wait_until
from howdah.testing.brokers import PgbouncerBroker
from howdah.testing.sinks import MemorySink, Store
from tests.postgres.outbox.posted import QUICK, Posted, Running, arrived, in_order
from tests.postgres.queue.working import working

SESSIONS = 2
CLIENTS = 4
ROUNDS = 12  # psycopg prepares a statement when it comes the sixth time
LOCKS = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@pytest.fixture
def pooled(database: Database) -> Iterator[str]:
    """The test's database through a pooler that has fewer sessions than there are clients."""
    reason = PgbouncerBroker.missing()
    if reason:
        pytest.skip(f"pgbouncer is not here; try: {reason}")
    with PgbouncerBroker.before(database.dsn, size=SESSIONS) as pooler:
        with contextlib.ExitStack() as stack:  # open all its sessions: they take turns from now on
            for _ in range(SESSIONS):
                connection = stack.enter_context(psycopg.connect(pooler.url))
                connection.execute("SELECT 1")
        yield pooler.url


@pytest.fixture
def clients(pooled: str) -> Iterator[Callable[..., list[psycopg.Connection[Any]]]]:
    with contextlib.ExitStack() as stack:

        def connected(**options: Any) -> list[psycopg.Connection[Any]]:
            return [
                stack.enter_context(psycopg.connect(pooled, autocommit=True, **options))
                for _ in range(CLIENTS)
            ]

        yield connected


def test_events_are_emitted_read_and_committed(
    posted: Posted, pooled: str, clients: Callable[..., list[psycopg.Connection[Any]]]
) -> None:
    log, consumer = Log("orders"), Consumer("orders", "audit")
    with contextlib.closing(connect(pooled)) as reader, contextlib.closing(connect(pooled)) as late:
        consumer.subscribe(reader)
        reading = consumer.open(reader)
        found: list[bytes] = []
        connections = clients(prepare_threshold=None)
        for number in range(ROUNDS):
            for client in connections:
                with client.transaction():
                    posted.outbox.emit(client, "t", "k", {"n": number})
                    posted.outbox.emit_many(client, [("t", "k", b"2"), ("t", None, "3")])
                    log.copy(client, [Event("t", b"4", "k")])
            for page in reading.pages():
                found += [record.payload for record in page.records]
                reading.commit(page.end)
        assert len(found) == ROUNDS * CLIENTS * 4
        # Only one of them may commit, whichever session each of its statements was in.
        other = consumer.open(late, take_over=True)
        posted.emit("k")
        with pytest.raises(Superseded, match="moved on"):
            read_one(reading)
        read_one(other)


def read_one(reading: OpenConsumer) -> None:
    page = reading.next_page()
    assert page is not None
    reading.commit(page.end)


def test_events_are_emitted_by_asyncpg(posted: Posted, pooled: str) -> None:
    async def emit() -> None:
        given = conninfo_to_dict(pooled)
        address = {"host": given["host"], "port": int(given["port"] or 0), "user": given["user"]}
        for _ in range(CLIENTS):
            connection = await asyncpg.connect(
                **address, database=given["dbname"], statement_cache_size=0
            )
            for number in range(ROUNDS):
                async with connection.transaction():
                    await posted.outbox.aemit(connection, "t", "k", {"n": number})
            await connection.close()

    asyncio.run(emit())
    sink = MemorySink()
    posted.drain(sink)
    assert len(sink.delivered) == CLIENTS * ROUNDS


def test_a_client_that_prepares_is_told_and_nothing_is_half_done(
    posted: Posted, pooled: str, clients: Callable[..., list[psycopg.Connection[Any]]]
) -> None:
    """With a pooler that knows no prepared statements; a newer one that does refuses nothing."""
    emitted = 0
    refused: list[HowdahError] = []
    for client in clients(prepare_threshold=0):
        for _ in range(3):
            try:
                with client.transaction():
                    posted.outbox.emit(client, "t", "k", "x")
                emitted += 1
            except HowdahError as error:
                refused.append(error)
    sink = MemorySink()
    posted.drain(sink)
    assert len(sink.delivered) == emitted
    assert all("prepare_threshold=None" in error.hint for error in refused)


def test_a_relay_and_another_that_waits(posted: Posted, pooled: str) -> None:
    """Neither holds a session lock; that the first is gone is told by its silence."""
    store = Store()
    first, second = MemorySink(store), MemorySink(store)
    options = msgspec.structs.replace(QUICK, standby=True, lease_seconds=1)
    old = Running(Relay(posted.outbox, first, dsn=pooled, options=options))
    try:
        for _ in range(ROUNDS):
            posted.emit("a", "b", "a")
        arrived(first, ROUNDS * 3)
        new = Running(Relay(posted.outbox, second, dsn=pooled, options=options))
        try:
            posted.emit("a", "b", "a")
            arrived(first, (ROUNDS + 1) * 3)
            assert new.relay.figures.epoch == 0
            assert posted.do(LOCKS) == [(0,)]
            old.stop()
            posted.emit("a", "b")
            arrived(second, (ROUNDS + 1) * 3 + 2)
            assert new.relay.figures.epoch > old.relay.figures.epoch
        finally:
            new.stop()
    finally:
        old.stop()
    assert old.error is None and new.error is None
    assert in_order(store.delivered)
    assert posted.do(LOCKS) == [(0,)]


def test_jobs_are_enqueued_and_worked_off(
    database: Database, pooled: str, clients: Callable[..., list[psycopg.Connection[Any]]]
) -> None:
    queue = Queue("pool", lease_seconds=2)
    ran: list[int] = []

    @queue.job()
    def note(n: int) -> None:
        ran.append(n)

    with database.connect() as direct:
        schema.install(direct, [howdah.queue.COMPONENT])
        queue.create(direct)
    connections = clients(prepare_threshold=None)
    with working(queue, pooled):
        for number in range(ROUNDS):
            for at, client in enumerate(connections):
                with client.transaction():
                    note.enqueue(client, n=number * CLIENTS + at)
        wait_until(lambda: len(ran) == ROUNDS * CLIENTS, seconds=30)
    with working(queue, pooled):  # the next one must not wait for a lock that nobody gives back
        note.enqueue(connections[0], n=-1)
        wait_until(lambda: -1 in ran, seconds=30)
    assert sorted(ran) == list(range(-1, ROUNDS * CLIENTS))


def test_partitioned_outboxes_too(database: Database, pooled: str) -> None:
    posted = Posted(database.dsn, layout="partitioned")
    with contextlib.closing(connect(pooled)) as client:
        for number in range(ROUNDS):
            posted.outbox.emit(client, "t", f"k{number % 3}", b"x")
    sink = MemorySink()
    running = Running(Relay(Outbox("orders"), sink, dsn=pooled, options=QUICK))
    try:
        arrived(sink, ROUNDS)
    finally:
        running.stop()
    assert running.error is None
    assert in_order(sink.delivered)
