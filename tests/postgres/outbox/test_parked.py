"""Poison: set aside by the key's policy, kept through restarts, replayed in order, discarded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from howdah.errors import BadInput
from howdah.outbox.model import Policy
from howdah.outbox.sinks.sink import Message, Verdict
from howdah.testing import Database, wait_until
from howdah.testing.sinks import MemorySink
from tests.postgres.outbox.posted import LAYOUTS, Posted, arrived, by_key, in_order

ORDERED = (Policy.BLOCK, Policy.PARK)


def poison(sink: MemorySink, *ids: int) -> None:
    sink.fail(lambda message: message.id in ids, Verdict.POISON, reason="bad one", code="bad")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", ORDERED)
def test_a_poisoned_key_is_set_aside_and_others_go_on(
    database: Database, layout: str, policy: Policy
) -> None:
    posted = Posted(database.dsn, layout=layout, policy=policy)
    ids = posted.emit("a", "b", "a", "a", "b", None)
    sink = MemorySink(dedup=False)
    poison(sink, ids[2])
    posted.drain(sink, blocked_seconds=60)
    assert by_key(sink.delivered) == {"a": ids[:1], "b": [ids[1], ids[4]], None: [ids[5]]}
    failed, behind = posted.parked()
    assert (failed.id, failed.state, failed.code, failed.error) == (
        ids[2],
        "failed",
        "bad",
        "bad one",
    )
    assert (failed.payload, failed.policy, failed.attempts) == (b"a2", policy, 1)
    assert (behind.id, behind.state) == (ids[3], "behind")
    with contextlib.closing(posted.connect()) as connection:
        status = posted.outbox.status(connection)
    assert (status.waiting, status.parked, status.parked_keys) == (False, 2, 1)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", ORDERED)
def test_what_a_parked_key_brings_later_joins_it_also_after_a_restart(
    database: Database, layout: str, policy: Policy
) -> None:
    posted = Posted(database.dsn, layout=layout, policy=policy)
    ids = posted.emit("a", "a")
    sink = MemorySink(dedup=False)
    poison(sink, ids[0])
    posted.drain(sink, blocked_seconds=60)
    sink.heal()
    for _ in range(3):
        ids += posted.emit("a", "b")
        posted.drain(sink, blocked_seconds=60)
    assert set(by_key(sink.delivered)) == {"b"}
    keyed = [row.id for row in posted.parked()]
    posted.replay(key="a")
    with posted.relaying(sink, blocked_seconds=60):
        ids += posted.emit("a", "a")
        arrived(sink, len(ids))
        wait_until(lambda: not posted.parked())
    assert by_key(sink.delivered)["a"][: len(keyed)] == keyed
    assert sorted(message.id for message in sink.delivered) == sorted(ids)
    assert in_order(sink.delivered)


def test_a_blocked_key_heals_by_itself(database: Database) -> None:
    posted = Posted(database.dsn, policy="block")
    ids = posted.emit("a", "a", "b")
    sink = MemorySink(dedup=False)
    poison(sink, ids[0])
    with posted.relaying(sink) as running:
        wait_until(lambda: len(posted.parked()) == 2)
        wait_until(lambda: posted.parked()[0].attempts > 2)
        sink.heal()
        arrived(sink, 3)
        ids += posted.emit("a")
        arrived(sink, 4)
        wait_until(lambda: not posted.parked())
        assert running.error is None
    assert in_order(sink.delivered)


def test_a_parked_key_waits_for_a_person(database: Database) -> None:
    posted = Posted(database.dsn, policy="park")
    ids = posted.emit("a", "a")
    sink = MemorySink()
    poison(sink, ids[0])
    with posted.relaying(sink):
        wait_until(lambda: len(posted.parked()) == 2)
        sink.heal()
        looks = _parked_looks(posted)
        posted.emit("b")
        wait_until(looks)
        assert set(by_key(sink.delivered)) == {"b"}


def test_skip_gives_up_the_order_and_nothing_else(database: Database) -> None:
    posted = Posted(database.dsn, policy="skip")
    ids = posted.emit("a", "a", "a")
    sink = MemorySink(dedup=False)
    poison(sink, ids[1])
    posted.drain(sink)
    assert [message.id for message in sink.delivered] == [ids[0], ids[2]]
    assert [row.id for row in posted.parked()] == [ids[1]]
    sink.heal()
    posted.replay(ids=[ids[1]])
    with posted.relaying(sink):
        arrived(sink, 3)
        wait_until(lambda: not posted.parked())


def test_retries_without_end_become_poison_only_while_others_pass(database: Database) -> None:
    posted = Posted(database.dsn, policy="park")
    (bad,) = posted.emit("a")
    sink = MemorySink(dedup=False)
    sink.fail(lambda message: message.id == bad, Verdict.RETRY, code="busy")
    with posted.relaying(sink, max_attempts=3) as running:
        wait_until(lambda: running.relay.figures.retries > 10)
        assert posted.parked() == []
        wait_until(lambda: bool(posted.emit("b")) and posted.parked())
    assert [(row.id, row.code) for row in posted.parked()] == [(bad, "busy")]


def test_a_message_that_is_too_large_is_set_aside(posted: Posted) -> None:
    sink = MemorySink(max_bytes=901_024)
    with contextlib.closing(posted.connect()) as connection:
        big = posted.outbox.emit(connection, "t", "k" * 2000, "x" * 899_900)
    small = posted.emit("b")
    posted.drain(sink, blocked_seconds=60)
    assert [message.id for message in sink.delivered] == small
    assert [(row.id, row.code) for row in posted.parked()] == [(big, "too-large")]
    with contextlib.closing(posted.connect()) as connection, pytest.raises(BadInput):
        posted.outbox.emit(connection, "t", "a", "x" * 900_001)


def test_what_does_not_fit_its_schema_is_set_aside_before_it_is_sent(posted: Posted) -> None:
    def check(message: Message) -> None:
        if message.payload.endswith(b"1"):
            raise ValueError("field total is missing")

    ids = posted.emit("a", "a", "a", "b")
    other = posted.emit("c", "c", topic="free")
    sink = MemorySink()
    posted.drain(sink, validate={"t": check}, blocked_seconds=60)
    assert [message.id for message in sink.delivered] == [ids[0], ids[3], *other]
    failed, behind = posted.parked()
    assert (failed.id, failed.code, failed.error) == (
        ids[1],
        "ValueError",
        "field total is missing",
    )
    assert behind.id == ids[2]


def test_discarding_the_first_lets_a_blocked_key_go(database: Database) -> None:
    posted = Posted(database.dsn, policy="block")
    ids = posted.emit("a", "a", "a")
    sink = MemorySink(dedup=False)
    poison(sink, ids[0])
    with posted.relaying(sink, blocked_seconds=60):
        wait_until(lambda: len(posted.parked()) == 3)
        assert posted.discard(ids=[ids[0]]) == [ids[0]]
        arrived(sink, 2)
    assert [message.id for message in sink.delivered] == ids[1:]


def test_discarding_a_whole_key_frees_it(database: Database) -> None:
    posted = Posted(database.dsn, policy="park")
    ids = posted.emit("a", "a")
    sink = MemorySink(dedup=False)
    poison(sink, ids[0])
    with posted.relaying(sink):
        wait_until(lambda: len(posted.parked()) == 2)
        assert posted.discard(key="a") == ids
        wait_until(lambda: bool(posted.emit("a")) and bool(sink.delivered))


def test_one_behind_another_cannot_be_replayed_alone(database: Database) -> None:
    posted = Posted(database.dsn, policy="park")
    ids = posted.emit("a", "a")
    sink = MemorySink()
    poison(sink, ids[0])
    posted.drain(sink)
    with pytest.raises(BadInput, match="stands behind"):
        posted.replay(ids=[ids[1]])
    assert posted.replay(ids=ids) == ids


def test_many_parked_messages_of_a_key_come_back_in_order(database: Database) -> None:
    posted = Posted(database.dsn, policy="park")
    ids = posted.emit(*(["a"] * 1300))
    sink = MemorySink(dedup=False)
    poison(sink, ids[0])
    posted.drain(sink)
    assert not sink.delivered
    sink.heal()
    posted.replay(all_of_them=True)
    with posted.relaying(sink):
        ids += posted.emit(*(["a"] * 50))
        arrived(sink, 1350)
        wait_until(lambda: not posted.parked())
    assert [message.id for message in sink.delivered] == ids


def _parked_looks(posted: Posted) -> Callable[[], bool]:
    """Whether the relay has looked at what is set aside several times since."""
    before = _reads(posted)
    return lambda: _reads(posted) > before + 5


def _reads(posted: Posted) -> int:
    """Reads of the table of parked messages, as PostgreSQL counts them."""
    rows = posted.do(
        "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables"
        " WHERE relid = 'howdah.outbox_parked'::regclass"
    )
    return int(rows[0][0])
