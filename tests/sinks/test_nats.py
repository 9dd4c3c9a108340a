"""The NATS sink: the conformance suite, and what is JetStream's own."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence

import nats
import pytest
from nats.aio.client import Client

from howdah.errors import BadInput
from howdah.outbox.sinks.nats import NatsSettings, NatsSink, from_url
from howdah.outbox.sinks.sink import Message, Verdict
from howdah.testing.brokers import NatsBroker
from tests.sinks.conformance import Conformance, Received, Writer, fence, publish, run
from tests.sinks.lost_answers import Proxy
from tests.sinks.processes import ProcessAdapter, own

pytestmark = pytest.mark.xdist_group("sink-nats")


class NatsAdapter(ProcessAdapter):
    """One stream per test; its name is a prefix of all its subjects."""

    def __init__(self, broker: NatsBroker, proxy: Proxy, *, pipeline_keys: bool) -> None:
        super().__init__(broker, proxy)
        self.stream = f"S{secrets.token_hex(4)}"
        self.pipeline_keys = pipeline_keys

    async def prepare(self, topic: str) -> None:
        async with self.client() as client:
            await client.jetstream().add_stream(
                name=self.stream, subjects=[f"{self.stream}.{topic}"], duplicate_window=120
            )

    def sink(self) -> NatsSink:
        settings = NatsSettings(
            url=f"nats://127.0.0.1:{self.proxy.port}",
            stream=self.stream,
            subjects=(f"{self.stream}.made",),
            subject_prefix=f"{self.stream}.",
            publish_timeout_seconds=1,
            connect_timeout_seconds=1,
            pipeline_keys=self.pipeline_keys,
        )
        return NatsSink(settings)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        client = await nats.connect(self.broker.url)
        yield client
        await client.close()

    async def read(self, topic: str) -> Sequence[Received]:
        subject = f"{self.stream}.{topic}"
        async with self.client() as client:
            jetstream = client.jetstream()
            count = (await jetstream.stream_info(self.stream)).state.messages
            pull = await jetstream.pull_subscribe(subject, stream=self.stream)
            found: list[Received] = []
            while len(found) < count:
                for each in await pull.fetch(count - len(found)):
                    headers = dict(each.headers or {})
                    received = Received(
                        uid=headers["Nats-Msg-Id"],
                        key=headers.get("howdah-key"),
                        payload=each.data,
                        headers=own(headers),
                    )
                    found.append(received)
        return found


@pytest.fixture(params=[True, False], ids=["chain", "lanes"])
def adapter(request: pytest.FixtureRequest, nats_broker: NatsBroker) -> Iterator[NatsAdapter]:
    with Proxy(nats_broker.port) as proxy:
        yield NatsAdapter(nats_broker, proxy, pipeline_keys=request.param)


class TestNats(Conformance):
    """All of the suite, with and without the chain of expected ids."""


def test_another_publisher_breaks_the_chain_harmlessly(adapter: NatsAdapter) -> None:
    writer = Writer("topic")
    run(adapter.prepare("topic"))
    sent = writer.messages(300, keys=3)

    async def work() -> list[Received]:
        async with adapter.client() as client, adapter.sink() as sink:
            await sink.open(fence())
            jetstream = client.jetstream()
            for start in range(0, 300, 100):
                await jetstream.publish(
                    f"{adapter.stream}.topic", b"foreign", headers={"Nats-Msg-Id": f"f{start}"}
                )
                outcomes = await publish(sink, sent[start : start + 100])
                assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}
        return list(await adapter.read("topic"))

    uids = [one.uid for one in run(work()) if one.payload != b"foreign"]
    assert uids == [message.uid for message in sent] or not adapter.pipeline_keys
    assert sorted(uids) == sorted(message.uid for message in sent)


def test_a_refusal_by_the_server_holds_its_key_only(adapter: NatsAdapter) -> None:
    """The stream's limit shrinks after `open`: the server refuses in the middle of a chain."""
    writer = Writer("topic")
    run(adapter.prepare("topic"))
    sent = [writer.message("a"), writer.message("b", bytes(5000)), writer.message("b")]
    sent += [writer.message("a"), writer.message("c")]

    async def work() -> list[str]:
        async with adapter.client() as client, adapter.sink() as sink:
            await sink.open(fence())
            config = (await client.jetstream().stream_info(adapter.stream)).config
            config.max_msg_size = 1000
            await client.jetstream().update_stream(config)
            return [outcome.verdict.value for outcome in await publish(sink, sent)]

    assert run(work()) == ["delivered", "poison", "held", "delivered", "delivered"]


def test_a_window_that_is_too_short_is_refused(adapter: NatsAdapter) -> None:
    run(adapter.prepare("topic"))
    sink = from_url(f"{adapter.broker.url}/{adapter.stream}", {"duplicate_window_seconds": "3600"})
    with pytest.raises(BadInput, match="forgets duplicates after 120 s"):
        run(sink.open(fence()))


def test_a_missing_stream_is_named(nats_broker: NatsBroker) -> None:
    with pytest.raises(BadInput, match="no stream 'NONE'"):
        run(from_url(f"{nats_broker.url}/NONE", {}).open(fence()))


@pytest.mark.parametrize("topic", ["a b", "a..b", "a.*", ">", "", "a\r\nPUB x 0"])
def test_what_is_no_subject_is_poison(adapter: NatsAdapter, topic: str) -> None:
    run(adapter.prepare("topic"))
    message = Message(id=1, uid="l-1", topic=topic, key=None, payload=b"", headers={}, at=0.0)

    async def work() -> str:
        async with adapter.sink() as sink:
            await sink.open(fence())
            return (await publish(sink, [message]))[0].code

    assert run(work()) == "bad-subject"
