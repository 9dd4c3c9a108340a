"""The Redis sink: the conformance suite, and what is Streams' own."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from howdah.errors import BadInput, Superseded, Unreachable
from howdah.outbox.sinks.redis import BLOCK_BITS, RedisSettings, RedisSink
from howdah.outbox.sinks.sink import Dedup, Verdict
from howdah.testing.brokers import RedisBroker
from tests.sinks.conformance import Conformance, Received, Writer, fence, publish, run
from tests.sinks.lost_answers import Proxy
from tests.sinks.processes import ProcessAdapter

pytestmark = pytest.mark.xdist_group("sink-redis")


class RedisAdapter(ProcessAdapter):
    """One stream per topic, the fence of its own."""

    unknown_is_refused = False  # a stream is made by its first entry

    def __init__(self, broker: RedisBroker, proxy: Proxy) -> None:
        super().__init__(broker, proxy)
        self.state = f"state-{secrets.token_hex(4)}:"

    async def prepare(self, topic: str) -> None:
        """Nothing: streams are made by their first entry."""

    def sink(self, **changes: Any) -> RedisSink:
        settings = {
            "url": f"redis://127.0.0.1:{self.proxy.port}/0",
            "state_prefix": self.state,
            "publish_timeout_seconds": 1.0,
            "connect_timeout_seconds": 1.0,
            "max_bytes": 100_000,
        }
        return RedisSink(RedisSettings(**{**settings, **changes}))

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        client = Redis.from_url(self.broker.url)
        yield client
        await client.aclose()

    async def read(self, topic: str) -> Sequence[Received]:
        async with self.client() as client:
            entries: Any = await client.xrange(topic)
        return [_received(fields) for _, fields in entries]


def _received(fields: dict[bytes, bytes]) -> Received:
    return Received(
        uid=fields[b"uid"].decode(),
        key=fields[b"key"].decode() if b"key" in fields else None,
        payload=fields[b"payload"],
        headers=json.loads(fields[b"headers"]),
    )


@pytest.fixture
def adapter(redis_broker: RedisBroker) -> Iterator[RedisAdapter]:
    with Proxy(redis_broker.port) as proxy:
        yield RedisAdapter(redis_broker, proxy)


class TestRedis(Conformance):
    """All of the suite."""


def test_a_lower_position_that_comes_late_is_no_duplicate(adapter: RedisAdapter) -> None:
    """A long transaction commits late, a parked message is replayed: ids are not ascending."""
    writer = Writer("late")
    messages = [writer.message("a") for _ in range(4)]
    late, others = messages[0], messages[1:]

    async def work() -> list[str]:
        async with adapter.sink() as sink:
            await sink.open(fence())
            outcomes = await publish(sink, others) + await publish(sink, [late])
            assert not any(outcome.duplicate for outcome in outcomes)
        return [one.uid for one in await adapter.read("late")]

    assert run(work()) == [message.uid for message in (*others, late)]


def test_positions_on_both_sides_of_a_block_are_told_apart(adapter: RedisAdapter) -> None:
    writer = Writer("block")
    writer._last = BLOCK_BITS - 2
    messages = [writer.message("a") for _ in range(4)]

    async def work() -> list[bool]:
        async with adapter.sink() as sink:
            await sink.open(fence())
            first = await publish(sink, messages)
            again = await publish(sink, messages)
            return [outcome.duplicate for outcome in first + again]

    assert run(work()) == [False] * 4 + [True] * 4


def test_without_dedup_nothing_is_kept_and_nothing_promised(adapter: RedisAdapter) -> None:
    sink = adapter.sink(dedup_seconds=0)
    message = Writer("plain").message("a")

    async def work() -> int:
        async with sink:
            await sink.open(fence())
            await publish(sink, [message])
            await publish(sink, [message])
        async with adapter.client() as client:
            return len(await client.keys(f"{adapter.state}seen:*"))

    assert sink.promise.dedup is Dedup.NONE
    assert run(work()) == 0
    assert len(run(adapter.read("plain"))) == 2


def test_a_server_that_lost_our_epoch_is_opened_again(adapter: RedisAdapter) -> None:
    """Its data is gone, the fence with it: an older relay must not get through by that."""
    writer = Writer("lost")

    async def work() -> None:
        async with adapter.client() as client, adapter.sink() as sink:
            await sink.open(fence(2))
            await publish(sink, [writer.message("a")])
            await client.delete(*await client.keys(f"{adapter.state}*"))
            with pytest.raises(Unreachable):
                await sink.publish([writer.message("a")])
            await sink.open(fence(2))
            await publish(sink, [writer.message("a")])

    run(work())


def test_an_older_relay_cannot_open(adapter: RedisAdapter) -> None:
    async def work() -> None:
        async with adapter.sink() as newer, adapter.sink() as older:
            await newer.open(fence(2))
            with pytest.raises(Superseded):
                await older.open(fence(1))

    run(work())


def test_a_stream_of_another_type_is_poison(adapter: RedisAdapter) -> None:
    writer, other = Writer("taken"), Writer("free")
    sent = [writer.message("a"), other.message("a"), other.message("b")]

    async def work() -> list[str]:
        async with adapter.client() as client, adapter.sink() as sink:
            await client.set("taken", "a string")
            await sink.open(fence())
            return [outcome.verdict.value for outcome in await publish(sink, sent)]

    assert run(work()) == ["poison", "held", "delivered"]


def test_too_few_replicas_is_not_delivered(adapter: RedisAdapter) -> None:
    message = Writer("copies").message("a")

    async def work() -> None:
        async with adapter.sink(replicas=1) as sink:
            await sink.open(fence())
            (outcome,) = await publish(sink, [message])
            assert (outcome.verdict, outcome.code) == (Verdict.RETRY, "replicas")

    run(work())


def test_a_server_that_may_evict_the_stream_is_refused(adapter: RedisAdapter) -> None:
    async def work() -> None:
        async with adapter.client() as client:
            await client.config_set("maxmemory-policy", "allkeys-lru")
            try:
                async with adapter.sink() as sink:
                    with pytest.raises(BadInput, match="may evict"):
                        await sink.open(fence())
                async with adapter.sink(allow_eviction=True) as sink:
                    await sink.open(fence())
            finally:
                await client.config_set("maxmemory-policy", "noeviction")

    run(work())


def test_a_full_server_is_passing(adapter: RedisAdapter) -> None:
    writer = Writer("full")

    async def work() -> None:
        async with adapter.client() as client, adapter.sink() as sink:
            await sink.open(fence())
            await client.config_set("maxmemory", "1mb")
            try:
                (outcome,) = await publish(sink, [writer.message("a", bytes(90_000))])
                assert (outcome.verdict, outcome.code) == (Verdict.RETRY, "OOM")
            finally:
                await client.config_set("maxmemory", "0")
            (outcome,) = await publish(sink, [writer.message("a")])
            assert outcome.verdict is Verdict.DELIVERED

    run(work())
