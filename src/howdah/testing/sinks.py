"""A sink in memory for tests of what emits and publishes: it remembers, and fails when told to.

Owns what was delivered. Must never lose it: `delivered` is what a consumer would have.

    sink = MemorySink()
    sink.fail(lambda message: message.topic == "bad", Verdict.POISON)
    sink.fail(times=2)                # the next two messages, whatever they are: try again
    sink.break_connection()           # until the next open
    await relay_until_idle(sink)
    assert [m.payload for m in sink.delivered] == [b"..."]

It keeps the contract of every sink: order per key, one outcome per message, an older relay shut out
by a newer one's `open`; sinks that share a `Store` stand for two relays before one broker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from howdah.errors import HowdahError, Superseded, Unreachable
from howdah.outbox.sinks.envelope import envelope, size
from howdah.outbox.sinks.lanes import NOT_SENT, hold, hold_unsent
from howdah.outbox.sinks.sink import (
    DELIVERED,
    Dedup,
    Fence,
    Message,
    Ordering,
    Outcome,
    Promise,
    Sink,
    Verdict,
)

Match = Callable[[Message], bool]


class Store:
    """The broker's side: what arrived, which uids it knows, the newest epoch of each relay."""

    def __init__(self) -> None:
        self.delivered: list[Message] = []
        self.uids: set[str] = set()
        self.epochs: dict[tuple[str, int], int] = {}


class _Failure:
    """What `fail` was told; `times` counts down, None is for ever."""

    def __init__(self, match: Match, outcome: Outcome, times: int | None) -> None:
        self.match = match
        self.outcome = outcome
        self.times = times

    def strikes(self, message: Message) -> bool:
        if self.times == 0 or not self.match(message):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class MemorySink(Sink):
    """A sink that delivers into a list. `calls` holds what each `publish` was given."""

    name = "memory"

    def __init__(
        self,
        store: Store | None = None,
        *,
        dedup: bool = True,
        max_bytes: int | None = None,
        pipelines_keys: bool = True,
    ) -> None:
        self.store = store or Store()
        self.calls: list[list[Message]] = []
        self.opened: list[Fence] = []
        self._dedup = dedup
        self._max_bytes = max_bytes
        self._pipelines_keys = pipelines_keys
        self._failures: list[_Failure] = []
        self._error: HowdahError | None = None
        self._fence: Fence | None = None

    @property
    def delivered(self) -> Sequence[Message]:
        """All that arrived, in its order."""
        return tuple(self.store.delivered)

    @property
    def promise(self) -> Promise:
        """As constructed; it fences."""
        return Promise(
            ordering=Ordering.KEY,
            dedup=Dedup.MESSAGE_ID if self._dedup else Dedup.NONE,
            max_bytes=self._max_bytes,
            fences=True,
            pipelines_keys=self._pipelines_keys,
        )

    def fail(
        self,
        match: Match = lambda _message: True,
        verdict: Verdict = Verdict.RETRY,
        *,
        times: int | None = None,
        reason: str = "told to fail",
        code: str = "told",
        retry_after_seconds: float | None = None,
    ) -> None:
        """Give messages that match this verdict, the next `times` of them or all."""
        outcome = Outcome(
            verdict=verdict, reason=reason, code=code, retry_after_seconds=retry_after_seconds
        )
        self._failures.append(_Failure(match, outcome, times))

    def heal(self) -> None:
        """Forget what `fail` and `break_connection` said."""
        self._failures.clear()
        self._error = None

    def break_connection(self, error: HowdahError | None = None) -> None:
        """Raise this, `Unreachable` by default, from `publish` until the next `open`."""
        self._error = error or Unreachable("the connection was told to break")

    async def open(self, fence: Fence) -> None:
        """Shut out older relays of that name and shard."""
        place = (fence.relay, fence.shard)
        if self.store.epochs.get(place, 0) > fence.epoch:
            raise Superseded("a newer relay publishes here")
        self.store.epochs[place] = fence.epoch
        self.opened.append(fence)
        self._fence = fence
        self._error = None

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Deliver each that was not told to fail and stands behind none of its key that was."""
        if self._error is not None:
            raise self._error
        if self._fence is None:
            raise Unreachable("the sink is not open")
        if self.store.epochs[self._fence.relay, self._fence.shard] > self._fence.epoch:
            raise Superseded("a newer relay publishes here")
        self.calls.append(list(messages))
        outcomes = [NOT_SENT] * len(messages)
        for at, message in enumerate(messages):
            outcomes = hold_unsent(messages, outcomes)
            if outcomes[at] is NOT_SENT:
                outcomes[at] = self._deliver(message)
        return hold(messages, outcomes)

    def _deliver(self, message: Message) -> Outcome:
        needed = size(message, envelope(message))
        if self._max_bytes is not None and needed > self._max_bytes:
            return Outcome(
                verdict=Verdict.POISON, reason=f"{needed} bytes are too many", code="too-large"
            )
        for failure in self._failures:
            if failure.strikes(message):
                return failure.outcome
        if self._dedup and message.uid in self.store.uids:
            return Outcome(verdict=Verdict.DELIVERED, duplicate=True)
        self.store.uids.add(message.uid)
        self.store.delivered.append(message)
        return DELIVERED

    async def close(self) -> None:
        """What was delivered stays."""
        self._fence = None
