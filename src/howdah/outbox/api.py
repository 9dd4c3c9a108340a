"""What producers call: an outbox to emit into, in their own transaction.

Owns the handle. Must never commit: an event exists when the caller's transaction commits.

    outbox = Outbox("orders")
    with connection.transaction():
        connection.execute("UPDATE stock ...")
        outbox.emit(connection, "order-placed", "customer-7", {"order": 4711})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import psycopg

from howdah.driver import Statement, Steps, run, run_async
from howdah.driver.copying import acopy_rows, copy_rows
from howdah.errors import BadInput
from howdah.log import Log
from howdah.log.store import COPIED, row_of
from howdah.outbox import partitioned, status, store
from howdah.outbox.model import JSON, Draft, Layout, OutboxConfig, Parked, Policy, Status
from howdah.outbox.payload import event_of, events_of
from howdah.outbox.sinks.sink import Dedup, Ordering
from howdah.outbox.store import Chosen


class Outbox:
    """An outbox by its name. One handle serves any number of threads and connections.

    Connections are psycopg's, SQLAlchemy's, Django's or psycopg2's; methods that begin with `a`
    take psycopg's, asyncpg's or SQLAlchemy's asynchronous ones. `layout`, `max_bytes` and
    `content_type` must be those with which it was created; what else is given matters to `create`.
    """

    def __init__(
        self,
        name: str,
        *,
        layout: Layout | str = Layout.RING,
        policy: Policy | str = Policy.BLOCK,
        ordering: Ordering | str = Ordering.KEY,
        dedup: Dedup | str = Dedup.NONE,
        dedup_seconds: float | None = None,
        max_bytes: int = OutboxConfig().max_bytes,
        content_type: str = JSON,
    ) -> None:
        self.name = name
        self.config = OutboxConfig(
            layout=Layout(layout),
            policy=Policy(policy),
            ordering=Ordering(ordering),
            dedup=Dedup(dedup),
            dedup_seconds=dedup_seconds,
            max_bytes=max_bytes,
            content_type=content_type,
        )
        try:  # a struct's bounds hold where it is decoded
            msgspec.convert(msgspec.to_builtins(self.config), OutboxConfig)
        except msgspec.ValidationError as error:
            raise BadInput(f"outbox {name} cannot be configured so", detail=str(error)) from error
        self._log = Log(name)

    def create(self, connection: Any) -> bool:
        """Make it, or give it this handle's configuration; needs `howdah install`. Is it new?"""
        return run(connection, store.create(self.name, self.config))

    async def acreate(self, connection: Any) -> bool:
        """Make it, or give it this handle's configuration; whether it is new."""
        return await run_async(connection, store.create(self.name, self.config))

    def drop(self, connection: Any) -> None:
        """Remove it with everything in it."""
        run(connection, store.drop(self.name))

    def emit(
        self,
        connection: Any,
        topic: str,
        key: str | None,
        payload: Any,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Emit one event in the connection's transaction; its id.

        `payload` is bytes, text, or anything that JSON can say; a header `content-type` says which,
        where that is not the outbox's and `headers` has none. Events with one key arrive in the
        order in which they were emitted. Raises `BadInput` for what cannot be encoded or is larger
        than `max_bytes`.
        """
        event = event_of(Draft(topic, key, payload, headers), self.config)
        if self.config.layout is Layout.PARTITIONED:
            return run(connection, partitioned.emit_one(self.name, event))
        return self._log.emit(connection, event)

    async def aemit(
        self,
        connection: Any,
        topic: str,
        key: str | None,
        payload: Any,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Emit one event in the connection's transaction; its id."""
        event = event_of(Draft(topic, key, payload, headers), self.config)
        if self.config.layout is Layout.PARTITIONED:
            return await run_async(connection, partitioned.emit_one(self.name, event))
        return await self._log.aemit(connection, event)

    def emit_many(self, connection: Any, drafts: Iterable[Draft | tuple[Any, ...]]) -> list[int]:
        """Emit events in one statement, in order; their ids. Each is (topic, key, payload)."""
        events = list(events_of(drafts, self.config))
        if self.config.layout is Layout.PARTITIONED:
            return run(connection, partitioned.emit_many(self.name, events))
        return self._log.emit_many(connection, events)

    async def aemit_many(
        self, connection: Any, drafts: Iterable[Draft | tuple[Any, ...]]
    ) -> list[int]:
        """Emit events in one statement, in order; their ids. Each is (topic, key, payload)."""
        events = list(events_of(drafts, self.config))
        if self.config.layout is Layout.PARTITIONED:
            return await run_async(connection, partitioned.emit_many(self.name, events))
        return await self._log.aemit_many(connection, events)

    def copy(
        self, connection: psycopg.Connection[Any], drafts: Iterable[Draft | tuple[Any, ...]]
    ) -> int:
        """Emit many events by COPY, the fastest way, in the connection's transaction.

        psycopg only; how many there were. Each is (topic, key, payload).
        """
        rows = map(row_of, events_of(drafts, self.config))
        return copy_rows(connection, run(connection, self._copying()), COPIED, rows)

    async def acopy(
        self, connection: psycopg.AsyncConnection[Any], drafts: Iterable[Draft | tuple[Any, ...]]
    ) -> int:
        """Emit many events by COPY, the fastest way, in the connection's transaction."""
        rows = map(row_of, events_of(drafts, self.config))
        return await acopy_rows(
            connection, await run_async(connection, self._copying()), COPIED, rows
        )

    def _copying(self) -> Steps[Statement]:
        if self.config.layout is Layout.PARTITIONED:
            return partitioned.copying(self.name)
        return self._log.copying()

    def parked(self, connection: Any, *, key: str | None = None, most: int = 100) -> list[Parked]:
        """Messages that were set aside, the oldest first."""
        return run(connection, store.listed(self.name, key, most))

    def replay(
        self,
        connection: Any,
        *,
        ids: Iterable[int] = (),
        key: str | None = None,
        all_of_them: bool = False,
    ) -> list[int]:
        """Ask the relay to send parked messages again, those of a key in order; their ids."""
        chosen = Chosen(ids=tuple(ids), key=key, all_of_them=all_of_them)
        return run(connection, store.ask_replay(self.name, chosen))

    def discard(
        self,
        connection: Any,
        *,
        ids: Iterable[int] = (),
        key: str | None = None,
        all_of_them: bool = False,
    ) -> list[int]:
        """Throw parked messages away; their ids. One that is being replayed may still arrive."""
        chosen = Chosen(ids=tuple(ids), key=key, all_of_them=all_of_them)
        return run(connection, store.discard(self.name, chosen))

    def status(self, connection: Any) -> Status:
        """How it stands: a few index look-ups, no counting of the backlog."""
        return run(connection, status.of(self.name))
