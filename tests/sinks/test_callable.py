"""The sink that calls a function: the conformance suite, and what exceptions mean."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

import pytest

from howdah.errors import BadInput, Denied
from howdah.outbox.sinks.callable import (
    CallableSettings,
    CallableSink,
    NotNow,
    Refused,
    from_url,
)
from howdah.outbox.sinks.sink import Message, Outcome, Verdict
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

arrived: list[Message] = []


def note(message: Message) -> None:
    """What `python:tests.sinks.test_callable:note` names."""
    arrived.append(message)


class Shop:
    """A function of each kind, before one list."""

    def __init__(self) -> None:
        self.arrived: list[Message] = []
        self._lock = threading.Lock()

    def sync(self, message: Message) -> None:
        with self._lock:
            self.arrived.append(message)

    async def asynchronous(self, message: Message) -> None:
        await asyncio.to_thread(str, message.id)  # another task may run here
        self.arrived.append(message)

    def batch(self, messages: Sequence[Message]) -> None:
        self.arrived.extend(messages)

    async def __call__(self, messages: Sequence[Message]) -> list[None]:
        self.arrived.extend(messages)
        return [None] * len(messages)


class CallableAdapter(Adapter):
    """A shop and one of its functions."""

    faults: ClassVar[Collection[Fault]] = ()
    unknown_is_refused = False

    def __init__(self, function: str) -> None:
        self.shop = Shop()
        self.function: Callable[[Any], object] = (
            self.shop if function == "object" else getattr(self.shop, function)
        )
        self.settings = CallableSettings(
            batch=function in ("batch", "object"), in_flight=4, max_bytes=100_000
        )

    async def prepare(self, topic: str) -> None:
        """Nothing to make."""

    def sink(self) -> CallableSink:
        return CallableSink(self.function, self.settings)

    async def read(self, topic: str) -> Sequence[Received]:
        return [
            Received(uid=each.uid, key=each.key, payload=each.payload, headers=each.headers)
            for each in self.shop.arrived
        ]

    def harm(self, fault: Fault) -> None:
        raise AssertionError(fault)

    def heal(self) -> None:
        """It is never broken."""


@pytest.fixture(params=["sync", "asynchronous", "batch", "object"])
def adapter(request: pytest.FixtureRequest) -> CallableAdapter:
    return CallableAdapter(request.param)


class TestCallable(Conformance):
    """All of the suite."""


def verdicts(
    function: Callable[[Any], object], messages: Sequence[Message], **settings: Any
) -> Any:
    async def work() -> list[Outcome]:
        async with CallableSink(function, CallableSettings(**settings)) as sink:
            await sink.open(fence())
            return await publish(sink, messages)

    return [(each.verdict.value, each.code) for each in run(work())]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Refused("no"), ("poison", "Refused")),
        (NotNow("later", seconds=5), ("retry", "NotNow")),
        (ConnectionError(), ("retry", "ConnectionError")),
        (KeyError("a bug"), ("retry", "KeyError")),
    ],
)
def test_what_it_raises_is_judged(error: Exception, expected: tuple[str, str]) -> None:
    def broken(message: Message) -> None:
        raise error

    writer = Writer("t")
    messages = [writer.message("a"), writer.message("a")]
    assert verdicts(broken, messages) == [expected, ("held", "")]


def test_a_cannot_stops_the_relay() -> None:
    def broken(message: Message) -> None:
        raise Denied("the shop is closed to us")

    with pytest.raises(Denied):
        verdicts(broken, [Writer("t").message("a")])


def test_a_batch_finds_the_refused_one() -> None:
    seen: list[int] = []

    def picky(messages: Sequence[Message]) -> None:
        if any(message.payload == b"bad" for message in messages):
            raise Refused("no")
        seen.extend(message.id for message in messages)

    writer = Writer("t")
    messages = [writer.message("a"), writer.message("b", b"bad"), writer.message("b")]
    messages.append(writer.message("a"))
    assert [verdict for verdict, _ in verdicts(picky, messages, batch=True)] == [
        "delivered",
        "poison",
        "held",
        "delivered",
    ]
    assert seen == [1, 4]


def test_a_batch_may_answer_for_each() -> None:
    def picky(messages: Sequence[Message]) -> list[Outcome | None]:
        return [None, Outcome(verdict=Verdict.RETRY, reason="busy", code="busy"), None]

    writer = Writer("t")
    messages = [writer.message(key) for key in "abb"]
    assert verdicts(picky, messages, batch=True) == [
        ("delivered", ""),
        ("retry", "busy"),
        ("held", ""),
    ]


def test_an_answer_of_the_wrong_length_is_a_mistake() -> None:
    with pytest.raises(BadInput, match="did not answer for each"):
        verdicts(lambda messages: [], [Writer("t").message("a")], batch=True)


def test_a_partial_is_known_to_be_asynchronous() -> None:
    async def slow(extra: str, message: Message) -> None:
        await asyncio.Event().wait()

    code = verdicts(
        functools.partial(slow, "x"), [Writer("t").message("a")], publish_timeout_seconds=0.05
    )
    assert code == [("retry", "TimeoutError")]


def test_a_function_by_its_name() -> None:
    message = Writer("t").message("a")

    async def work() -> None:
        async with from_url("python:tests.sinks.test_callable:note", {"in_flight": "2"}) as sink:
            await sink.open(fence())
            await publish(sink, [message])

    run(work())
    assert arrived == [message]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("python:tests.sinks.test_callable:notes", "did you mean 'note'"),
        ("python:tests.sinks.test_callable", "package.module:function"),
        ("python:tests.no_such_module:note", "PYTHONPATH"),
        ("python:tests.sinks.test_callable:arrived", "cannot be called"),
    ],
)
def test_a_name_that_is_wrong(url: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        from_url(url, {})
    assert says in str(caught.value)
