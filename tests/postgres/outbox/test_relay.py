"""The relay: order per key, one owner, and every failure that may pass."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from howdah.errors import BadInput, Superseded, Unsupported
from howdah.log import Consumer
from howdah.outbox import Outbox, Relay
from howdah.outbox.model import Draft, Ended
from howdah.outbox.sinks.sink import Verdict
from howdah.postgres import Server
from howdah.testing import Database, wait_until
from howdah.testing.sinks import MemorySink, Store
from tests.postgres.outbox.posted import (
    LAYOUTS,
    QUICK,
    Posted,
    arrived,
    bounded,
    by_key,
    in_order,
)

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

AT_THE_GATE = """SELECT 1 FROM pg_stat_activity
WHERE application_name = 'howdah relay orders' AND query LIKE '%%replay_lsn%%'"""
KEYS = [f"k{number % 7}" for number in range(200)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_everything_arrives_in_the_order_of_its_key(database: Database, layout: str) -> None:
    posted = Posted(database.dsn, layout=layout)
    ids = posted.emit(*KEYS)
    sink = MemorySink(dedup=False)
    relay = posted.drain(sink, batch_messages=30)
    assert sorted(message.id for message in sink.delivered) == ids
    assert in_order(sink.delivered)
    first = sink.delivered[0]
    assert first.uid.endswith(f"-{first.id}")
    assert first.headers == {"content-type": "text/plain; charset=utf-8"}
    assert relay.figures.delivered == len(ids)
    posted.drain(sink)
    assert len(sink.delivered) == len(ids), "a second relay sends nothing again"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_what_is_committed_and_late_commits_too(database: Database, layout: str) -> None:
    posted = Posted(database.dsn, layout=layout)
    sink = MemorySink()
    with contextlib.closing(posted.connect()) as slow, contextlib.closing(posted.connect()) as gone:
        slow.execute("BEGIN")
        late = posted.outbox.emit(slow, "t", "k", "late")
        gone.execute("BEGIN")
        posted.outbox.emit(gone, "t", "k", "never")
        gone.execute("ROLLBACK")
        early = posted.emit("k")
        posted.drain(sink)
        assert [message.id for message in sink.delivered] == early
        slow.execute("COMMIT")
    posted.drain(sink)
    assert [message.id for message in sink.delivered] == [*early, late]


def test_shards_divide_keys_and_not_their_order(posted: Posted) -> None:
    ids = posted.emit(*KEYS)
    store = Store()
    sinks = [MemorySink(store, dedup=False) for _ in range(3)]
    options = msgspec.structs.replace(QUICK, shards=3, batch_messages=10)
    relay = Relay(posted.outbox, lambda shard: sinks[shard], dsn=posted.dsn, options=options)
    assert asyncio.run(bounded(relay, until_idle=True)) is Ended.DRAINED
    assert sorted(message.id for message in store.delivered) == ids
    assert in_order(store.delivered)
    homes = [set(by_key([m for call in sink.calls for m in call])) for sink in sinks]
    assert sum(bool(each) for each in homes) > 1
    assert not (homes[0] & homes[1] or homes[0] & homes[2] or homes[1] & homes[2])
    assert {fence.shard for sink in sinks for fence in sink.opened} == {0, 1, 2}


def test_an_idle_relay_takes_no_transaction_id(posted: Posted) -> None:
    posted.emit("a")
    sink = MemorySink()
    now = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
    with posted.relaying(sink) as running:
        arrived(sink, 1)
        wait_until(lambda: not _waiting(posted))
        looks = _looks(running.relay)
        before = posted.do(now)
        wait_until(lambda: looks() > 30)
        assert posted.do(now) == before


def test_a_newer_relay_supersedes_and_nothing_is_lost(posted: Posted) -> None:
    store = Store()
    first, second = MemorySink(store), MemorySink(store)
    with posted.relaying(first) as old:
        posted.emit(*KEYS)
        arrived(first, 200)
        with posted.relaying(second) as new:
            wait_until(lambda: new.relay.figures.epoch > old.relay.figures.epoch)
            posted.emit(*KEYS)
            wait_until(lambda: not old.alive)
            assert isinstance(old.error, Superseded)
            assert f"superseded by {socket.gethostname()}/{os.getpid()} at 20" in str(old.error)
            assert f"(epoch {new.relay.figures.epoch})" in str(old.error)
            arrived(second, 400)
            assert new.error is None
    assert in_order(store.delivered)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_waiting_relay_takes_over_when_the_owner_is_gone(database: Database, layout: str) -> None:
    posted = Posted(database.dsn, layout=layout)
    store = Store()
    first, second = MemorySink(store), MemorySink(store)
    owner = posted.relaying(first, standby=True)
    with owner as old:
        posted.emit("a")
        arrived(first, 1)
        with posted.relaying(second, standby=True) as waiting:
            posted.emit("a", "a")
            arrived(first, 3)
            assert waiting.relay.figures.epoch == 0
            old.stop()
            posted.emit("b")
            arrived(second, 4)
            assert waiting.relay.figures.epoch > old.relay.figures.epoch


def test_an_owner_that_hangs_loses_its_place_when_there_is_work(posted: Posted) -> None:
    """The session lock is held, and nobody writes: only the ledger's silence tells."""
    with contextlib.closing(posted.connect()) as hung:
        hung.execute("SELECT pg_advisory_lock(hashtextextended('howdah.outbox relay orders', 0))")
        sink = MemorySink()
        with posted.relaying(sink, standby=True, lease_seconds=1) as waiting:
            posted.emit("a")
            arrived(sink, 1)
            assert waiting.relay.figures.epoch == 1


def test_a_broker_that_speaks_of_a_newer_relay_is_checked_against_the_ledger(
    posted: Posted,
) -> None:
    """The ledger says that we own it: a fresh epoch, and on."""
    sink = MemorySink()
    sink.store.epochs["orders", 0] = 4
    ids = posted.emit("a", "a")
    relay = posted.drain(sink)
    assert [message.id for message in sink.delivered] == ids
    assert relay.figures.epoch == 4


def test_a_relay_fenced_by_a_newer_one_hears_from_the_ledger_who_that_is(posted: Posted) -> None:
    """The broker's word is the first that it hears; what it reports is what the ledger says."""
    first, second = MemorySink(), MemorySink()
    with posted.relaying(first) as old:
        posted.emit("a")
        arrived(first, 1)
        wait_until(lambda: not _waiting(posted))
        with posted.relaying(second) as new:
            wait_until(lambda: new.relay.figures.epoch == 2)
            first.break_connection(Superseded("somebody has the transactional id"))
            posted.emit("a")
            wait_until(lambda: not old.alive)
    assert isinstance(old.error, Superseded)
    assert "somebody" not in old.error.message
    assert f"{socket.gethostname()}/{os.getpid()} at 20" in old.error.message
    assert old.error.detail == "This one was epoch 1."


def test_only_what_a_synchronous_standby_shows_is_published(
    own_server: Callable[..., Server],
) -> None:
    server = own_server()
    posted = Posted(server.create_database("shop"))
    standby = server.standby()
    with contextlib.closing(standby), contextlib.closing(posted.connect()) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
        sink = MemorySink()
        with posted.relaying(sink, wait_for_standby=True):
            posted.emit("a")
            arrived(sink, 1)
            standby.stop()
            connection.execute("SET synchronous_commit = local")
            posted.outbox.emit(connection, "t", "a", "held back")
            wait_until(lambda: posted.do(AT_THE_GATE) and len(sink.delivered) == 1)
            standby.restart()
            arrived(sink, 2)


def test_a_promise_that_the_sink_cannot_keep_is_refused(database: Database) -> None:
    posted = Posted(database.dsn, dedup="message-id")
    with pytest.raises(Unsupported, match="cannot keep"):
        posted.drain(MemorySink(dedup=False))
    posted.drain(MemorySink(dedup=True))


def test_a_sink_that_breaks_is_opened_again(posted: Posted) -> None:
    sink = MemorySink(dedup=False)
    with posted.relaying(sink) as running:
        for number in range(5):
            posted.emit(*KEYS)
            sink.break_connection()
            arrived(sink, 200 * (number + 1))
        assert running.error is None
        assert running.relay.figures.sink_failures
    assert len(sink.delivered) == 1000
    assert in_order(sink.delivered)


def test_messages_that_are_to_be_sent_again_keep_their_order(posted: Posted) -> None:
    sink = MemorySink(dedup=False)
    sink.fail(lambda message: message.id % 3 == 0, Verdict.RETRY, times=40)
    ids = posted.emit(*KEYS)
    posted.drain(sink, max_attempts=1000)
    assert sorted(message.id for message in sink.delivered) == ids
    assert in_order(sink.delivered)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sessions_that_are_cut_repeat_nothing(database: Database, layout: str) -> None:
    posted = Posted(database.dsn, layout=layout)
    sink = MemorySink(dedup=False)
    with posted.relaying(sink, batch_messages=7) as running:
        for number in range(8):
            posted.emit(*KEYS)
            wait_until(lambda seen=number: len(sink.delivered) > seen * 200 + 20)  # type: ignore[misc]  # a default binds the loop's value
            posted.do(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'howdah relay orders'"
            )
            arrived(sink, 200 * (number + 1))
        assert running.error is None
        assert running.relay.figures.database_failures
    assert len(sink.delivered) == 1600, "twice"
    assert in_order(sink.delivered)


def test_a_crash_of_postgresql_repeats_and_loses_nothing(
    own_server: Callable[..., Server],
) -> None:
    server = own_server(settings={"fsync": "on", "synchronous_commit": "on"})
    posted = Posted(server.create_database("shop"))
    sink = MemorySink(dedup=False)
    with posted.relaying(sink, batch_messages=20) as running:
        for number in range(3):
            posted.emit(*KEYS)
            wait_until(lambda seen=number: len(sink.delivered) > seen * 200)  # type: ignore[misc]  # a default binds the loop's value
            server.stop("immediate")
            server.restart()
            arrived(sink, 200 * (number + 1))
        assert running.error is None
    assert len(sink.delivered) == 600
    assert in_order(sink.delivered)


def test_what_is_not_on_disk_waits_for_the_sign_of_life_that_brings_it_there(
    own_server: Callable[..., Server],
) -> None:
    server = own_server(settings={"fsync": "on", "wal_writer_delay": "10s"})
    posted = Posted(server.create_database("shop"))
    sink = MemorySink()
    with posted.relaying(sink), contextlib.closing(posted.connect()) as connection:
        connection.execute("SET synchronous_commit = off")
        posted.outbox.emit(connection, "t", "k", "x")
        arrived(sink, 1, seconds=5)


def test_a_backlog_larger_than_memory_allows_goes_through(posted: Posted) -> None:
    for _ in range(10):
        posted.emit(*KEYS)
    sink = MemorySink(dedup=False)
    posted.drain(sink, ahead_messages=100, ahead_bytes=200, batch_messages=50)
    assert len(sink.delivered) == 2000
    assert in_order(sink.delivered)


def test_segments_are_given_back_after_an_idle_relay(posted: Posted) -> None:
    """The committed position does not stay inside a window that is done."""
    posted.emit(*KEYS)
    posted.drain(MemorySink())
    with contextlib.closing(posted.connect()) as connection:
        assert Consumer("orders", "relay").cursor(connection).position.upto is None
        assert not posted.outbox.status(connection).waiting


def test_emitting_from_asynchronous_drivers(posted: Posted) -> None:
    import asyncpg
    from psycopg.conninfo import conninfo_to_dict

    async def emit() -> list[int]:
        given = conninfo_to_dict(posted.dsn)
        first = await psycopg.AsyncConnection.connect(posted.dsn)
        second = await asyncpg.connect(
            host=given["host"],
            port=int(given["port"] or 0),
            database=given["dbname"],
            user=given["user"],
        )
        try:
            async with first.transaction():
                ids = [await posted.outbox.aemit(first, "t", "k", {"n": 1})]
            async with second.transaction():
                return ids + await posted.outbox.aemit_many(second, [("t", "k", b"2")])
        finally:
            await first.close()
            await second.close()

    ids = asyncio.run(emit())
    sink = MemorySink()
    posted.drain(sink)
    assert [message.id for message in sink.delivered] == ids
    assert [message.payload for message in sink.delivered] == [b'{"n":1}', b"2"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_copied_events_are_as_those_that_are_emitted(database: Database, layout: str) -> None:
    posted = Posted(database.dsn, layout=layout)
    drafts = [
        ("t", "k", {"n": 1}),
        ("t", "k", b"\x00", {"content-type": "a/b", "x": "y"}),
        Draft("t", None, "three"),
    ]
    with contextlib.closing(posted.connect()) as connection:
        with connection.transaction():
            assert posted.outbox.copy(connection, iter(drafts)) == 3
            assert asyncio.run(acopied(posted, drafts)) == 3
            posted.outbox.emit_many(connection, drafts)
        with connection.transaction(force_rollback=True):
            posted.outbox.copy(connection, drafts)
        with pytest.raises(BadInput, match="allowed"):
            posted.outbox.copy(connection, [("t", "k", b"x" * 1_000_000)])
        assert connection.info.transaction_status.name == "IDLE"
    sink = MemorySink()
    posted.drain(sink)
    found = [(m.topic, m.key, m.payload, m.headers) for m in sink.delivered]
    assert len(found) == 9
    assert sorted(map(repr, found[:3])) == sorted(map(repr, found[3:6]))
    assert found[:3] == found[6:] or found[3:6] == found[6:]
    keyed = [m.payload for m in sink.delivered if m.key == "k"]
    assert keyed == [b'{"n":1}', b"\x00"] * 3


async def acopied(posted: Posted, drafts: list[Any]) -> int:
    async with await psycopg.AsyncConnection.connect(posted.dsn) as connection:
        return await posted.outbox.acopy(connection, drafts)


def test_the_name_of_an_outbox_is_checked_where_it_matters(posted: Posted) -> None:
    with contextlib.closing(posted.connect()) as connection:
        with pytest.raises(BadInput, match="no name"):
            Outbox("Orders").create(connection)
        with pytest.raises(BadInput, match="has layout ring"):
            Outbox("orders", layout="partitioned").create(connection)
        assert Outbox("orders", policy="park").create(connection) is False


def _waiting(posted: Posted) -> bool:
    with contextlib.closing(posted.connect()) as connection:
        return posted.outbox.status(connection).waiting


def _looks(relay: Relay) -> Callable[[], int]:
    """How often the relay has looked from now on."""
    count = 0
    pause = relay._pause

    async def counted(idle_for: float) -> None:
        nonlocal count
        count += 1
        await pause(idle_for)

    relay._pause = counted  # type: ignore[method-assign]  # a test's look from outside
    return lambda: count
