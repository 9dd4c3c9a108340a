"""Where contenders meet: an empty place for each, and nothing left afterwards.

Owns making and removing that place. On a server of ours, and on yours where the role may create
databases, each contender gets a database of its own; otherwise its schemas are made in the given
database, and a schema that is there already keeps the contender out. Must never touch anything
that this run did not make.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from howdah import query
from howdah.bench.contender import OWN_SCHEMA, Contender, Place
from howdah.bench.model import Bench, Plan
from howdah.errors import Cannot, from_database
from howdah.postgres import Server, connect, describe

_SQL = query.load("howdah.bench", "sql/arena.sql")
_SETTINGS = {
    "fsync": "on",
    "shared_buffers": "128MB",
    # One run's WAL fits: no checkpoint falls into one contender's phase and not into another's.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
}


class Arena(msgspec.Struct, frozen=True, kw_only=True):
    """A server to meet on."""

    dsn: str
    embedded: bool
    own_databases: bool
    name: str  # of our databases, up to the contender's number

    def describe(self, contenders: Sequence[Contender], bench: Bench) -> list[str]:
        """What would be done here, line by line."""
        place = "a server of our own" if self.embedded else describe(self.dsn)
        lines = [f"on {place}, for each contender in turn:"]
        for contender in contenders:
            where = "a database of its own" if self.own_databases else "new schemas"
            schemas = ", ".join(contender.schemas)
            lines.append(f"  {contender.name}: {where}, schemas {schemas}; removed at the end")
        lines.append(f"  then the {bench} bench, which writes until its time is over")
        return lines


@contextmanager
def opened(dsn: str) -> Iterator[Arena]:
    """The server behind the DSN, or one of ours without one."""
    name = f"howdah_bench_{secrets.token_hex(4)}"
    if dsn:
        yield Arena(dsn=dsn, embedded=False, own_databases=_may_create(dsn), name=name)
        return
    with Server.start(settings=_SETTINGS) as server:
        yield Arena(dsn=server.dsn(), embedded=True, own_databases=True, name=name)


@contextmanager
def place_for(
    arena: Arena, contender: Contender, plan: Plan, scripts: dict[str, str]
) -> Iterator[Place]:
    """An empty place, prepared by the contender; removed afterwards.

    `Cannot` where one of its schemas is there already.
    """
    with _roles_restored(arena, contender), _database(arena) as dsn:
        _require_absent(dsn, contender)
        try:
            _execute(dsn, "create_schema", OWN_SCHEMA)
            searching = make_conninfo(dsn, options=f"-c search_path={OWN_SCHEMA},pg_catalog")
            place = Place(
                dsn=searching, bench=plan.bench, processes=plan.processes, scripts=scripts
            )
            contender.prepare(place)
            yield place
        finally:
            if not arena.own_databases:
                for schema in dict.fromkeys((*contender.schemas, OWN_SCHEMA)):
                    _execute(dsn, "drop_schema", schema)


def _may_create(dsn: str) -> bool:
    with closing(connect(dsn)) as connection:
        row = connection.execute(_SQL.text("may_create_database").encode()).fetchone()
    return bool(row and row[0])


@contextmanager
def _database(arena: Arena) -> Iterator[str]:
    if not arena.own_databases:
        yield arena.dsn
        return
    _execute(arena.dsn, "create_database", arena.name)
    try:
        yield make_conninfo(arena.dsn, dbname=arena.name)
    finally:
        _execute(arena.dsn, "drop_database", arena.name)


def _require_absent(dsn: str, contender: Contender) -> None:
    wanted = list(dict.fromkeys((*contender.schemas, OWN_SCHEMA)))
    with closing(connect(dsn)) as connection:
        rows = connection.execute(
            _SQL.text("present_schemas").encode(), {"schemas": wanted}
        ).fetchall()
    if rows:
        names = ", ".join(row[0] for row in rows)
        raise Cannot(
            f"{contender.name} needs schemas that are there already: {names}",
            detail="The bench removes what it made, and will not remove what it did not.",
            hint="a role that may create databases, or another database",
        )


@contextmanager
def _roles_restored(arena: Arena, contender: Contender) -> Iterator[None]:
    """Remove the roles that a contender's installer made: they belong to the whole server."""
    before = _present_roles(arena.dsn, contender)
    yield
    for role in contender.roles:
        if role not in before:
            with suppress(Cannot):  # others may have come to use it meanwhile; then it stays
                _execute(arena.dsn, "drop_role", role)


def _present_roles(dsn: str, contender: Contender) -> set[str]:
    if not contender.roles:
        return set()
    with closing(connect(dsn)) as connection:
        rows = connection.execute(
            _SQL.text("present_roles").encode(), {"roles": list(contender.roles)}
        ).fetchall()
    return {row[0] for row in rows}


def _execute(dsn: str, block: str, name: str) -> None:
    statement = sql.SQL(_SQL.text(block)).format(name=sql.Identifier(name))
    with closing(connect(dsn)) as connection:
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            raise from_database(error) from error
