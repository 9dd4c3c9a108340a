"""The marker: what makes a database a sandbox.

Owns the comment that says "this database may be broken" and the check for it. Must never mark a
database by itself: marking is an explicit act of whoever owns the database.

The marker names the cluster (`pg_control_system()`) and the database's oid. Neither survives a dump
and restore, and a template clone does not inherit comments, so a copy of a sandbox is not a sandbox
until it is marked itself. A physical copy (a standby of a sandbox, a cold copy of its files) keeps
both and keeps the marker: it is a copy of something that was declared disposable.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from howdah import query
from howdah.errors import NotASandbox, from_database

_QUERIES = query.load("howdah.sandbox", "sql/marker.sql")
_PREFIX = "howdah sandbox "


class _Here:
    """The database at the other end of a connection."""

    def __init__(self, name: str, oid: int, system_identifier: str, comment: str | None) -> None:
        self.name = name
        self.marker = f"{_PREFIX}{system_identifier}/{oid}"
        self.comment = comment or ""

    @property
    def marked(self) -> bool:
        return self.comment.partition("\n")[0] == self.marker

    @property
    def remark(self) -> str:
        """The owner's own comment, without any marker, ours or one that travelled."""
        first, _, rest = self.comment.partition("\n")
        return rest if first.startswith(_PREFIX) else self.comment


def marking(connection: psycopg.Connection[Any]) -> str:
    """The statement that marks the connected database; empty if it is marked already.

    It declares the database disposable and keeps an existing comment below the marker.
    """
    here = _here(connection)
    return "" if here.marked else _comment(here, f"{here.marker}\n{here.remark}".rstrip("\n"))


def unmarking(connection: psycopg.Connection[Any]) -> str:
    """The statement that takes the marker off and leaves the owner's comment; empty if none is."""
    here = _here(connection)
    return "" if here.comment == here.remark else _comment(here, here.remark)


def mark(connection: psycopg.Connection[Any]) -> None:
    """Declare the connected database disposable. Marking twice changes nothing.

    Needs ownership of the database; raises `Denied` otherwise.
    """
    _run(connection, marking(connection))


def unmark(connection: psycopg.Connection[Any]) -> None:
    """Take the marker off and leave the owner's own comment."""
    _run(connection, unmarking(connection))


def is_sandbox(connection: psycopg.Connection[Any]) -> bool:
    """Whether the connected database carries a marker that is its own."""
    return _here(connection).marked


def require_sandbox(connection: psycopg.Connection[Any]) -> None:
    """Refuse, with `NotASandbox`, to go on unless the connected database is marked."""
    here = _here(connection)
    if here.marked:
        return
    raise NotASandbox(
        f"database {here.name!r} is not a sandbox",
        detail="its marker belongs to another database"
        if here.comment.startswith(_PREFIX)
        else "it carries no marker, so nothing destructive is done to it",
        hint="howdah sandbox mark DSN --yes, if everything in it may be destroyed",
    )


def _here(connection: psycopg.Connection[Any]) -> _Here:
    try:
        with connection.cursor(row_factory=class_row(_Here)) as cursor:
            row = cursor.execute(_QUERIES.text("here")).fetchone()
    except psycopg.Error as error:
        raise from_database(error) from error
    assert row is not None, "a connection always has a database"
    return row


def _comment(here: _Here, comment: str) -> str:
    return (
        sql.SQL(_QUERIES.text("comment_on_database"))
        .format(database=sql.Identifier(here.name), comment=sql.Literal(comment or None))
        .as_string(None)
    )


def _run(connection: psycopg.Connection[Any], statement: str) -> None:
    if not statement:
        return
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        raise from_database(error) from error
