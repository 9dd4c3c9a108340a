"""What a consuming process counts, and what a producing process is given to emit.

Owns both ends of one phase inside a contender's processes. Must cost next to nothing per item.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from howdah.clock import Clock

Item = bytes | str | dict[str, Any]


class Batch(msgspec.Struct, frozen=True):
    """Some items: each is a small JSON object with the time of its emission."""

    at: float  # howdah.clock's monotonic seconds; 0.0 where latency is not measured
    first: int
    count: int
    padding: str

    def texts(self) -> list[str]:
        """The items as JSON texts."""
        head, tail = f'{{"at": {self.at!r}, "pad": "{self.padding}", "n": ', "}"
        return [f"{head}{n}{tail}" for n in range(self.first, self.first + self.count)]

    def payloads(self) -> list[bytes]:
        """The items as bytes."""
        return [text.encode() for text in self.texts()]

    def objects(self) -> list[dict[str, Any]]:
        """The items as JSON objects."""
        numbers = range(self.first, self.first + self.count)
        return [{"at": self.at, "pad": self.padding, "n": n} for n in numbers]


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What one process has handled so far; times are the clock's monotonic seconds."""

    count: int = 0
    first_at: float = 0.0
    first_count: int = 0  # handed over at once at `first_at`
    last_at: float = 0.0
    latencies_ms: tuple[float, ...] = ()


class Tally:
    """The no-op handler: counts items and, when `timing`, how long each was under way.

    May be called from several threads. `stopped` is set when the phase is over. With `each`, a
    batch is handled one by one, as a queue's handler is called, and each item is decoded first
    unless the system has done that: a handler works with arguments, not with bytes.
    """

    def __init__(self, clock: Clock, *, timing: bool, each: bool = False) -> None:
        self._clock = clock
        self._timing = timing
        self._each = each
        self._lock = threading.Lock()
        self._count = 0
        self._first_at = self._last_at = 0.0
        self._first_count = 0
        self._latencies: list[float] = []
        self.stopped = threading.Event()

    def item(self, item: Item) -> None:
        """Handle one item."""
        if self._each and not isinstance(item, dict):
            item = _decode(item)
        self._handle((item,))

    def items(self, items: Sequence[Item]) -> None:
        """Handle a batch."""
        if self._each:
            for item in items:
                self.item(item)
        elif items:
            self._handle(items)

    def _handle(self, items: Sequence[Item]) -> None:
        now = self._clock.monotonic()
        with self._lock:
            if not self._count:
                self._first_at, self._first_count = now, len(items)
            self._count += len(items)
            self._last_at = now
            if self._timing:
                self._latencies += [(now - at) * 1e3 for at in map(emitted_at, items) if at]

    def counted(self, *, whole: bool = False) -> Counted:
        """The state so far; with the latencies when `whole`."""
        with self._lock:
            return Counted(
                count=self._count,
                first_at=self._first_at,
                first_count=self._first_count,
                last_at=self._last_at,
                latencies_ms=tuple(self._latencies) if whole else (),
            )


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def emitted_at(item: Item) -> float:
    """When an item was emitted; 0.0 where that is not measured."""
    fields = item if isinstance(item, dict) else json.loads(item)
    return float(fields["at"])


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a producing process is to emit: until a limit of items or seconds, or as allowed."""

    batch_items: int
    payload_bytes: int
    items: int = 0  # 0: no limit
    seconds: float = 0.0  # 0: no limit
    rate_per_second: float = 0.0  # 0: as fast as it goes
    warm_up_seconds: float = 0.0  # of a given rate: items without a time
    allowance: bool = False  # no more than the parent allows, so that no backlog grows


class Allowance:
    """How many items may have been emitted in all; raised by the parent."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._limit = 0
        self._stopped = False

    def raise_to(self, limit: int) -> None:
        """Allow more."""
        with self._changed:
            self._limit = max(self._limit, limit)
            self._changed.notify_all()

    def stop(self) -> None:
        """No more at all."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        """Whether the parent wants no more."""
        return self._stopped

    def wait_for(self, limit: int) -> bool:
        """Wait until so many are allowed; False when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._limit >= limit)
            return not self._stopped


class Emission:
    """The batches of one producing process, and how long they took."""

    def __init__(self, work: Work, clock: Clock) -> None:
        self._work = work
        self._clock = clock
        self.allowance = Allowance()
        self.count = 0
        self.first_at = 0.0

    def batches(self) -> Iterator[Batch]:
        """Batch by batch; the one before is committed when the next is asked for."""
        padding = "x" * max(0, self._work.payload_bytes - _FRAME_BYTES)
        self.first_at = self._clock.monotonic()
        source = self._paced() if self._work.rate_per_second else self._unpaced()
        for at, size in source:
            yield Batch(at, self.count, size, padding)
            self.count += size

    def _unpaced(self) -> Iterator[tuple[float, int]]:
        work, size = self._work, self._work.batch_items
        while not self._over(self._clock.monotonic() - self.first_at):
            if work.allowance and not self.allowance.wait_for(self.count + size):
                return
            yield 0.0, size

    def _paced(self) -> Iterator[tuple[float, int]]:
        """One by one. A late item counts from when it was due, or a stall would hide itself."""
        step = 1 / self._work.rate_per_second
        due = self.first_at
        while not self._over(due - self.first_at - self._work.warm_up_seconds):
            self._clock.sleep(due - self._clock.monotonic())
            now = self._clock.monotonic()
            warm = now - self.first_at >= self._work.warm_up_seconds
            yield (now if now - due < _TIMER_SECONDS else due) if warm else 0.0, 1
            due += step

    def _over(self, elapsed: float) -> bool:
        work = self._work
        return (
            self.allowance.stopped
            or bool(work.items and self.count >= work.items)
            or bool(work.seconds and elapsed >= work.seconds)
        )


_TIMER_SECONDS = 0.001  # by which a sleep may be late
_FRAME_BYTES = 50  # of the JSON around the padding, about
