"""One tick of the live view: what a database does at this moment, in one cheap statement.

Owns the statement and its meaning. Must never run inside a transaction block: pg_stat_activity is
frozen there.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import msgspec
import psycopg

from howdah.errors import from_database
from howdah.postgres.connection import connect
from howdah.postgres.versions import normal_wait
from howdah.query import load
from howdah.snapshot.session import marked
from howdah.snapshot.texts import blanked

_SAMPLER = load("howdah.snapshot", "sql/sampler.sql")
QUEUES = 20
"""Tables whose depth is followed, at most."""


class WaitCount(msgspec.Struct, frozen=True, array_like=True):
    """How many sessions are in one state; '' and '' is running, or not instrumented."""

    type: str
    event: str
    sessions: int


class Blocked(msgspec.Struct, frozen=True, array_like=True):
    """A session that waits for locks, and those it waits for."""

    pid: int
    blockers: tuple[int, ...]


class Blocker(msgspec.Struct, frozen=True, array_like=True):
    """A session that others wait for and that waits for none."""

    pid: int
    who: str  # application, else role
    state: str
    seconds: float | None  # in transaction
    statement: str  # literals blanked


class Horizon(msgspec.Struct, frozen=True, array_like=True):
    """What keeps dead rows of this database from removal; `age` in transactions."""

    kind: str  # session, standby, prepared, slot
    name: str  # a pid, an application, a gid, a slot's name
    age: int


class QueueDepth(msgspec.Struct, frozen=True, array_like=True):
    """Live and dead rows of one table, as its statistics count them."""

    table: str
    live: int
    dead: int


class Counters(msgspec.Struct, frozen=True, array_like=True):
    """Counters of the database since their window began, and of the server."""

    commits: int
    rollbacks: int
    active_milliseconds: int
    next_xid: int
    wal_position: int | None  # None on a standby


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen at one moment.

    `hidden` counts sessions whose state the role may not see; they are in no wait.
    """

    at: str  # the server's clock, ISO 8601
    waits: tuple[WaitCount, ...]
    hidden: int
    blocking: tuple[Blocked, ...]
    blockers: tuple[Blocker, ...] = ()
    horizon: Horizon | None
    queues: tuple[QueueDepth, ...]
    counters: Counters


class _Depth(msgspec.Struct, frozen=True, array_like=True):
    oid: int
    live: int
    dead: int


class _Raw(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    waits: tuple[WaitCount, ...] | None
    hidden: int
    blocking: tuple[Blocked, ...] | None
    blockers: tuple[Blocker, ...] | None
    horizon: Horizon | None
    queues: tuple[_Depth, ...] | None
    counters: Counters


_DECODER = msgspec.json.Decoder(_Raw)


class Sampler:
    """A connection that ticks. Close it, or use it as a context manager."""

    def __init__(self, dsn: str, *, queues: Sequence[str] | None = None) -> None:
        """Connect; `queues` names tables as `schema.table`, by default those that look like one.

        Raises what `howdah.postgres.connect` raises.
        """
        self._connection = connect(dsn, application_name="howdah watch")
        try:
            parameters = {"names": None if queues is None else list(queues), "limit": QUEUES}
            found = self._connection.execute(marked(_SAMPLER.text("queues")), parameters).fetchall()
        except psycopg.Error as error:
            self._connection.close()
            raise from_database(error) from error
        self._tables: dict[int, str] = dict(found)
        self._parameters = {"queues": list(self._tables)}
        self._statement = marked(_SAMPLER.text("tick"))

    def tick(self) -> Tick:
        """What the database does now. Raises `Unreachable` where the connection is gone."""
        try:
            row = self._connection.execute(
                self._statement, self._parameters, prepare=True
            ).fetchone()
        except psycopg.Error as error:
            raise from_database(error) from error
        raw = _DECODER.decode(row[0] if row else "")
        return Tick(
            at=raw.at,
            waits=tuple(
                WaitCount(*normal_wait(wait.type, wait.event), wait.sessions)
                for wait in raw.waits or ()
            ),
            hidden=raw.hidden,
            blocking=raw.blocking or (),
            blockers=tuple(
                msgspec.structs.replace(each, statement=blanked(each.statement))
                for each in raw.blockers or ()
            ),
            horizon=raw.horizon,
            queues=tuple(
                QueueDepth(self._tables[depth.oid], depth.live, depth.dead)
                for depth in raw.queues or ()
            ),
            counters=raw.counters,
        )

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def __enter__(self) -> Sampler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
