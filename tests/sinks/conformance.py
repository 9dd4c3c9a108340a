"""What every sink must do: one suite, run by each sink's test file with an adapter to its broker.

    class TestNats(Conformance):
        @pytest.fixture
        def adapter(self, nats_broker: NatsBroker) -> Adapter:
            return NatsAdapter(nats_broker)

An adapter says how to make the sink, how to read back what arrived, and how to break the broker.
Nothing here waits without a limit, and nothing lets time pass: a broker is healed when the sink has
reported the failure.
"""

from __future__ import annotations

import abc
import asyncio
import enum
import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import ClassVar, TypeVar

import msgspec
import pytest

from howdah.errors import CouldNot, Superseded, TimedOut, Unreachable
from howdah.outbox.sinks.envelope import envelope, size
from howdah.outbox.sinks.sink import Dedup, Fence, Message, Ordering, Outcome, Sink, Verdict

Value = TypeVar("Value")

PATIENCE_SECONDS = 30.0
"""No test of a sink takes longer, or it hangs."""
OPENED_AT = 1_700_000_000.0
SLACK_BYTES = 1024
"""The most by which a sink may be stricter than the bytes of payload and headers."""


class Fault(enum.StrEnum):
    """How a broker can be broken."""

    DOWN = "down"  # connections are cut and refused
    FROZEN = "frozen"  # connections are open, nobody answers
    ERRORS = "errors"  # passing errors are answered
    LOST_ACK = "lost ack"  # it stores what comes, and the connection breaks before it says so


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One message as a consumer sees it; `headers` without those that are ours."""

    uid: str
    key: str | None
    payload: bytes
    headers: dict[str, str]


class Adapter(abc.ABC):
    """One sink and its broker. A fresh one for each test; the broker may be shared."""

    faults: ClassVar[Collection[Fault]] = (Fault.DOWN, Fault.FROZEN)
    dedup_works: ClassVar[bool] = True
    """Whether the broker of the test removes the duplicates that the promise says it does."""
    unknown_is_refused: ClassVar[bool] = True
    """Whether a destination can be unknown at all."""

    @abc.abstractmethod
    async def prepare(self, topic: str) -> None:
        """Make the place to which messages of the topic go, empty."""

    @abc.abstractmethod
    def sink(self) -> Sink:
        """A sink, not open, that gives up after one or two seconds."""

    @abc.abstractmethod
    async def read(self, topic: str) -> Sequence[Received]:
        """All that arrived for the topic, in the order in which a consumer gets it."""

    @abc.abstractmethod
    def harm(self, fault: Fault) -> None:
        """Break the broker; returns at once or when it is broken."""

    @abc.abstractmethod
    def heal(self) -> None:
        """Make the broker whole again, with its data, and wait for it. Harmless if it is whole."""

    def shut_out(self) -> None:  # noqa: B027 # real brokers need nothing
        """Make the broker of the test answer as a real one does after a newer relay's `open`."""

    def poison(self, message: Message) -> Message:
        """The message made into one that the broker will never take; oversize by default."""
        return msgspec.structs.replace(message, payload=bytes(self._limit() + 1))

    def unknown(self, message: Message) -> Message:
        """The message addressed to what does not exist."""
        return msgspec.structs.replace(message, topic=f"missing-{secrets.token_hex(4)}")

    def _limit(self) -> int:
        limit = self.sink().promise.max_bytes
        assert limit is not None, "a sink without limit needs a poison of its own"
        return limit


def run(work: Awaitable[Value], *, seconds: float = PATIENCE_SECONDS) -> Value:
    """Run to the end, or fail after `seconds`."""

    async def bounded() -> Value:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(bounded())


def fence(epoch: int = 1, *, relay: str = "orders") -> Fence:
    return Fence(relay=relay, shard=0, epoch=epoch)


class Writer:
    """Makes messages of one topic as a log would: ids that grow, uids that never repeat."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._log = secrets.token_hex(4)
        self._last = 0

    def message(self, key: str | None, payload: bytes | None = None, **headers: str) -> Message:
        self._last += 1
        return Message(
            id=self._last,
            uid=f"{self._log}-{self._last}",
            topic=self.topic,
            key=key,
            payload=str(self._last).encode() if payload is None else payload,
            headers=headers,
            at=OPENED_AT + self._last,
        )

    def messages(self, count: int, keys: int) -> list[Message]:
        return [self.message(f"key-{position % keys}") for position in range(count)]


def batches(messages: Sequence[Message], *, pipelines: bool, size: int) -> list[list[Message]]:
    """The calls that a relay may make: with `pipelines` false, one message of a key in each."""
    calls: list[list[Message]] = [[]]
    for message in messages:
        doubled = message.key is not None and any(m.key == message.key for m in calls[-1])
        if len(calls[-1]) >= size or (doubled and not pipelines):
            calls.append([])
        calls[-1].append(message)
    return [call for call in calls if call]


async def publish(sink: Sink, messages: Sequence[Message]) -> list[Outcome]:
    """One call, whose answer has the promised shape."""
    outcomes = list(await sink.publish(messages))
    assert len(outcomes) == len(messages)
    failed: set[str] = set()
    for message, outcome in zip(messages, outcomes, strict=True):
        if message.key in failed:
            assert outcome.verdict is Verdict.HELD, (message, outcome)
        elif outcome.verdict is not Verdict.DELIVERED and message.key is not None:
            failed.add(message.key)
        if outcome.verdict in (Verdict.RETRY, Verdict.POISON):
            assert outcome.reason, "says why"
            assert outcome.code, "says why in a word that does not change"
    return outcomes


class Relay:
    """A small relay: sends again what is not delivered, opens again what is broken."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self.failures = 0
        self.attempts: Counter[str] = Counter()

    async def deliver(
        self,
        messages: Sequence[Message],
        *,
        size: int = 50,
        before: Callable[[int], None] = lambda _call: None,
    ) -> None:
        """Deliver all; `before` is told the number of each call and may break the broker."""
        pending = list(messages)
        calls = 0
        sink = self._adapter.sink()
        opened = False
        while pending:
            try:
                if not opened:
                    await sink.open(fence())
                    opened = True
                call = batches(pending, pipelines=sink.promise.pipelines_keys, size=size)[0]
                breaking = asyncio.create_task(asyncio.to_thread(before, calls))
                calls += 1
                self.attempts.update(message.uid for message in call)
                try:
                    outcomes = await publish(sink, call)
                finally:
                    await breaking
            except CouldNot:
                opened = False
                await sink.close()
                await self._repair()
                continue
            pending = _left(pending, call, outcomes)
            if any(outcome.verdict is not Verdict.DELIVERED for outcome in outcomes):
                await self._repair()
        await sink.close()

    async def _repair(self) -> None:
        self.failures += 1
        await asyncio.to_thread(self._adapter.heal)


def _left(
    pending: Sequence[Message], call: Sequence[Message], outcomes: Sequence[Outcome]
) -> list[Message]:
    delivered = {
        message.uid
        for message, outcome in zip(call, outcomes, strict=True)
        if outcome.verdict is Verdict.DELIVERED
    }
    assert Verdict.POISON not in {outcome.verdict for outcome in outcomes}, outcomes
    return [message for message in pending if message.uid not in delivered]


def assert_kept(
    sent: Sequence[Message], received: Sequence[Received], *, duplicates: int | None
) -> None:
    """Nothing lost, nothing invented, order per key at first sight, duplicates as promised."""
    counts = Counter(one.uid for one in received)
    assert set(counts) == {message.uid for message in sent}
    extra = sum(counts.values()) - len(counts)
    if duplicates is not None:
        assert extra <= duplicates, counts.most_common(5)
    assert first_sights(received) == _by_key(sent)


def first_sights(received: Sequence[Received]) -> dict[str, list[str]]:
    """The uids of each key in the order in which a consumer that dedups by uid handles them."""
    seen: set[str] = set()
    order: dict[str, list[str]] = defaultdict(list)
    for one in received:
        if one.uid not in seen and one.key is not None:
            order[one.key].append(one.uid)
        seen.add(one.uid)
    return dict(order)


def _by_key(sent: Sequence[Message]) -> dict[str, list[str]]:
    order: dict[str, list[str]] = defaultdict(list)
    for message in sent:
        if message.key is not None:
            order[message.key].append(message.uid)
    return dict(order)


class Conformance:
    """Inherit it, and give it an `adapter` fixture."""

    @pytest.fixture(autouse=True)
    def _whole(self, adapter: Adapter) -> object:
        yield
        adapter.heal()

    @pytest.fixture
    def writer(self, adapter: Adapter) -> Writer:
        topic = f"topic-{secrets.token_hex(4)}"
        run(adapter.prepare(topic))
        return Writer(topic)

    def test_delivers_content_and_order(self, adapter: Adapter, writer: Writer) -> None:
        sent = [
            writer.message("a", b"one", colour="green", note="gr\u00fcn"),
            writer.message("b", b"\x00\xff"),
            writer.message(None, b"no key"),
            writer.message("a", b""),
        ]

        async def work() -> Sequence[Received]:
            async with adapter.sink() as sink:
                await sink.open(fence())
                for call in batches(sent, pipelines=sink.promise.pipelines_keys, size=10):
                    for outcome in await publish(sink, call):
                        assert outcome.verdict is Verdict.DELIVERED, outcome
            return await adapter.read(writer.topic)

        received = run(work())
        assert_kept(sent, received, duplicates=0)
        by_uid = {one.uid: one for one in received}
        for message in sent:
            got = by_uid[message.uid]
            assert (got.key, got.payload, got.headers) == (
                message.key,
                message.payload,
                message.headers,
            )

    def test_nothing_to_send_is_nothing_to_do(self, adapter: Adapter) -> None:
        async def work() -> None:
            async with adapter.sink() as sink:
                await sink.open(fence())
                assert await publish(sink, []) == []

        run(work())

    def test_promises_what_it_is(self, adapter: Adapter) -> None:
        sink = adapter.sink()
        assert sink.name
        assert sink.promise.ordering in (Ordering.KEY, Ordering.TOTAL, Ordering.NONE)
        assert sink.promise.max_bytes is None or sink.promise.max_bytes > 0

    def test_many_messages_keep_their_order(self, adapter: Adapter, writer: Writer) -> None:
        sent = writer.messages(1000, keys=17)
        relay = Relay(adapter)

        async def work() -> Sequence[Received]:
            await relay.deliver(sent, size=250)
            return await adapter.read(writer.topic)

        assert_kept(sent, run(work()), duplicates=0)
        assert relay.failures == 0

    @pytest.mark.parametrize("fault", list(Fault))
    def test_order_survives(self, adapter: Adapter, writer: Writer, fault: Fault) -> None:
        if fault not in adapter.faults:
            pytest.skip(f"the test's broker cannot be {fault}")
        sent = writer.messages(400, keys=7)
        relay = Relay(adapter)

        def breaking(call: int) -> None:
            if call == 3:
                adapter.harm(fault)

        async def work() -> Sequence[Received]:
            await relay.deliver(sent, before=breaking)
            return await adapter.read(writer.topic)

        received = run(work(), seconds=2 * PATIENCE_SECONDS)
        resent = sum(relay.attempts.values()) - len(sent)
        assert_kept(sent, received, duplicates=0 if self._removes(adapter) else resent)

    def test_a_failed_message_holds_its_key_only(self, adapter: Adapter, writer: Writer) -> None:
        if not adapter.sink().promise.pipelines_keys:
            pytest.skip("it takes one message of a key in a call")
        sent = [
            writer.message("a"),
            adapter.poison(writer.message("a")),
            writer.message("a"),
            writer.message("b"),
            adapter.poison(writer.message(None)),
            writer.message(None),
            writer.message("a"),
        ]

        async def work() -> tuple[list[Outcome], Sequence[Received]]:
            async with adapter.sink() as sink:
                await sink.open(fence())
                outcomes = await publish(sink, sent)
            return outcomes, await adapter.read(writer.topic)

        outcomes, received = run(work())
        expected = ["delivered", "poison", "held", "delivered", "poison", "delivered", "held"]
        assert [outcome.verdict.value for outcome in outcomes] == expected
        assert {one.uid for one in received} == {sent[0].uid, sent[3].uid, sent[5].uid}

    def test_poison_does_not_spoil_the_next_call(self, adapter: Adapter, writer: Writer) -> None:
        good = writer.message("a")

        async def work() -> Sequence[Received]:
            async with adapter.sink() as sink:
                await sink.open(fence())
                (bad,) = await publish(sink, [adapter.poison(writer.message("a"))])
                assert bad.verdict is Verdict.POISON
                (fine,) = await publish(sink, [good])
                assert fine.verdict is Verdict.DELIVERED
            return await adapter.read(writer.topic)

        assert [one.uid for one in run(work())] == [good.uid]

    def test_the_limit_is_true_at_its_boundary(self, adapter: Adapter, writer: Writer) -> None:
        """The largest message that is delivered, found by halving; one byte more is poison."""

        async def work() -> tuple[int, int]:
            async with adapter.sink() as sink:
                await sink.open(fence())
                limit = sink.promise.max_bytes
                if limit is None:
                    pytest.skip("it has no limit of its own")
                fits, breaks = max(0, limit - 4 * SLACK_BYTES), limit + 1
                while breaks - fits > 1:
                    middle = (fits + breaks) // 2
                    message = writer.message("a", bytes(middle), colour="green")
                    (outcome,) = await publish(sink, [message])
                    assert outcome.verdict in (Verdict.DELIVERED, Verdict.POISON), outcome
                    if outcome.verdict is Verdict.DELIVERED:
                        fits = middle
                    else:
                        breaks = middle
                return fits, limit

        fits, limit = run(work())
        message = writer.message("a", bytes(fits), colour="green")
        assert fits <= limit
        assert size(message, envelope(message)) >= limit - SLACK_BYTES

    def test_an_unknown_destination_is_poison(self, adapter: Adapter, writer: Writer) -> None:
        if not adapter.unknown_is_refused:
            pytest.skip("it has no destinations that could be missing")
        good, bad = writer.message("a"), adapter.unknown(writer.message("b"))

        async def work() -> tuple[list[Outcome], Sequence[Received]]:
            async with adapter.sink() as sink:
                await sink.open(fence())
                outcomes = await publish(sink, [bad, good])
            return outcomes, await adapter.read(writer.topic)

        outcomes, received = run(work())
        assert [outcome.verdict for outcome in outcomes] == [Verdict.POISON, Verdict.DELIVERED]
        assert {one.uid for one in received} == {good.uid}
        assert len(received) == 1 or not adapter.dedup_works

    def test_what_is_sent_twice(self, adapter: Adapter, writer: Writer) -> None:
        """A relay that crashed before its position was stored sends again after its restart."""
        message = writer.message("a")

        async def work() -> tuple[list[Outcome], Sequence[Received]]:
            outcomes: list[Outcome] = []
            for epoch in (1, 2):
                async with adapter.sink() as sink:
                    await sink.open(fence(epoch))
                    outcomes += await publish(sink, [message])
            return outcomes, await adapter.read(writer.topic)

        outcomes, received = run(work())
        assert [outcome.verdict for outcome in outcomes] == [Verdict.DELIVERED] * 2
        assert {one.uid for one in received} == {message.uid}
        if adapter.sink().promise.dedup is Dedup.MESSAGE_ID and adapter.dedup_works:
            assert outcomes[1].duplicate
            assert len(received) == 1
        else:
            assert len(received) <= 2

    def test_a_newer_relay_shuts_out_an_older_one(self, adapter: Adapter, writer: Writer) -> None:
        if not adapter.sink().promise.fences:
            pytest.skip("it does not fence")
        before, late, after = (writer.message("a") for _ in range(3))

        async def work() -> Sequence[Received]:
            async with adapter.sink() as older, adapter.sink() as newer:
                await older.open(fence(1))
                assert (await publish(older, [before]))[0].verdict is Verdict.DELIVERED
                await newer.open(fence(2))
                adapter.shut_out()
                with pytest.raises(Superseded):
                    await older.publish([late])
                assert (await publish(newer, [after]))[0].verdict is Verdict.DELIVERED
            return await adapter.read(writer.topic)

        assert [one.uid for one in run(work())] == [before.uid, after.uid]

    def test_other_shards_and_relays_are_not_shut_out(
        self, adapter: Adapter, writer: Writer
    ) -> None:
        async def work() -> None:
            async with adapter.sink() as one, adapter.sink() as other:
                await one.open(fence(1, relay="one"))
                await other.open(fence(9, relay="other"))
                for sink in (one, other):
                    (outcome,) = await publish(sink, [writer.message("a")])
                    assert outcome.verdict is Verdict.DELIVERED

        run(work())

    @pytest.mark.parametrize("fault", [Fault.DOWN, Fault.FROZEN])
    def test_a_broken_broker_is_reported_in_time(
        self, adapter: Adapter, writer: Writer, fault: Fault
    ) -> None:
        if fault not in adapter.faults:
            pytest.skip(f"the test's broker cannot be {fault}")

        async def work() -> None:
            async with adapter.sink() as sink:
                await sink.open(fence())
                await publish(sink, [writer.message("a")])
                await asyncio.to_thread(adapter.harm, fault)
                try:
                    outcomes = await publish(sink, [writer.message("a"), writer.message("b")])
                except (Unreachable, TimedOut):
                    return
                assert {outcome.verdict for outcome in outcomes} == {Verdict.RETRY}

        run(work(), seconds=15)

    @pytest.mark.parametrize("fault", [Fault.DOWN, Fault.FROZEN])
    def test_opening_a_broken_broker_fails_in_time(self, adapter: Adapter, fault: Fault) -> None:
        if fault not in adapter.faults:
            pytest.skip(f"the test's broker cannot be {fault}")
        adapter.harm(fault)

        async def work() -> None:
            async with adapter.sink() as sink:
                with pytest.raises((Unreachable, TimedOut)):
                    await sink.open(fence())

        run(work(), seconds=15)

    def test_opens_again_after_a_failure(self, adapter: Adapter, writer: Writer) -> None:
        if Fault.DOWN not in adapter.faults:
            pytest.skip("the test's broker cannot be down")
        message = writer.message("a")

        async def work() -> Sequence[Received]:
            async with adapter.sink() as sink:
                adapter.harm(Fault.DOWN)
                with pytest.raises((Unreachable, TimedOut)):
                    await sink.open(fence())
                await asyncio.to_thread(adapter.heal)
                await sink.open(fence())
                (outcome,) = await publish(sink, [message])
                assert outcome.verdict is Verdict.DELIVERED
            return await adapter.read(writer.topic)

        assert [one.uid for one in run(work())] == [message.uid]

    def test_closing_never_hangs_and_never_raises(self, adapter: Adapter, writer: Writer) -> None:
        async def work() -> None:
            sink = adapter.sink()
            await sink.close()
            await sink.open(fence())
            await publish(sink, [writer.message("a")])
            for fault in (Fault.FROZEN, Fault.DOWN):
                if fault in adapter.faults:
                    await asyncio.to_thread(adapter.harm, fault)
                    break
            await sink.close()
            await sink.close()

        run(work(), seconds=15)

    def test_a_cancelled_call_ends_soon(self, adapter: Adapter, writer: Writer) -> None:
        if Fault.FROZEN not in adapter.faults:
            pytest.skip("the test's broker cannot be frozen")

        async def work() -> None:
            async with adapter.sink() as sink:
                await sink.open(fence())
                await publish(sink, [writer.message("a")])
                await asyncio.to_thread(adapter.harm, Fault.FROZEN)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await sink.publish([writer.message("a")])

        run(work(), seconds=15)

    def _removes(self, adapter: Adapter) -> bool:
        """Whether a message that is sent again is removed, also after the connection was lost."""
        return adapter.sink().promise.dedup is Dedup.MESSAGE_ID and adapter.dedup_works


__all__ = ["Adapter", "Conformance", "Fault", "Received", "fence", "run"]
