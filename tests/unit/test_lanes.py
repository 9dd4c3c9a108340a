"""Lanes: one message of a key in flight, others side by side, and how a call ends half way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.errors import Unreachable
from howdah.outbox.sinks.lanes import HELD, NOT_SENT, Lanes, hold, hold_unsent, split
from howdah.outbox.sinks.sink import DELIVERED, Message, Outcome, Verdict

POISON = Outcome(verdict=Verdict.POISON, reason="no", code="no")


def messages(keys: Sequence[str | None]) -> list[Message]:
    return [
        Message(id=at, uid=f"l-{at}", topic="t", key=key, payload=b"", headers={}, at=0.0)
        for at, key in enumerate(keys)
    ]


KEYS = st.lists(st.sampled_from(["a", "b", "c", None]), max_size=12)


@given(KEYS)
def test_every_message_is_in_one_lane_in_order(keys: list[str | None]) -> None:
    lanes = split(messages(keys))
    assert sorted(at for lane in lanes for at in lane) == list(range(len(keys)))
    for lane in lanes:
        assert lane == sorted(lane)
        assert len({keys[at] for at in lane}) == 1
        assert keys[lane[0]] is not None or len(lane) == 1


@given(KEYS, st.sets(st.integers(0, 11)), st.integers(1, 4))
def test_nothing_is_sent_behind_a_failure(
    keys: list[str | None], bad: set[int], in_flight: int
) -> None:
    given = messages(keys)
    sent: list[int] = []
    active: set[str] = set()
    most = 0

    async def send(message: Message) -> Outcome:
        nonlocal most
        if message.key is not None:
            assert message.key not in active
            active.add(message.key)
        most = max(most, len(active))
        await asyncio.to_thread(int)
        active.discard(message.key or "")
        sent.append(message.id)
        return POISON if message.id in bad else DELIVERED

    outcomes = asyncio.run(Lanes(in_flight).publish(given, send))
    assert most <= in_flight
    for message, outcome in zip(given, outcomes, strict=True):
        earlier = [each for each in given[: message.id] if each.key == message.key]
        behind = message.key is not None and any(each.id in bad for each in earlier)
        assert (outcome is HELD) == behind
        assert (message.id in sent) == (not behind)


def test_what_was_delivered_is_told_before_the_error() -> None:
    lanes = Lanes(1)
    given = messages(["a", "b", "b", "c"])

    async def send(message: Message) -> Outcome:
        if message.id == 1:
            raise Unreachable("gone")
        return DELIVERED

    async def work() -> list[Outcome]:
        outcomes = await lanes.publish(given, send)
        for _ in range(2):
            with pytest.raises(Unreachable, match="gone"):
                await lanes.publish(given[:1], send)
        lanes.forget()
        assert await lanes.publish(given[:1], send) == [DELIVERED]
        return outcomes

    assert asyncio.run(work()) == [DELIVERED, NOT_SENT, HELD, NOT_SENT]


def test_with_nothing_delivered_the_error_is_raised_at_once() -> None:
    async def send(message: Message) -> Outcome:
        raise Unreachable("gone")

    with pytest.raises(Unreachable):
        asyncio.run(Lanes(4).publish(messages(["a", "b"]), send))


def test_an_answer_that_was_lost_holds_what_arrived_behind_it() -> None:
    lost = Outcome(verdict=Verdict.RETRY, reason="lost", code="lost")
    assert hold(messages(["a", "a", None, "b"]), [lost, DELIVERED, lost, DELIVERED]) == [
        lost,
        HELD,
        lost,
        DELIVERED,
    ]


def test_what_is_unsent_behind_poison_is_held_and_the_rest_stays_unsent() -> None:
    given = messages(["a", "a", "b", None, None])
    outcomes = [POISON, NOT_SENT, NOT_SENT, POISON, NOT_SENT]
    assert hold_unsent(given, outcomes) == [POISON, HELD, NOT_SENT, POISON, NOT_SENT]
