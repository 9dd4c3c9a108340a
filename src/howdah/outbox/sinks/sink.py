"""The contract of a sink: what a relay may ask, and what a sink promises.

Owns the message as a sink sees it, the outcomes and the promise. Must never know a broker.

A sink is asynchronous, is used by one relay at a time, and is proven by the one conformance suite
in `tests/sinks/conformance.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import msgspec


class Ordering(enum.StrEnum):
    """What order a consumer of the sink may rely on."""

    TOTAL = "total"
    KEY = "key"
    NONE = "none"


class Dedup(enum.StrEnum):
    """Who removes the duplicate that a resent message is."""

    PRODUCER = "producer"  # the broker recognises a retry of one producer session
    MESSAGE_ID = "message-id"  # the broker recognises the message's uid, within its window
    TRANSACTION = "transaction"  # publication and its record commit together
    NONE = "none"  # the consumer must: the uid travels in a header


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a sink can keep; the relay refuses a configuration that asks for more."""

    ordering: Ordering
    dedup: Dedup
    max_bytes: int | None  # of one message, headers included; None: no limit of its own
    fences: bool  # whether `open` shuts out an older relay at the broker
    pipelines_keys: bool  # whether several messages of one key may be in one `publish`
    dedup_seconds: float | None = None  # how long it remembers a message; None: for ever, or never


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event as it is published."""

    id: int  # position in its log; larger is later within a key
    uid: str  # unique for ever: log uuid and id; what brokers and consumers dedup by
    topic: str
    key: str | None
    payload: bytes
    headers: dict[str, str]
    at: float  # seconds since the epoch at which it was emitted


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """Who publishes: a relay's name and shard, and its epoch, which only grows."""

    relay: str
    shard: int
    epoch: int


class Verdict(enum.StrEnum):
    """What became of one message."""

    DELIVERED = "delivered"
    RETRY = "retry"  # a passing condition; the same message may be sent again
    POISON = "poison"  # this message will never be accepted; others will
    HELD = "held"  # not sent, because an earlier message of its key was not delivered


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict with the broker's reason; `duplicate` when the broker says it had it already."""

    verdict: Verdict
    reason: str = ""
    code: str = ""  # the broker's error code or class, stable; never parsed from a text
    retry_after_seconds: float | None = None
    duplicate: bool = False


DELIVERED = Outcome(verdict=Verdict.DELIVERED)


class Sink(Protocol):
    """What a relay publishes to.

    Errors of single messages are outcomes. What concerns the whole sink is raised: `Unreachable`
    and `TimedOut` (the relay backs off and opens again), `Superseded` (the relay stops), other
    `Cannot`s (the relay stops and says why).

    A sink derives from this class; only entering and leaving it as a context are done here.
    """

    @property
    def name(self) -> str:
        """The kind of sink, such as `kafka`."""

    @property
    def promise(self) -> Promise:
        """What it can keep, as configured."""

    async def open(self, fence: Fence) -> None:
        """Connect, check what publishing needs, and shut out an older relay where it can."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Send in the given order and wait until each is settled; one outcome per message.

        Of one key, no message is delivered unless every earlier one in the call was: later ones
        are `HELD`. With `pipelines_keys` false a call holds at most one message of each key.
        """

    async def close(self) -> None:
        """Let go of the connection; never raises for a connection that is already lost."""

    async def __aenter__(self) -> Self:
        """The sink itself; `open` is the relay's to call."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()
