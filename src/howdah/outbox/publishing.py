"""One lane at work: batches to its sink, one call at a time, and a broken sink opened again.

Owns the sink of one shard. Must never have two calls under way, nor decide about order: the lane
does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from random import Random

from howdah.clock import Clock
from howdah.errors import CouldNot, HowdahError, Moved, Superseded
from howdah.outbox import promises, tracing
from howdah.outbox.decide import Item, Lane, Settled, judged
from howdah.outbox.model import Backoff, Figures, OutboxConfig, RelayOptions
from howdah.outbox.sinks.sink import Fence, Message, Outcome, Sink, Verdict
from howdah.outbox.telling import tell

Validate = Callable[[Message], object]
"""Raises for a message that must not be published."""


class Publisher:
    """One shard's sink for as long as the relay lives; a lane for each session."""

    def __init__(
        self,
        shard: int,
        sink: Sink,
        options: RelayOptions,
        validate: Mapping[str, Validate],
        figures: Figures,
        clock: Clock,
    ) -> None:
        self.sink = sink
        self.fenced_out = False
        """Whether the sink refused us for a newer relay, which the ledger has to confirm."""
        self._shard = shard
        self._options = options
        self._validate = validate
        self._figures = figures
        self._clock = clock
        self._random = Random()
        self._open_for: Fence | None = None
        self._failures = 0
        self.wake = asyncio.Event()

    async def run(
        self,
        lane: Lane,
        fence: Fence,
        config: OutboxConfig,
        halt: asyncio.Event,
        settled: Callable[[Settled], None],
    ) -> None:
        """Publish what the lane has until `halt`; the call under way is finished."""
        while not halt.is_set():
            if self._open_for != fence and not await self._opened(fence, config, halt):
                continue
            lane.pipelines_keys = self.sink.promise.pipelines_keys
            now = self._clock.monotonic()
            options = self._options
            self.wake.clear()
            batch = lane.next_batch(now, options.batch_messages, options.batch_bytes)
            if not batch:
                await self._rest(lane, now, halt)
                continue
            answers = await self._sent(fence, batch)
            if answers is None:
                lane.returned(batch, self._clock.monotonic())
                await self._back_off(halt)
            else:
                settled(lane.settle(batch, answers, self._clock.monotonic()))

    async def close(self) -> None:
        """Let the sink go."""
        self._open_for = None
        await self.sink.close()

    async def _opened(self, fence: Fence, config: OutboxConfig, halt: asyncio.Event) -> bool:
        """Open the sink; whether it is open. Its limits may be known only now."""
        try:
            await self.sink.open(fence)
            promises.require(config, self.sink.name, self.sink.promise)
        except CouldNot as error:
            self._broken(error)
            await self._back_off(halt)
            return False
        except Superseded as error:
            raise self._questioned(error) from error
        self._open_for = fence
        tell(logging.INFO, "sink-open", sink=self.sink.name, shard=fence.shard, epoch=fence.epoch)
        return True

    async def _sent(self, fence: Fence, batch: Sequence[Item]) -> list[Outcome] | None:
        """An outcome for each message, or None when the sink failed as a whole."""
        known = judged(batch, [self._refusal(item) for item in batch]) if self._validate else None
        chosen = [
            item.message
            for at, item in enumerate(batch)
            if item.message is not None and (known is None or known[at] is None)
        ]
        try:
            with tracing.publishing(fence.relay, self.sink.name, chosen):
                answers = await self.sink.publish(chosen) if chosen else []
        except CouldNot as error:
            self._broken(error)
            return None
        except Superseded as error:
            raise self._questioned(error) from error
        self._failures = 0
        if known is None:
            return list(answers)
        left = iter(answers)
        return [next(left) if each is None else each for each in known]

    def _refusal(self, item: Item) -> Outcome | None:
        message = item.message
        assert message is not None
        validate = self._validate.get(message.topic) or self._validate.get("*")
        if validate is None:
            return None
        try:
            validate(message)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything, and means this message
            reason = str(error) or type(error).__name__
            return Outcome(verdict=Verdict.POISON, reason=reason, code=type(error).__name__)
        return None

    def _questioned(self, error: Superseded) -> Moved:
        """A broker's word is not enough: it may fence the newer relay for the older."""
        self._open_for = None
        self.fenced_out = True
        return Moved(error.message, detail=error.detail)

    def _broken(self, error: HowdahError) -> None:
        self._open_for = None
        self._failures += 1
        self._figures.sink_failures += 1
        tell(
            logging.WARNING,
            "sink-failed",
            sink=self.sink.name,
            shard=self._shard,
            failures=self._failures,
            error=error.message,
            detail=error.detail or None,
        )

    async def _back_off(self, halt: asyncio.Event) -> None:
        seconds = waited(self._options.reconnect, self._failures, self._random)
        await first_of(halt, seconds=seconds)

    async def _rest(self, lane: Lane, now: float, halt: asyncio.Event) -> None:
        """Until something is new or due."""
        due = lane.next_due()
        await first_of(self.wake, halt, seconds=None if due is None else max(0.0, due - now))


def waited(backoff: Backoff, failures: int, random: Random) -> float:
    """Seconds before attempt number `failures` + 1: doubling, between half of it and all."""
    doubled = backoff.first_seconds * 2.0 ** min(max(failures, 1) - 1, 60)
    return min(doubled, backoff.most_seconds) * (0.5 + random.random() / 2)


async def first_of(*events: asyncio.Event, seconds: float | None = None) -> bool:
    """Wait until one of the events is set, at most so long; whether one is."""
    if any(event.is_set() for event in events):
        return True
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for task in waiting:
            task.cancel()
