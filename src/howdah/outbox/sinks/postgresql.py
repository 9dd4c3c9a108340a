"""PostgreSQL: a table or a log of another database, where every message arrives exactly once.

Owns the two tables of a destination and what an error of that database means. Must never commit
a part of a call whose order it does not know.

What it keeps:
- Order: one transaction per call, in the order given; `position` tells it. Order per key, as no
  call commits while an earlier one's end is unknown to the relay.
- Duplicates: removed for ever, by the primary key on `uid` (ON CONFLICT DO NOTHING). With the
  relay's position this is exactly once. Rows that are deleted are forgotten: keep them as long as
  a message may be replayed.
- Fencing: `open` adds its epoch under a lock for which it waits until all publications in progress
  have ended; a publication holds that lock, shared, and sees the newest epoch. An older relay
  cannot commit after `open` returned.
- Size: `max_bytes`; PostgreSQL itself stops at 1 GB per value.

The table is `{table}`, beside it `{table}_fence` with one small row per `open`.

With `log` and `inbox` messages are emitted into a Howdah log of that database instead, in the same
transaction in which its inbox notes their uids; duplicates are then removed within the inbox's
window. Only `{table}_fence` is used then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Coroutine, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
import psycopg
from psycopg import sql

from howdah.errors import (
    BadInput,
    Cannot,
    CouldNot,
    HowdahError,
    Superseded,
    TimedOut,
    Unreachable,
    from_database,
)
from howdah.outbox.sinks.envelope import too_large
from howdah.outbox.sinks.lanes import HELD
from howdah.outbox.sinks.settings import Settings, build
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
from howdah.postgres.connection import connect, describe
from howdah.query import load

_QUERIES = load("howdah.outbox.sinks", "sql/postgresql.sql")
_DUPLICATE = Outcome(verdict=Verdict.DELIVERED, duplicate=True)
# Classes of SQLSTATEs that speak of a row: PostgreSQL documentation, appendix A.
_OF_A_ROW = ("22", "23", "44", "54", "P0")  # data, constraint, view check, too large, a trigger's

Result = TypeVar("Result")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class PostgresqlSettings(Settings, frozen=True, kw_only=True):
    """How to insert into one table."""

    dsn: str
    """A URI or libpq's key=value pairs; what it leaves out comes from libpq's environment."""
    table: Annotated[str, msgspec.Meta(pattern=r"^[^.\s]+(\.[^.\s]+)?$")] = "public.outbox_events"
    """`schema.table`; each part is taken as it is, without quotes."""
    log: str = ""
    """The name of a log there; then `inbox` is needed too."""
    inbox: str = ""
    declare: bool = False
    """Create the tables where they are missing; the role needs CREATE on the schema."""
    publish_timeout_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 10.0
    connect_timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 5
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=512 * 1024 * 1024)] = 64 * 1024 * 1024


class PostgresqlSink(Sink):
    """Inserts into one table."""

    name = "postgresql"

    def __init__(self, settings: PostgresqlSettings) -> None:
        self.settings = settings
        self._where = describe(settings.dsn)
        schema, _, table = settings.table.rpartition(".")
        self._table = sql.Identifier(schema or "public", table)
        self._fence_table = sql.Identifier(schema or "public", f"{table}_fence")
        if bool(settings.log) != bool(settings.inbox):
            raise BadInput(
                "a log needs an inbox, and an inbox a log",
                hint="give both `log` and `inbox`, or neither to fill a table",
            )
        self._window: float | None = None
        self._connection: Connection | None = None
        self._fence: Fence | None = None

    @property
    def promise(self) -> Promise:
        """Exactly once, in order, fenced."""
        return Promise(
            ordering=Ordering.KEY,
            dedup=Dedup.MESSAGE_ID,
            dedup_seconds=self._window,
            max_bytes=self.settings.max_bytes,
            fences=True,
            pipelines_keys=True,
        )

    async def open(self, fence: Fence) -> None:
        """Connect, find or create the tables, and shut out older relays."""
        await self.close()
        self._connection = await self._connected()
        try:
            await self._in_time(self._connection, self._prepare(self._connection, fence))
        except (psycopg.Error, TimeoutError) as error:
            await self.close()
            raise self._failure(error) from error
        except BaseException:
            await self.close()
            raise
        self._fence = fence

    async def _prepare(self, connection: Connection, fence: Fence) -> None:
        async with connection.transaction():
            await self._find_tables(connection)
        async with connection.transaction():
            await self._shut_out(connection, fence)

    async def _in_time(self, connection: Connection, work: Coroutine[Any, Any, Result]) -> Result:
        """The result, or `TimeoutError`; then, and when we are cancelled, the connection is cut.

        psycopg would ask the server to cancel, and to roll back, and wait for a frozen one twice.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=self.settings.publish_timeout_seconds)
        finally:
            late = not task.done()
            if late:
                _cut(connection)
                await asyncio.gather(task, return_exceptions=True)
        if late:
            raise TimeoutError
        return task.result()

    async def _connected(self) -> Connection:
        settings = self.settings
        milliseconds = int(settings.publish_timeout_seconds * 1000)
        try:
            async with asyncio.timeout(settings.connect_timeout_seconds):
                return await psycopg.AsyncConnection.connect(
                    settings.dsn,
                    autocommit=True,
                    application_name="howdah outbox",
                    # A relay that hangs must not hold the lock for which `open` waits.
                    options=f"-c idle_in_transaction_session_timeout={milliseconds}"
                    f" -c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
                )
        except TimeoutError:
            raise TimedOut(f"{self._where} did not answer in time") from None
        except psycopg.Error as error:
            # The other connection asks why: libpq reports no SQLSTATE for a failed attempt.
            connection = await asyncio.to_thread(
                connect, settings.dsn, connect_timeout_seconds=settings.connect_timeout_seconds
            )
            connection.close()
            raise Unreachable(
                f"could not reach {self._where}", detail=from_database(error).message
            ) from None  # the driver's error may quote the DSN

    def _text(self, name: str) -> sql.Composed:
        return sql.SQL(_QUERIES.text(name)).format(table=self._table, fence=self._fence_table)

    async def _find_tables(self, connection: Connection) -> None:
        if self.settings.log:
            await self._find_log(connection)
        if self.settings.declare:
            if not self.settings.log:
                await connection.execute(self._text("create_table"))
            await connection.execute(self._text("create_fence"))
            return
        names = {
            "table": self._table.as_string(connection),
            "fence": self._fence_table.as_string(connection),
        }
        row = await (await connection.execute(self._text("found"), names)).fetchone()
        table, fence = row or (False, False)
        if not fence or not (table or self.settings.log):
            raise BadInput(
                f"the table {self.settings.table} or its _fence table is missing",
                hint="give the sink `declare` so that it may create them",
            )

    async def _find_log(self, connection: Connection) -> None:
        names = {"log": self.settings.log, "inbox": self.settings.inbox}
        await connection.execute(self._text("found_log"), names)
        row = await (await connection.execute(self._text("found_inbox"), names)).fetchone()
        if row is None:
            raise BadInput(
                f"there is no inbox {self.settings.inbox!r} in {self._where}",
                hint="make it there with Inbox(name).create(connection)",
            )
        self._window = float(row[0])

    def _place(self, fence: Fence) -> dict[str, object]:
        return {
            "place": f"howdah sink {self.settings.table} {fence.relay} {fence.shard}",
            "relay": fence.relay,
            "shard": fence.shard,
            "epoch": fence.epoch,
        }

    async def _shut_out(self, connection: Connection, fence: Fence) -> None:
        given = self._place(fence)
        await connection.execute(self._text("wait_for_publishers"), given)
        row = await (await connection.execute(self._text("newest_epoch"), given)).fetchone()
        if row is not None and row[0] is not None and row[0] > fence.epoch:
            raise self._superseded(row[0])
        await connection.execute(self._text("add_epoch"), given)

    def _superseded(self, epoch: int) -> Superseded:
        return Superseded(
            f"a newer relay publishes to {self._where}",
            detail=f"Its epoch is {epoch}.",
        )

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """One transaction; if a message breaks it, message by message in a second one."""
        if self._connection is None or self._fence is None or self._connection.broken:
            raise Unreachable(f"no connection to {self._where}")
        if not messages:
            return []
        try:
            return await self._in_time(
                self._connection, self._published(self._connection, self._fence, messages)
            )
        except (psycopg.Error, TimeoutError) as error:
            failure = self._failure(error)
            # A transaction whose end is unknown: the next one must not overtake it.
            await self.close()
            if isinstance(failure, Unreachable | TimedOut | Cannot):
                raise failure from error
            raise Unreachable(failure.message, detail=failure.detail) from error

    async def _published(
        self, connection: Connection, fence: Fence, messages: Sequence[Message]
    ) -> list[Outcome]:
        fits = [self._refusal(message) is None for message in messages]
        if all(fits):
            try:
                async with connection.transaction():
                    await self._enter(connection, fence)
                    return await self._insert(connection, messages)
            except psycopg.Error as error:
                if not _of_a_row(error):
                    raise
        async with connection.transaction():
            await self._enter(connection, fence)
            return await self._one_by_one(connection, messages)

    async def _enter(self, connection: Connection, fence: Fence) -> None:
        given = self._place(fence)
        async with connection.pipeline():
            await connection.execute(self._text("publish_beside_others"), given)
            cursor = await connection.execute(self._text("newest_epoch"), given)
            row = await cursor.fetchone()
        newest = row[0] if row is not None else None
        if newest is None:
            raise Unreachable("the fence table lost our epoch", hint="open the sink again")
        if newest > fence.epoch:
            raise self._superseded(newest)

    async def _insert(self, connection: Connection, messages: Sequence[Message]) -> list[Outcome]:
        names = {"log": self.settings.log, "inbox": self.settings.inbox}
        block = self._text("emit_messages" if self.settings.log else "insert_messages")
        cursor = await connection.execute(block, _columns(messages) | names)
        new = {row[0] for row in await cursor.fetchall()}
        return [DELIVERED if message.uid in new else _DUPLICATE for message in messages]

    async def _one_by_one(
        self, connection: Connection, messages: Sequence[Message]
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        stopped: set[str | None] = set()
        for message in messages:
            if message.key in stopped:
                outcomes.append(HELD)
                continue
            outcome = self._refusal(message) or await self._insert_one(connection, message)
            if outcome.verdict is not Verdict.DELIVERED and message.key is not None:
                stopped.add(message.key)
            outcomes.append(outcome)
        return outcomes

    async def _insert_one(self, connection: Connection, message: Message) -> Outcome:
        try:
            async with connection.transaction():  # a savepoint
                return (await self._insert(connection, [message]))[0]
        except psycopg.Error as error:
            if not _of_a_row(error):
                raise
            reason = from_database(error).message
            return Outcome(verdict=Verdict.POISON, reason=reason, code=error.sqlstate or "data")

    def _refusal(self, message: Message) -> Outcome | None:
        return too_large(message, self.settings.max_bytes)

    def _failure(self, error: psycopg.Error | TimeoutError) -> HowdahError:
        if isinstance(error, TimeoutError):
            return TimedOut(f"{self._where} did not answer in time")
        found = from_database(error)
        if isinstance(found, CouldNot) or (self._connection and self._connection.broken):
            return found if isinstance(found, CouldNot) else Unreachable(found.message)
        return found

    async def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # A connection that is lost needs no goodbye.
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()


def from_url(url: str, options: Mapping[str, Any]) -> PostgresqlSink:
    """`postgresql://user@host:5432/database`; the table is an option."""
    return PostgresqlSink(build(PostgresqlSettings, {"dsn": url} | dict(options)))


def _cut(connection: Connection) -> None:
    """End both directions of the connection: who waits for it wakes up."""
    # It is closed already, or was never open.
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as ours,
    ):
        ours.shutdown(socket.SHUT_RDWR)


def _of_a_row(error: psycopg.Error) -> bool:
    """Whether a row is to blame; without a SQLSTATE it is psycopg that refused a value."""
    if not error.sqlstate:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate.startswith(_OF_A_ROW)


def _columns(messages: Sequence[Message]) -> dict[str, Any]:
    return {
        "uids": [message.uid for message in messages],
        "topics": [message.topic for message in messages],
        "keys": [message.key for message in messages],
        "payloads": [message.payload for message in messages],
        "headers": [msgspec.json.encode(message.headers).decode() for message in messages],
        "ats": [message.at for message in messages],
    }
