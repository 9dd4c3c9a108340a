"""Reading what is installed, and running a plan: the only database steps of this room.

Owns the transaction, its lock and the translation of what goes wrong in it. Must never decide what
to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row, tuple_row

from howdah import query
from howdah.driver import Steps, statement
from howdah.errors import (
    BadInput,
    Cannot,
    Denied,
    HowdahError,
    TimedOut,
    Unreachable,
    from_database,
)
from howdah.postgres.connection import require_supported
from howdah.schema.decide import skew
from howdah.schema.model import (
    OWNER_ROLE,
    ROLES,
    Applied,
    Component,
    Here,
    Loss,
    Object,
    Phase,
    Removal,
    Step,
)

_QUERIES = query.load("howdah.schema", "sql/store.sql")
_LEDGER_HERE = statement(_QUERIES, "ledger_here")
_VERSIONS_OF = statement(_QUERIES, "versions_of")
_LOCK_KEY = int.from_bytes(b"howdah")
"""Of the advisory lock that only one installation, upgrade or removal holds at a time."""

Connection = psycopg.Connection[Any]


def prelude(lock_timeout_seconds: float) -> str:
    """How the transaction of every change begins, after BEGIN."""
    wait = sql.Literal(f"{round(lock_timeout_seconds * 1000)}ms")
    block = sql.SQL(_QUERIES.text("prelude"))
    return block.format(lock_timeout=wait, key=sql.Literal(_LOCK_KEY)).as_string(None)


@contextmanager
def changing(
    connection: Connection, lock_timeout_seconds: float, *, keep: bool = True
) -> Iterator[None]:
    """One transaction of our own, alone of its kind in this database; rolled back unless `keep`."""
    require_supported(connection.info.server_version)
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise BadInput(
            "the connection is inside a transaction",
            detail="The schema is changed in a transaction of its own.",
            hint="commit or roll back first, or give another connection",
        )
    try:
        with connection.transaction(force_rollback=not keep):
            connection.execute(prelude(lock_timeout_seconds).encode())
            yield
    except psycopg.errors.LockNotAvailable as late:
        raise _blocked(connection, lock_timeout_seconds) from late
    except psycopg.Error as error:
        raise _translated(connection, error) from error


@contextmanager
def looking(connection: Connection) -> Iterator[None]:
    """Reading only: joins a transaction that is open, else takes one of its own."""
    try:
        with connection.transaction():
            yield
    except psycopg.Error as error:
        raise _translated(connection, error) from error


def here(connection: Connection) -> Here:
    """Where we are."""
    parameters = {
        "become": "SET" if connection.info.server_version >= 160000 else "MEMBER",
        "roles": list(ROLES),
        "owner": OWNER_ROLE,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES.text("here"), parameters).fetchone()
    assert row is not None, "a connection always has a database and a role"
    return msgspec.convert(row, Here)


def applied(connection: Connection, where: Here) -> Applied:
    """What the ledger says; nothing where there is no ledger."""
    versions: dict[str, dict[int, Phase]] = {}
    if where.ledger:
        with connection.cursor(row_factory=tuple_row) as cursor:
            for component, version, phase in cursor.execute(_QUERIES.text("applied")):
                versions.setdefault(component, {})[version] = Phase(phase)
    return versions


def run(connection: Connection, steps: Iterable[Step]) -> None:
    """Run the steps, in the transaction of `changing`."""
    for step in steps:
        connection.execute(step.sql.encode())


def _translated(connection: Connection, error: psycopg.Error) -> HowdahError:
    found = from_database(error)
    if connection.broken or isinstance(found, Unreachable):
        return Unreachable(
            "the connection was lost",
            detail=f"{found.message}. Either everything was changed or nothing.",
            hint="the same again: it looks first which of the two it was",
        )
    return found


def _blocked(connection: Connection, seconds: float) -> HowdahError:
    """Who is in the way. It is asked afterwards, so it may have gone meanwhile."""
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            # A little less than we waited: the blocker's transaction began before our wait.
            parameters = {"key": _LOCK_KEY, "seconds": seconds * 0.9}
            found = cursor.execute(_QUERIES.text("blockers"), parameters).fetchall()
        if not connection.autocommit:
            connection.rollback()
    except psycopg.Error as error:
        return _translated(connection, error)
    who = "; ".join(_session(*row) for row in found)
    return TimedOut(
        f"a lock was not free within {seconds:g} s; nothing was changed",
        detail=f"In the way: {who}." if who else "Whoever held it has let go meanwhile.",
        hint="again when that has ended, or with a longer lock timeout; workers wait as long",
    )


def _session(pid: int | None, application: str, user: str, state: str, prepared: str | None) -> str:
    if prepared is not None:
        return f"prepared transaction {prepared!r}"
    named = ", ".join(part for part in (application, user and f"user {user}", state) if part)
    return f"pid {pid} ({named})" if named else f"pid {pid}"


def objects(connection: Connection) -> tuple[Object, ...]:
    """Everything in the schema, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERIES.text("objects"), {}).fetchall()
    return tuple(msgspec.convert(rows, list[Object]))


def dependents(connection: Connection, names: Sequence[str]) -> list[str]:
    """Installed components that require one of these and are not among them."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_QUERIES.text("dependents"), {"components": list(names)})
        return [name for (name,) in found]


def workers(connection: Connection, patterns: Sequence[str]) -> list[tuple[int, str]]:
    """Sessions of our own processes: pid and application name."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(_QUERIES.text("workers"), {"names": list(patterns)}).fetchall()


def data(connection: Connection, names: Sequence[str]) -> list[Loss]:
    """Those of the tables that hold rows, the largest first."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_QUERIES.text("estimated"), {"names": list(names)}).fetchall()
        kept = []
        for name, rows, size, may_look in found:
            block = sql.SQL(_QUERIES.text("any_row")).format(table=sql.Identifier(name))
            if not may_look or cursor.execute(block).fetchone() == (True,):
                kept.append(Loss(table=f"howdah.{name}", rows=rows, bytes=size))
    return kept


def lock_tables(connection: Connection, names: Sequence[str]) -> None:
    """Keep everybody out of these tables until the transaction ends."""
    if names:
        listed = sql.SQL(", ").join(sql.Identifier("howdah", name) for name in names)
        connection.execute(sql.SQL(_QUERIES.text("lock_tables")).format(tables=listed))


def drop(connection: Connection, removal: Removal) -> None:
    """Drop the objects in whatever order works; one that something else uses stops everything."""
    left = list(removal.objects)
    while left:
        stuck: list[tuple[Object, psycopg.Error]] = []
        for thing in left:
            try:
                with connection.transaction():
                    connection.execute(thing.statement.encode())
            except psycopg.errors.DependentObjectsStillExist as used:
                stuck.append((thing, used))
        if len(stuck) == len(left):
            raise Cannot(
                f"{stuck[0][0]} is used by something that is not Howdah's",
                detail=stuck[0][1].diag.message_detail or "",
                hint="drop or change that first",
            )
        left = [thing for thing, _ in stuck]
    run(connection, removal.after)


def requirement(component: Component) -> Steps[None]:
    """Raise unless this library can run on the database, with whatever driver is at hand.

    Two reads of the catalog and the ledger, no transaction id, no lock that anybody waits for.
    """
    rows = yield _LEDGER_HERE()
    if rows and not rows[0][0]:
        raise Denied(
            "howdah.installed may not be read by this role",
            hint="GRANT howdah_worker, howdah_producer or howdah_reader to it",
        )
    versions = (yield _VERSIONS_OF(component=component.name)) if rows else []
    found = {component.name: {version: Phase(phase) for version, phase in versions}}
    if why := skew(component, found):
        raise why
