"""Kafka: a producer that keeps the order of a key's partition, with or without transactions.

Owns the sink's promise and the thread in which librdkafka is called. Must never call librdkafka on
the event loop: its calls, and those of its callbacks, may wait.

What it keeps:
- Order: per key, across topics too. Keys choose the partition as the Java client does (murmur2); a
  topic that gets more partitions loses the order of a key once, which is Kafka's nature.
- Duplicates: Kafka removes those of one producer's own retries. A message that is sent again by a
  new producer, after a timeout or a restart, arrives twice; the header `howdah-uid` tells.
- Size: `max_bytes` of one message; a topic that allows less refuses what is larger, as poison.
- Fencing, with `mode="transactional"`: `open` takes over the transactional id of the relay's shard.
  An older relay gets `Superseded`. Kafka fences whoever took the id *earlier*, and knows no
  epoch of ours: a zombie that opens again shuts out the newer relay. So a relay that is superseded
  here asks its ledger, which decides.
- Consumers of a transactional sink must read with `isolation.level=read_committed`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import Superseded, Unreachable
from howdah.outbox.sinks.kafka_session import Session
from howdah.outbox.sinks.kafka_settings import (
    MESSAGE_OVERHEAD_BYTES,
    KafkaSettings,
    Mode,
    Sasl,
    TokenSource,
    from_options,
    token_source,
)
from howdah.outbox.sinks.lanes import Ending
from howdah.outbox.sinks.sink import (
    Dedup,
    Fence,
    Message,
    Ordering,
    Outcome,
    Promise,
    Sink,
    Verdict,
)

Value = TypeVar("Value")


class KafkaStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the sink has done since it was made."""

    delivered: int
    poison: int
    again: int
    """Outcomes that ask for the message to be sent again, held ones not counted."""
    producers: int
    errors: dict[str, int]
    """Refusals and troubles by the name of their code, such as `NOT_LEADER_FOR_PARTITION`."""


class KafkaSink(Sink):
    """Publishes to one cluster; see the module for what it keeps.

    `token` overrides where tokens for SASL/OAUTHBEARER come from. It is called in a thread of
    librdkafka, before the last token ends.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        token: TokenSource | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = settings
        self._token = token or token_source(settings)
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="howdah-kafka")
        self._session: Session | None = None
        self._ending = Ending()
        self._verdicts: Counter[Verdict] = Counter()
        self._errors: Counter[str] = Counter()
        self._producers = 0

    def __repr__(self) -> str:
        return f"<KafkaSink {self.settings.mode} {self.settings.brokers}>"

    @property
    def name(self) -> str:
        """The kind of sink."""
        return "kafka"

    @property
    def promise(self) -> Promise:
        """Per key; an older relay is shut out in transactional mode."""
        return Promise(
            ordering=Ordering.KEY,
            dedup=Dedup.PRODUCER,
            max_bytes=self.settings.max_bytes - MESSAGE_OVERHEAD_BYTES,
            fences=self.settings.mode is Mode.TRANSACTIONAL,
            pipelines_keys=True,
        )

    @property
    def statistics(self) -> KafkaStatistics:
        """Counters; a handful of numbers, cheap to read."""
        session = self._session
        errors = self._errors + (session.errors if session else Counter())
        return KafkaStatistics(
            delivered=self._verdicts[Verdict.DELIVERED],
            poison=self._verdicts[Verdict.POISON],
            again=self._verdicts[Verdict.RETRY],
            producers=self._producers + (session.producers if session else 0),
            errors=dict(errors),
        )

    async def open(self, fence: Fence) -> None:
        """Connect and log in; in transactional mode shut out the producer that was before."""
        await self._let_go()
        session = Session(self.settings, fence, self._token, self._clock)
        self._session = session
        self._ending.forget()
        try:
            await self._blocking(session, session.connect)
        except BaseException:
            await self._let_go()
            raise

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Everything in flight at once; waits until each message is decided about."""
        self._ending.start()
        session = self._session
        if session is None:
            raise Unreachable("the sink is not open")
        outcomes = await self._blocking(session, lambda: session.publish(messages))
        self._verdicts.update(outcome.verdict for outcome in outcomes)
        if isinstance(session.error, Superseded):
            raise session.error
        return self._ending.settle(outcomes, session.error)

    async def close(self) -> None:
        """End a call that is under way, and let the producer go."""
        await self._let_go()

    async def _let_go(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.abandon()
            await self._blocking(session, session.close)
            self._errors += session.errors
            self._producers += session.producers

    async def _blocking(self, session: Session, work: Callable[[], Value]) -> Value:
        """Run in the sink's thread; when the caller is cancelled, the work ends soon as well."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except asyncio.CancelledError:
            session.abandon()
            raise


def from_url(url: str, options: Mapping[str, Any]) -> KafkaSink:
    """`kafka://host:9092,host:9092`, or `kafkas://` with TLS."""
    return KafkaSink(from_options(url, options))


__all__ = [
    "KafkaSettings",
    "KafkaSink",
    "KafkaStatistics",
    "Mode",
    "Sasl",
    "from_url",
]
