"""A database with an outbox in it, and short ways to emit and to relay."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import psycopg

from howdah import schema
from howdah.outbox import COMPONENT, Backoff, Layout, Outbox, Parked, Policy, Relay, RelayOptions
from howdah.outbox.model import Ended, OutboxConfig
from howdah.outbox.sinks.sink import Message, Sink
from howdah.postgres import connect
from howdah.testing import wait_until
from howdah.testing.sinks import MemorySink

QUICK = RelayOptions(
    commit_seconds=0.005,
    idle_seconds=0.01,
    parked_seconds=0.01,
    blocked_seconds=0.02,
    standby_seconds=0.05,
    retry=Backoff(first_seconds=0.005, most_seconds=0.02),
    reconnect=Backoff(first_seconds=0.01, most_seconds=0.05),
    drain_seconds=5,
)


class Posted:
    """The outbox `orders` of a database."""

    def __init__(self, dsn: str, **config: Any) -> None:
        self.dsn = dsn
        self.outbox = Outbox("orders", **config)
        with contextlib.closing(connect(dsn)) as connection:
            schema.install(connection, [COMPONENT])
            self.outbox.create(connection)

    @property
    def config(self) -> OutboxConfig:
        return self.outbox.config

    def connect(self) -> psycopg.Connection[Any]:
        return connect(self.dsn)

    def do(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.execute(text.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def emit(self, *keys: str | None, topic: str = "t") -> list[int]:
        """One event for each key; its payload is its key and its number in the call."""
        drafts = [(topic, key, f"{key}{number}") for number, key in enumerate(keys)]
        with contextlib.closing(self.connect()) as connection:
            return self.outbox.emit_many(connection, drafts)

    def relay(self, sink: Sink, *, validate: Any = None, **options: Any) -> Relay:
        made = msgspec.structs.replace(QUICK, **options)
        return Relay(self.outbox, sink, dsn=self.dsn, options=made, validate=validate)

    def drain(self, sink: Sink, *, validate: Any = None, **options: Any) -> Relay:
        """Relay until nothing is left."""
        relay = self.relay(sink, validate=validate, **options)
        assert asyncio.run(bounded(relay, until_idle=True)) is Ended.DRAINED
        return relay

    @contextlib.contextmanager
    def relaying(self, sink: Sink, **options: Any) -> Iterator[Running]:
        """A relay in a thread of its own, stopped at the end."""
        running = Running(self.relay(sink, **options))
        try:
            yield running
        finally:
            running.stop()

    def parked(self) -> list[Parked]:
        with contextlib.closing(self.connect()) as connection:
            return self.outbox.parked(connection)

    def replay(self, **which: Any) -> list[int]:
        with contextlib.closing(self.connect()) as connection:
            return self.outbox.replay(connection, **which)

    def discard(self, **which: Any) -> list[int]:
        with contextlib.closing(self.connect()) as connection:
            return self.outbox.discard(connection, **which)


async def bounded(relay: Relay, *, until_idle: bool, seconds: float = 60) -> Ended:
    async with asyncio.timeout(seconds):
        return await relay.run(until_idle=until_idle)


class Running:
    """A relay in a thread; `error` is what ended it."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.relay.run_sync()
        except Exception as error:  # noqa: BLE001 - the test asks for it
            self.error = error

    def stop(self) -> None:
        self.relay.stop()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the relay does not stop"

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()


def by_key(messages: Sequence[Message]) -> dict[str | None, list[int]]:
    """The ids of each key, in the order of arrival."""
    found: dict[str | None, list[int]] = defaultdict(list)
    for message in messages:
        found[message.key].append(message.id)
    return found


def in_order(messages: Sequence[Message]) -> bool:
    return all(ids == sorted(ids) for key, ids in by_key(messages).items() if key is not None)


def arrived(sink: MemorySink, count: int, *, seconds: float = 20) -> None:
    """Wait until so many messages have arrived."""
    wait_until(lambda: len(sink.delivered) >= count, seconds=seconds)


LAYOUTS = tuple(Layout)
POLICIES = tuple(Policy)
