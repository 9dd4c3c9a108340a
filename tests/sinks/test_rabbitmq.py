"""The RabbitMQ sink: the conformance suite, and what is AMQP's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from howdah.errors import BadInput, Denied, Unreachable
from howdah.outbox.sinks.rabbitmq import RabbitmqSettings, RabbitmqSink, from_url
from howdah.outbox.sinks.sink import Verdict
from howdah.testing import wait_until
from howdah.testing.brokers import RabbitmqBroker
from tests.sinks.conformance import Conformance, Received, Writer, fence, publish, run
from tests.sinks.lost_answers import Proxy
from tests.sinks.processes import ProcessAdapter, own

pytestmark = pytest.mark.xdist_group("sink-rabbitmq")

QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}


class RabbitmqAdapter(ProcessAdapter):
    """One quorum queue per topic, by the default exchange."""

    def __init__(self, broker: RabbitmqBroker, proxy: Proxy, *, killed: bool = False) -> None:
        super().__init__(broker, proxy)
        self._killed = killed

    async def prepare(self, topic: str) -> None:
        async with self.channel() as channel:
            await channel.declare_queue(topic, durable=True, arguments=QUORUM)
        if self._killed:
            # A node that is killed before it wrote down that the queue exists (RabbitMQ 3.10 does
            # so after some seconds) comes back with one that never confirms again.
            await asyncio.to_thread(wait_until, lambda: self._registered(topic), seconds=20)

    def _registered(self, topic: str) -> bool:
        files = self.broker.folder.glob("data/*/quorum/*/names.dets")
        return any(topic.encode() in file.read_bytes() for file in files)

    def heal(self) -> None:
        super().heal()
        # A starting node greets clients before it lets them in.
        wait_until(lambda: asyncio.run(self._lets_in()), seconds=30)

    async def _lets_in(self) -> bool:
        try:
            async with self.channel():
                return True
        except (aio_pika.exceptions.AMQPError, OSError):
            return False

    def sink(self, **changes: Any) -> RabbitmqSink:
        settings = {
            "url": f"amqp://guest:guest@127.0.0.1:{self.proxy.port}/",
            "publish_timeout_seconds": 1.5,
            "connect_timeout_seconds": 1.5,
            "max_bytes": 100_000,
        }
        return RabbitmqSink(RabbitmqSettings(**{**settings, **changes}))

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        connection = await aio_pika.connect(self.broker.url)
        async with connection:
            yield await connection.channel()

    async def read(self, topic: str) -> Sequence[Received]:
        found: list[Received] = []
        async with self.channel() as channel:
            queue = await channel.declare_queue(topic, passive=True)
            while (each := await queue.get(no_ack=True, fail=False)) is not None:
                headers = {name: str(value) for name, value in each.headers.items()}
                assert each.message_id == headers["howdah-uid"]
                received = Received(
                    uid=headers["howdah-uid"],
                    key=headers.get("howdah-key"),
                    payload=each.body,
                    headers=own(headers),
                )
                found.append(received)
        return found


@pytest.fixture
def adapter(
    request: pytest.FixtureRequest, rabbitmq_broker: RabbitmqBroker
) -> Iterator[RabbitmqAdapter]:
    killed = request.node.name.startswith(("test_order_survives[down]", "test_opens_again"))
    with Proxy(rabbitmq_broker.port) as proxy:
        yield RabbitmqAdapter(rabbitmq_broker, proxy, killed=killed)


class TestRabbitmq(Conformance):
    """All of the suite."""


def test_two_relays_of_one_name_never_publish_at_the_same_time(adapter: RabbitmqAdapter) -> None:
    async def work() -> None:
        async with adapter.sink() as older, adapter.sink() as newer:
            await older.open(fence(1))
            with pytest.raises(Unreachable, match="another relay of this name"):
                await newer.open(fence(2))
            await older.close()
            await newer.open(fence(2))

    run(work())


def test_without_single_active_they_may(adapter: RabbitmqAdapter) -> None:
    async def work() -> None:
        async with (
            adapter.sink(single_active=False) as one,
            adapter.sink(single_active=False) as two,
        ):
            await one.open(fence(1))
            await two.open(fence(2))

    run(work())


def test_a_full_queue_is_passing_and_holds_its_key(adapter: RabbitmqAdapter) -> None:
    """A negative confirmation."""
    writer = Writer("full")
    arguments: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}

    async def work() -> None:
        async with adapter.channel() as channel, adapter.sink() as sink:
            await channel.declare_queue("full", durable=True, arguments=arguments)
            await sink.open(fence())
            outcomes = await publish(sink, [writer.message("a") for _ in range(3)])
            assert [(each.verdict.value, each.code) for each in outcomes] == [
                ("delivered", ""),
                ("retry", "nack"),
                ("held", ""),
            ]

    run(work())


def test_quorum_queues_are_declared_and_bound(adapter: RabbitmqAdapter) -> None:
    async def work() -> int:
        async with adapter.channel() as channel:
            await channel.declare_exchange("events", durable=True)
            async with adapter.sink(exchange="events", quorum_queues=("made",)) as sink:
                await sink.open(fence())
                (outcome,) = await publish(sink, [Writer("made").message("a")])
                assert outcome.verdict is Verdict.DELIVERED
        return len(await adapter.read("made"))

    assert run(work()) == 1


def test_a_queue_of_other_kind_is_named(adapter: RabbitmqAdapter) -> None:
    async def work() -> None:
        async with adapter.channel() as channel:
            await channel.declare_queue("classic", durable=True)
            with pytest.raises(BadInput, match="exists with other settings"):
                await adapter.sink(quorum_queues=("classic",)).open(fence())

    run(work())


def test_a_missing_exchange_is_named(adapter: RabbitmqAdapter) -> None:
    with pytest.raises(BadInput, match="no exchange 'nowhere'"):
        run(adapter.sink(exchange="nowhere").open(fence()))


def test_a_refused_login_shows_no_password(adapter: RabbitmqAdapter) -> None:
    url = adapter.broker.url.replace("guest:guest", "guest:open-sesame")
    with pytest.raises(Denied) as caught:
        run(from_url(url, {}).open(fence()))
    assert "open-sesame" not in str(caught.value)
