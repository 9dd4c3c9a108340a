"""The relay: what is emitted goes to a sink, in the order of each key, and none is lost.

Owns the life of one relay: taking over, sessions with the database, waiting in second place,
stopping. Must never publish what is not durable, nor go on when another relay has taken over.

    relay = Relay("orders", sink_from_url("nats://localhost:4222/EVENTS"), dsn="dbname=shop")
    relay.run_sync()

A session lasts as long as the connection to the database. What a session has delivered and could
not commit is known to the next one, so that a restart of PostgreSQL repeats nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import BadInput, Cannot, CouldNot, Superseded, Unreachable
from howdah.log import store as log_store
from howdah.outbox import promises, store
from howdah.outbox.api import Outbox
from howdah.outbox.claiming import Claim
from howdah.outbox.connecting import Line, open_line
from howdah.outbox.decide import Item, Lane, State
from howdah.outbox.keeping import Keeper, Source
from howdah.outbox.model import Ended, Figures, OutboxConfig, RelayOptions
from howdah.outbox.owning import idle_wait
from howdah.outbox.publishing import Publisher, Validate, first_of, waited
from howdah.outbox.sinks.sink import Fence, Sink
from howdah.outbox.status import source_of
from howdah.outbox.telling import tell

_GATE_SECONDS = 0.002
_NUDGE_SECONDS = 0.01
"""After so long at the gate a sign of life is written: its commit brings the log to disk."""
_CARE_SECONDS = 600.0
"""Limit of a statement of maintenance: an index may be built."""


class _Session(NamedTuple):
    """What belongs to one connection to the database."""

    reader: Line
    writer: Line
    caretaker: Line
    source: Source
    config: OutboxConfig
    lanes: Sequence[Lane]
    keeper: Keeper
    halt: asyncio.Event


class Relay:
    """Publishes one outbox to a sink.

    `sink` is one sink, or with several shards a function that makes the sink of a shard. `validate`
    gives, per topic or for `*`, a function that raises for a message that must not be published:
    it is set aside like one that the sink refuses.
    """

    def __init__(
        self,
        outbox: Outbox | str,
        sink: Sink | Callable[[int], Sink],
        *,
        dsn: str = "",
        options: RelayOptions | None = None,
        validate: Mapping[str, Validate] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.outbox = outbox if isinstance(outbox, str) else outbox.name
        self.options = options or RelayOptions()
        self.figures = Figures()
        self._dsn = dsn
        self._clock = clock
        self._random = Random()
        self._delivered: set[int] = set()
        self._identity = ""
        self._failures = 0
        self._stop = asyncio.Event()
        self._claim = Claim(self.outbox, self.options, self._stop, clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look = asyncio.Event()
        sinks = _sinks(sink, self.options.shards)
        self._publishers = [
            Publisher(shard, each, self.options, validate or {}, self.figures, clock)
            for shard, each in enumerate(sinks)
        ]

    def run_sync(self, *, until_idle: bool = False) -> Ended:
        """`run` in an event loop of its own; SIGTERM and SIGINT stop it gracefully."""

        async def stoppable() -> Ended:
            loop = asyncio.get_running_loop()
            # Signals reach only the main thread; elsewhere `stop` does.
            with contextlib.suppress(ValueError, RuntimeError):
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, self.stop)
            return await self.run(until_idle=until_idle)

        return asyncio.run(stoppable())

    def stop(self) -> None:
        """Finish what the sink has in hand, commit, and end; from any thread."""
        if self._loop is not None:
            # A loop that is closed runs no relay.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        else:
            self._stop.set()

    def wake(self) -> None:
        """Look for new events now; from any thread. For producers in the same process."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._look.set)

    async def run(self, *, until_idle: bool = False) -> Ended:
        """Publish until `stop`, or with `until_idle` until nothing is left.

        Goes on through every failure of database and sink that may pass. Raises `Superseded` when
        another relay took over (not with `standby`), `PositionLost` when the database is another
        one or went back in time, and any other `Cannot` that a person has to see to.
        """
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                ended = await self._attempt(until_idle=until_idle)
                if ended is not None:
                    tell(logging.INFO, "ended", outbox=self.outbox, why=ended.value)
                    return ended
        finally:
            for publisher in self._publishers:
                await publisher.close()

    async def _attempt(self, *, until_idle: bool) -> Ended | None:
        """One session; None when another one should follow."""
        try:
            return await self._one_session(until_idle=until_idle)
        except CouldNot as error:
            self._failures += 1
            self.figures.database_failures += 1
            tell(
                logging.WARNING,
                "session-lost",
                outbox=self.outbox,
                failures=self._failures,
                error=error.message,
                detail=error.detail or None,
            )
        except Superseded as error:
            tell(logging.WARNING, "superseded", outbox=self.outbox, error=error.message)
            if not self.options.standby:
                raise
            self._claim.epoch = None
            for publisher in self._publishers:
                await publisher.close()
        seconds = waited(self.options.reconnect, self._failures, self._random)
        return Ended.STOPPED if await first_of(self._stop, seconds=seconds) else None

    async def _one_session(self, *, until_idle: bool) -> Ended:
        async with contextlib.AsyncExitStack() as stack:
            lines = [await self._line(stack, seconds) for seconds in self._limits]
            writer = lines[1]
            config = await writer.ask(store.found(self.outbox))
            identity = await writer.ask(store.identity(self.outbox))
            for publisher in self._publishers:
                promises.require(config, publisher.sink.name, publisher.sink.promise)
            if identity != self._identity:  # ids mean other events in another history
                self._identity = identity
                self._delivered = set()
            source = source_of(self.outbox, config, identity, self._delivered)
            try:
                if not await self._owned(writer, source):
                    return Ended.STOPPED
                session = await self._session(lines, source, config)
                return await self._work(session, until_idle=until_idle)
            except Superseded as error:
                raise await self._claim.explained(writer, source, error) from error

    async def _session(
        self, lines: Sequence[Line], source: Source, config: OutboxConfig
    ) -> _Session:
        reader, writer, caretaker = lines
        lanes = [self._lane(config) for _ in self._publishers]
        keeper = Keeper(
            writer,
            source,
            lanes,
            self._publishers,
            config,
            self.options,
            self.figures,
            self._clock,
        )
        await keeper.look_at_parked()
        return _Session(reader, writer, caretaker, source, config, lanes, keeper, asyncio.Event())

    @property
    def _limits(self) -> tuple[float, float, float]:
        seconds = self.options.database_seconds
        return seconds, seconds, max(seconds, _CARE_SECONDS)

    async def _line(self, stack: contextlib.AsyncExitStack, seconds: float) -> Line:
        name = f"howdah relay {self.outbox}"
        try:
            line = await open_line(self._dsn, name, seconds=seconds, pooled=self.options.pooled)
        except Cannot as error:
            if not self._identity:
                raise
            # It opened before: a server that is coming up refuses in ways that look final.
            raise Unreachable(error.message, detail=error.detail, hint=error.hint) from error
        stack.push_async_callback(line.close)
        return line

    def _lane(self, config: OutboxConfig) -> Lane:
        return Lane(
            policy=config.policy,
            backoff=self.options.retry,
            max_attempts=self.options.max_attempts,
            random=self._random,
        )

    async def _owned(self, line: Line, source: Source) -> bool:
        """Be the owner; False when the relay is told to stop before it is."""
        doubted = any(publisher.fenced_out for publisher in self._publishers)
        if not await self._claim.held(line, source, doubted=doubted):
            return False
        for publisher in self._publishers:
            publisher.fenced_out = False
        self.figures.epoch = self._claim.epoch or 0
        return True

    async def _work(self, session: _Session, *, until_idle: bool) -> Ended:
        epoch = self._claim.epoch
        assert epoch is not None
        halt, keeper = session.halt, session.keeper
        publishing = [
            asyncio.ensure_future(
                publisher.run(
                    lane,
                    Fence(relay=self.outbox, shard=shard, epoch=epoch),
                    session.config,
                    halt,
                    keeper.settled,
                )
            )
            for shard, (publisher, lane) in enumerate(
                zip(self._publishers, session.lanes, strict=True)
            )
        ]
        reading = asyncio.ensure_future(self._read(session, until_idle=until_idle))
        keeping = asyncio.ensure_future(keeper.run(halt))
        caring = asyncio.ensure_future(self._care(session))
        every = [reading, keeping, caring, *publishing]
        try:
            await asyncio.wait(every, return_when=asyncio.FIRST_COMPLETED)
        finally:
            halt.set()
            # What ended the session is told below; a last commit that fails is made good later.
            with contextlib.suppress(CouldNot):
                await self._wind_up(session, reading, keeping, caring, publishing)
        for task in every:
            if not task.cancelled():
                task.result()
        if self._stop.is_set():
            return Ended.STOPPED
        return Ended.DRAINED

    async def _wind_up(
        self,
        session: _Session,
        reading: asyncio.Future[None],
        keeping: asyncio.Future[None],
        caring: asyncio.Future[None],
        publishing: Sequence[asyncio.Future[None]],
    ) -> None:
        """End every part: the sink finishes its calls, unless another relay has taken over."""
        for task in (reading, caring):
            task.cancel()
        seconds = self.options.drain_seconds
        if keeping.done() and isinstance(keeping.exception(), Superseded):
            seconds = 0
        _, left = await asyncio.wait(publishing, timeout=seconds)
        for task in left:
            task.cancel()
        await asyncio.wait([reading, caring, keeping, *publishing])
        keeper = session.keeper
        try:
            if keeping.exception() is None:
                await keeper.commit()
        finally:
            self._delivered = keeper.unsure()

    async def _read(self, session: _Session, *, until_idle: bool) -> None:
        """Read ahead until told to stop, or until nothing is left."""
        keeper = session.keeper
        silent_since = self._clock.monotonic()
        while not self._stop.is_set():
            room = await self._room(session)
            items = await session.reader.ask(session.source.read(room)) if room > 0 else []
            self._failures = 0
            if items:
                silent_since = self._clock.monotonic()
                await self._gate(session)
                self._hand_out(session, items)
                continue
            if until_idle and keeper.nothing_left:
                return
            if until_idle:
                keeper.due.set()
            await self._pause(self._clock.monotonic() - silent_since)

    async def _pause(self, idle_for: float) -> None:
        options = self.options
        seconds = idle_wait(
            idle_for, busy_seconds=options.poll_seconds, most_seconds=options.idle_seconds
        )
        if await first_of(self._look, self._stop, seconds=seconds):
            self._look.clear()

    async def _room(self, session: _Session) -> int:
        """Wait until there is room for more messages; how many. 0 when told to stop."""
        keeper, options = session.keeper, self.options
        while not self._stop.is_set():
            keeper.room.clear()
            room = options.ahead_messages - session.source.progress.uncommitted
            if room > 0 and keeper.hand_bytes < options.ahead_bytes:
                return room
            await first_of(keeper.room, self._stop)
        return 0

    def _hand_out(self, session: _Session, items: Sequence[Item]) -> None:
        """Give messages to the lanes of their keys."""
        self.figures.read += len(items)
        lanes = session.lanes
        shares: list[list[Item]] = [[] for _ in lanes]
        for item in items:
            if item.state is State.PENDING:
                session.keeper.hand_bytes += item.size
                shares[item.shard % len(lanes)].append(item)
        for publisher, lane, share in zip(self._publishers, lanes, shares, strict=True):
            lane.add_all(share)
            publisher.wake.set()

    async def _gate(self, session: _Session) -> None:
        """Wait until what was read is durable: what is visible need not be, yet."""
        lsn = session.source.lsn()
        if lsn is None and not self.options.wait_for_standby:
            return
        if lsn is None:
            lsn = await session.reader.ask(store.insert_lsn())
        began = self._clock.monotonic()
        while not self._stop.is_set():
            if await self._passed(session.reader, lsn):
                return
            if self._clock.monotonic() - began >= _NUDGE_SECONDS:
                began = self._clock.monotonic()
                session.keeper.nudge()
            await first_of(self._stop, seconds=_GATE_SECONDS)

    async def _passed(self, line: Line, lsn: str) -> bool:
        if self.options.wait_for_standby:
            return await line.ask(store.replayed(lsn))
        return await line.ask(log_store.flushed(lsn))

    async def _care(self, session: _Session) -> None:
        """Keep the tables in shape."""
        while not self._stop.is_set():
            for action, detail in await session.caretaker.ask(session.source.maintain()):
                tell(logging.INFO, f"maintenance-{action}", outbox=self.outbox, detail=detail)
            await first_of(self._stop, seconds=self.options.maintain_seconds)


def _sinks(sink: Sink | Callable[[int], Sink], shards: int) -> list[Sink]:
    if callable(sink):
        return [sink(shard) for shard in range(shards)]
    if shards > 1:
        raise BadInput(
            f"{shards} shards need {shards} sinks",
            hint="pass a function that makes the sink of a shard: Relay(outbox, lambda shard: ...)",
        )
    return [sink]
