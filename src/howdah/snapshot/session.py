"""Our own transaction on somebody's database: short, read-only, waiting for nobody.

Owns the pins of the session, the deadline, the patience behind locks, and the meaning of a failed
statement. Must never stay open past the deadline, and must never leave a setting behind: every pin
is local to its transaction, because a pooler may give the session to somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from howdah.clock import Clock
from howdah.errors import from_database
from howdah.query import load
from howdah.snapshot.facts import Status
from howdah.snapshot.options import Options
from howdah.snapshot.rows import share_texts

_SESSION = load("howdah.snapshot", "sql/session.sql")
SERVER = load("howdah.snapshot", "sql/server.sql")

MARKER = " /* howdah */"
"""Ends every statement of ours, so that a snapshot leaves itself out of pg_stat_statements.

18 drops the comments before a statement; all keep those behind it.
"""

_BY_CODE = {
    "42501": Status.DENIED,  # insufficient_privilege
    "55P03": Status.LOCKED,  # lock_not_available
    "57014": Status.TIMEOUT,  # query_canceled
}
_BY_CLASS = {
    "40": Status.TIMEOUT,  # transaction_rollback: a standby's conflict with recovery
    "53": Status.TIMEOUT,  # insufficient_resources
}
_USEFUL_SECONDS = 0.02
_LOCK_SHARES = 4  # one lock may take a quarter of our patience: lock_timeout is per lock


def marked(text: str) -> str:
    """The statement as it is sent: with our marker behind it."""
    return text + MARKER


def status_of(sqlstate: str) -> Status:
    """What a failed statement says about its fact.

    Whatever is neither a lack of rights nor of time is something that this server does not have or
    does not do: an undefined column, function or table, a library that is not preloaded.
    """
    return _BY_CODE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2]) or Status.UNSUPPORTED


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one statement: a cursor whose rows wait on our side, or why there is none."""

    cursor: psycopg.Cursor[Any] | None
    seconds: float
    status: Status = Status.PRESENT  # of the failure, where there is no cursor
    reason: str = ""


class Reading:
    """One open transaction in which facts are asked for, each under its own savepoint.

    Rows are received at once but made into values only after the transaction, so that it is open
    for as long as the server works and no longer.
    """

    def __init__(self, session: Session) -> None:
        self.locked: list[int] = []
        self.seconds = 0.0  # how long it was open, once it is closed
        self._session = session
        self._options = session.options
        self._connection = session.connection
        self._clock = session.clock
        self._opened = session.clock.monotonic()

    @property
    def seconds_open(self) -> float:
        """How long this transaction is open by now."""
        return self._clock.monotonic() - self._opened

    @property
    def is_late(self) -> bool:
        """Whether the deadline is too near to ask for more."""
        return self._options.open_seconds - self.seconds_open < _USEFUL_SECONDS

    def ask(self, text: str, parameters: Mapping[str, Any], *, schema: str | None = None) -> Answer:
        """Ask once; behind a lock, look anew for locked relations and ask a second time.

        `schema` fills the place of an extension's schema. Raises `HowdahError` only where the
        connection is gone.
        """
        answer = self._once(text, parameters, schema)
        if answer.status is Status.LOCKED and self.refresh_locked():
            again = self._once(text, {**parameters, "locked": self.locked}, schema)
            return msgspec.structs.replace(again, seconds=again.seconds + answer.seconds)
        return answer

    def refresh_locked(self) -> bool:
        """Learn which relations are behind ACCESS EXCLUSIVE now; whether that worked."""
        answer = self._once(SERVER.text("locked"), {}, None)
        if answer.cursor is None:
            return False
        self.locked = (answer.cursor.fetchone() or [None])[0] or []
        return True

    def _once(self, text: str, parameters: Mapping[str, Any], schema: str | None) -> Answer:
        began = self._clock.monotonic()
        if self.is_late:
            reason = f"not reached within the {self._options.open_seconds:g} s of the picture"
            return Answer(cursor=None, seconds=0.0, status=Status.TIMEOUT, reason=reason)
        try:
            self._mark(self._options.open_seconds - self.seconds_open)
            cursor = self._connection.cursor(binary=True)
            share_texts(cursor)
            cursor.execute(_composed(text, schema), parameters)
            self._connection.execute(_SESSION.text("keep"))
        except psycopg.Error as error:
            return self._failed(error, self._clock.monotonic() - began)
        return Answer(cursor=cursor, seconds=self._clock.monotonic() - began)

    def _mark(self, left: float) -> None:
        limit = min(left, self._options.statement_timeout_seconds)
        patience = min(self._session.patience_ms, self._options.lock_timeout_ms / _LOCK_SHARES)
        self._connection.execute(
            sql.SQL(_SESSION.text("mark")).format(
                statement=sql.Literal(max(1, int(limit * 1000))),
                lock=sql.Literal(max(1, int(patience))),
            )
        )

    def _failed(self, error: psycopg.Error, seconds: float) -> Answer:
        if self._connection.closed or self._connection.broken:
            raise from_database(error) from error
        self._connection.execute(_SESSION.text("forget"))
        status = status_of(error.sqlstate or "")
        if status is Status.LOCKED:
            self._session.patience_ms = max(0.0, self._session.patience_ms - seconds * 1000)
        return Answer(cursor=None, seconds=seconds, status=status, reason=_reason(error))


def _reason(error: psycopg.Error) -> str:
    found = from_database(error)
    return f"{found.message} (SQLSTATE {error.sqlstate or 'none'})"


def _composed(text: str, schema: str | None) -> sql.Composed:
    body = sql.SQL(text)
    named = body if schema is None else body.format(schema=sql.Identifier(schema))
    return named + sql.SQL(MARKER)


class Session:
    """Our connection, what may be done with it, and how much patience behind locks is left.

    The patience is one for the whole snapshot, however many transactions it takes.
    """

    def __init__(self, connection: psycopg.Connection, *, options: Options, clock: Clock) -> None:
        self.connection = connection
        self.options = options
        self.clock = clock
        self.major = connection.info.server_version // 10000
        self.patience_ms = float(options.lock_timeout_ms)
        self.own_path: tuple[str, ...] = ()  # the role's search_path, known after the first picture

    @contextmanager
    def picture(self) -> Iterator[Reading]:
        """Everything read inside is of one moment; closed at the end whatever happened inside."""
        with self._transaction("begin") as reading:
            if not self.own_path:
                row = self.connection.execute(marked(SERVER.text("own_path"))).fetchone()
                self.own_path = tuple(row[0]) if row else ()
            pin(self.connection, self.major)
            yield reading

    @contextmanager
    def short(self) -> Iterator[Reading]:
        """A moment of its own for one measurement after the picture."""
        with self._transaction("begin_short") as reading:
            pin(self.connection, self.major)
            yield reading

    @contextmanager
    def _transaction(self, opening: str) -> Iterator[Reading]:
        reading = Reading(self)
        try:
            self.connection.execute(_SESSION.text(opening))
            yield reading
        except psycopg.Error as error:
            raise from_database(error) from error
        finally:
            if not self.connection.closed:
                self.connection.execute(_SESSION.text("end"))
        reading.seconds = reading.seconds_open


def pin(connection: psycopg.Connection, major: int) -> None:
    """Make the open transaction independent of the role's settings, and harmless."""
    settings = {
        "search_path": "pg_catalog",
        "idle_in_transaction_session_timeout": "10s",
        "lock_timeout": "25ms",
        "statement_timeout": "4s",
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "client_encoding": "UTF8",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
        "work_mem": "64MB",
    }
    if major >= 15:
        settings["stats_fetch_consistency"] = "snapshot"
    connection.execute(
        marked(SERVER.text("pin")),
        {"names": list(settings), "values": list(settings.values()), "local": True},
    )
