"""The sink in memory keeps the contract that real ones keep, and fails as it is told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import pytest

from howdah.errors import TimedOut, Unreachable
from howdah.outbox.sinks.sink import Verdict
from howdah.testing.sinks import MemorySink, Store
from tests.sinks.conformance import (
    Adapter,
    Conformance,
    Fault,
    Received,
    Writer,
    fence,
    publish,
    run,
)


class MemoryAdapter(Adapter):
    """Sinks before one store."""

    faults: ClassVar[Collection[Fault]] = ()
    unknown_is_refused = False

    def __init__(self) -> None:
        self.store = Store()

    async def prepare(self, topic: str) -> None:
        """Nothing to make."""

    def sink(self) -> MemorySink:
        return MemorySink(self.store, max_bytes=100_000)

    async def read(self, topic: str) -> Sequence[Received]:
        return [
            Received(uid=each.uid, key=each.key, payload=each.payload, headers=each.headers)
            for each in self.store.delivered
        ]

    def harm(self, fault: Fault) -> None:
        raise AssertionError(fault)

    def heal(self) -> None:
        """It is never broken."""


@pytest.fixture
def adapter() -> MemoryAdapter:
    return MemoryAdapter()


class TestMemory(Conformance):
    """All of the suite."""


def test_it_fails_as_often_as_told() -> None:
    sink, writer = MemorySink(), Writer("t")
    sink.fail(lambda message: message.key == "a", Verdict.POISON, times=1)
    messages = [writer.message("a"), writer.message("a"), writer.message("b")]

    async def work() -> list[list[str]]:
        await sink.open(fence())
        return [[each.verdict.value for each in await publish(sink, messages)] for _ in range(2)]

    assert run(work()) == [["poison", "held", "delivered"], ["delivered"] * 3]
    assert [message.id for message in sink.delivered] == [3, 1, 2]


def test_a_broken_connection_wants_an_open() -> None:
    sink, message = MemorySink(), Writer("t").message("a")

    async def work() -> None:
        with pytest.raises(Unreachable):
            await sink.publish([message])
        await sink.open(fence())
        sink.break_connection(TimedOut("slow"))
        with pytest.raises(TimedOut):
            await sink.publish([message])
        await sink.open(fence())
        assert (await publish(sink, [message]))[0].verdict is Verdict.DELIVERED

    run(work())
