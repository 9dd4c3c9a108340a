"""What users call: a log to emit into, and consumers that read it.

Owns the public classes. Every method runs the steps of `store.py` or `reader.py` on the connection
that it is given, inside the transaction that is open there; the methods that begin with `a` are the
same for asynchronous connections. Must never commit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.driver import Statement, Steps, run, run_async
from howdah.driver.copying import acopy_rows, copy_rows
from howdah.errors import BadInput
from howdah.log import store
from howdah.log.decide import PAGE_BYTES
from howdah.log.model import Cursor, Event, Maintained, Page, Position, Record
from howdah.log.reader import Reader

SEGMENTS = 8
SEGMENT_BYTES = 256 * 1024 * 1024
SEGMENT_SECONDS = 900
SLOW_BYTES = 1024 * 1024 * 1024
_REMEMBER_SECONDS = 10.0


class Log:
    """A log by its name. One handle serves any number of threads and connections.

    It remembers which segment producers fill; a stale memory is harmless (readers read all).
    """

    def __init__(self, name: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = name
        self._clock = clock
        self._ring: store.Ring | None = None
        self._looked_at = 0.0

    def create(self, connection: Any, *, segments: int = SEGMENTS) -> None:
        """Make the log unless it is there; needs `howdah install` first."""
        run(connection, store.create(self.name, segments))

    async def acreate(self, connection: Any, *, segments: int = SEGMENTS) -> None:
        """Make the log unless it is there."""
        await run_async(connection, store.create(self.name, segments))

    def drop(self, connection: Any) -> None:
        """Remove the log with everything in it."""
        run(connection, store.drop(self.name))
        self._ring = None

    def identity(self, connection: Any) -> str:
        """What makes an event's id unique for ever: `<identity>-<id>`.

        It is another one after a failover or a restore, where ids may be given out again; so ask on
        every new connection.
        """
        return run(connection, store.open_ring(self.name)).identity

    def emit(self, connection: Any, event: Event) -> int:
        """Emit one event in the connection's transaction; its id."""
        return run(connection, self.emitting(event))

    async def aemit(self, connection: Any, event: Event) -> int:
        """Emit one event in the connection's transaction; its id."""
        return await run_async(connection, self.emitting(event))

    def emit_many(self, connection: Any, events: Sequence[Event]) -> list[int]:
        """Emit events in one statement; their ids, in order."""
        return run(connection, self.emitting_many(events))

    async def aemit_many(self, connection: Any, events: Sequence[Event]) -> list[int]:
        """Emit events in one statement; their ids, in order."""
        return await run_async(connection, self.emitting_many(events))

    def copy(self, connection: psycopg.Connection[Any], events: Iterable[Event]) -> int:
        """Emit many events by COPY, the fastest way; psycopg only. How many there were."""
        statement = run(connection, self.copying())
        return copy_rows(connection, statement, store.COPIED, map(store.row_of, events))

    async def acopy(self, connection: psycopg.AsyncConnection[Any], events: Iterable[Event]) -> int:
        """Emit many events by COPY, the fastest way; psycopg only. How many there were."""
        statement = await run_async(connection, self.copying())
        return await acopy_rows(connection, statement, store.COPIED, map(store.row_of, events))

    def maintain(
        self,
        connection: Any,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: int = SEGMENT_SECONDS,
    ) -> tuple[Maintained, ...]:
        """Turn the ring and reclaim what is consumed; what was done. Relays and workers do this."""
        return run(connection, store.maintain(self.name, segment_bytes, segment_seconds))

    def emitting(self, event: Event) -> Steps[int]:
        """The steps of `emit`, for runners of one's own."""
        ring = yield from self._current()
        return (yield from store.emit_one(ring, event))

    def emitting_many(self, events: Sequence[Event]) -> Steps[list[int]]:
        """The steps of `emit_many`, for runners of one's own."""
        ring = yield from self._current()
        return (yield from store.emit_many(ring, events))

    def copying(self) -> Steps[Statement]:
        """The steps before a COPY: its statement."""
        return store.copying((yield from self._current()))

    def _current(self) -> Steps[store.Ring]:
        ring = self._ring
        if ring is None or self._clock.monotonic() > self._looked_at + _REMEMBER_SECONDS:
            ring = self._ring = yield from store.open_ring(self.name)
            self._looked_at = self._clock.monotonic()
        return ring


class Consumer:
    """A named reader of a log: its position survives, and each record is read by it once.

    `start_at` is `earliest` (the oldest record that the log still holds) or `now`; it, `when_slow`
    and `slow_bytes` matter only the first time.
    """

    def __init__(
        self,
        log: str,
        name: str,
        *,
        start_at: str = "earliest",
        payload_budget_bytes: int = PAGE_BYTES,
        when_slow: str = "pin",
        slow_bytes: int = SLOW_BYTES,
    ) -> None:
        if start_at not in ("earliest", "now"):
            raise BadInput(f"a consumer starts at 'earliest' or 'now', not {start_at!r}")
        self.log = log
        self.name = name
        self._start_at = start_at
        self._budget = payload_budget_bytes
        self._policy = (when_slow, slow_bytes)

    def subscribe(self, connection: Any) -> bool:
        """Register it unless it is registered; whether it is new."""
        return run(connection, self._subscribed())

    async def asubscribe(self, connection: Any) -> bool:
        """Register it unless it is registered; whether it is new."""
        return await run_async(connection, self._subscribed())

    def _subscribed(self) -> Steps[bool]:
        return store.subscribe(self.log, self.name, self._start_at, *self._policy)

    def when_slow(self, connection: Any, when_slow: str, *, slow_bytes: int = SLOW_BYTES) -> None:
        """Say what happens once it makes the log keep more than that: `pin`, `detach`, `drop`."""
        run(connection, store.when_slow(self.log, self.name, when_slow, slow_bytes))

    def unsubscribe(self, connection: Any) -> bool:
        """Forget it and its position; whether it was registered."""
        return run(connection, store.unsubscribe(self.log, self.name))

    def reanchor(self, connection: Any, start_at: str) -> None:
        """Set the position anew: `earliest`, `now`, or `keep` after pg_upgrade."""
        run(connection, store.reanchor(self.log, self.name, start_at))

    def token(self, connection: Any, position: Position) -> str:
        """A position to keep beside effects in a store of your own; `resume` continues from it."""
        return run(connection, store.token(self.log, position))

    def resume(self, connection: Any, token: str) -> None:
        """Make a token the committed position; other instances are superseded.

        `PositionLost` for one of another database, of the future, of a timeline that the server may
        have left before it, or older than what this consumer has committed to the log.
        """
        run(connection, store.resume(self.log, self.name, token))

    def cursor(self, connection: Any) -> Cursor:
        """The committed position; `PositionLost` when it cannot be continued from."""
        return run(connection, store.newest_cursor(self.log, self.name))

    def reader(self) -> Reader:
        """The state machine under this class, for loops of one's own."""
        return Reader(self.log, self.name, payload_budget_bytes=self._budget)

    def open(self, connection: Any, *, take_over: bool = False) -> OpenConsumer:
        """Start reading on a connection, from the committed position.

        With `take_over`, every later commit of another instance fails with `Superseded`.
        """
        reader = self.reader()
        run(connection, reader.open(take_over=take_over))
        return OpenConsumer(connection, reader)

    @contextlib.contextmanager
    def exactly_once(
        self, connection: psycopg.Connection[Any], max_rows: int = 1_000
    ) -> Iterator[tuple[Record, ...]]:
        """The next records inside a transaction that also commits the position.

        What the block writes on `connection` happens exactly once: block and position commit
        together or not at all. Raises `Superseded`, with everything rolled back, when another
        instance committed first.
        """
        with connection.transaction():
            reader = self.reader()
            run(connection, reader.open())
            page = run(connection, reader.next_page(max_rows))
            yield page.records if page else ()
            if page:
                run(connection, reader.commit(page.end))


class OpenConsumer:
    """A consumer that is reading: pages in order, and commits when the caller says so."""

    def __init__(self, connection: Any, reader: Reader) -> None:
        self._connection = connection
        self.reader = reader

    def next_page(self, max_rows: int | None = None) -> Page | None:
        """The next records, or None when there is nothing new now."""
        return run(self._connection, self.reader.next_page(max_rows))

    def pages(self, max_rows: int | None = None) -> Iterator[Page]:
        """Pages until there is nothing new."""
        while (page := self.next_page(max_rows)) is not None:
            yield page

    def commit(self, position: Position) -> Cursor:
        """Say that everything up to there is done; `Superseded` when another instance did."""
        return run(self._connection, self.reader.commit(position))
