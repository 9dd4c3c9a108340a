"""Synthetic rows of a given shape: enough for a finding, or a plan, to show in a sandbox.

Owns the order of tables, what refers to what, and the account of what could not be filled. Must
never run outside a sandbox, and must never hold a value of the database that it imitates.

Rows are made by the server, one INSERT per table, from the row's number. Triggers do not fire and
foreign keys are not checked meanwhile; values are drawn from parents that exist, so that they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from howdah import query
from howdah.errors import BadInput, from_database
from howdah.sandbox.filling import Table, read
from howdah.sandbox.marker import require_sandbox
from howdah.sandbox.sandbox import Sandbox

_QUERIES = query.load("howdah.sandbox", "sql/fill.sql")

MOST_ROWS = 200_000
"""Per table; a larger shape is cut to this, which `Filled.capped` tells."""

_PARENT_ROWS = 100
"""How many rows a table gets that nobody asked for but a foreign key that is NOT NULL needs."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a table is to be given, on top of what it has."""

    rows: int = 0
    dead: int = 0
    """Rows that are inserted and deleted, spread over the table."""


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What a table was given."""

    rows: int = 0
    dead: int = 0
    capped: bool = False
    reason: str = ""
    """Why there are fewer rows than asked for: the server's words or ours."""


def fill(
    sandbox: Sandbox, shapes: Mapping[str, Shape], *, most_rows: int = MOST_ROWS
) -> dict[str, Filled]:
    """Give each table (`schema.name` as SQL needs it) its rows; parents come first.

    A table that cannot be filled has a reason and no rows; nothing is raised for it. Raises
    `NotASandbox`, and `Denied` for a role that may not switch triggers off.
    """
    with closing(sandbox.connect()) as connection:
        require_sandbox(connection)
        try:
            connection.execute(_QUERIES.text("session"))
            work = _Work(connection, shapes, most_rows)
            return {table: work.filled(table) for table in shapes}
        except psycopg.Error as error:
            raise from_database(error) from error


def set_sequence(sandbox: Sandbox, name: str, value: int) -> None:
    """Make `value` the last one that the sequence gave out; `BadInput` when there is none such."""
    with closing(sandbox.connect()) as connection:
        require_sandbox(connection)
        try:
            row = connection.execute(_QUERIES.text("sequence_exists"), {"name": name}).fetchone()
            if row is None or not row[0]:
                raise BadInput(f"there is no sequence {name}", hint="write it as schema.name")
            connection.execute(_QUERIES.text("set_sequence"), {"name": name, "value": value})
        except psycopg.Error as error:
            raise from_database(error) from error


def analyze(sandbox: Sandbox, tables: Iterable[str]) -> None:
    """Collect the statistics of these tables."""
    with closing(sandbox.connect()) as connection:
        require_sandbox(connection)
        for table in tables:
            try:
                text = sql.SQL(_QUERIES.text("analyze")).format(table=sql.SQL(table))
                connection.execute(text)
            except psycopg.Error as error:
                raise from_database(error) from error


class _Work:
    """The tables of one call: which are done, which are being worked on."""

    def __init__(
        self, connection: psycopg.Connection[Any], shapes: Mapping[str, Shape], most_rows: int
    ) -> None:
        self._connection = connection
        self._shapes = shapes
        self._most_rows = most_rows
        self._done: dict[str, Filled] = {}
        self._open: set[str] = set()

    def filled(self, name: str) -> Filled:
        """What the table was given; filled now if it was not yet, its parents before it."""
        if name not in self._done:
            self._open.add(name)
            self._done[name] = self._fill(name, self._shapes.get(name) or Shape())
            self._open.discard(name)
        return self._done[name]

    def _fill(self, name: str, shape: Shape) -> Filled:
        table = read(self._connection, name)
        if table is None:
            return Filled(reason=f"there is no table {name}")
        if not table.leaves:
            return Filled(reason=f"{name} has no partition to hold rows")
        for key in table.foreign_keys:
            if key.parent != name and key.parent not in self._open:
                self._have(key.parent, needed=table.needs(key))
        return self._insert(table, shape)

    def _have(self, parent: str, *, needed: bool) -> None:
        """Fill a parent that was asked for, or that is empty and must not be."""
        if parent in self._shapes or parent in self._done:
            self.filled(parent)
        elif needed and not self._count(parent):
            self._shapes = {**self._shapes, parent: Shape(rows=_PARENT_ROWS)}
            self.filled(parent)

    def _insert(self, table: Table, shape: Shape) -> Filled:
        wanted = min(shape.rows + shape.dead, self._most_rows)
        capped = wanted < shape.rows + shape.dead
        counts = {key.parent: self._count(key.parent) for key in table.foreign_keys}
        inserted, reason = 0, ""
        for leaf, share in zip(table.leaves, _shares(wanted, len(table.leaves)), strict=True):
            first = self._count(table.name) + 1
            for strict in (False, True) if share else ():
                statement = table.insert(leaf, first, first + share - 1, counts, strict=strict)
                try:
                    inserted += self._connection.execute(statement).rowcount
                    break
                except psycopg.Error as error:
                    reason = error.diag.message_primary or str(error).strip()
        dead = self._kill(table, min(shape.dead, inserted)) if shape.dead else 0
        if inserted == wanted:
            reason = ""
        elif not reason:
            reason = f"a unique or exclusion constraint leaves room for {inserted} of {wanted} rows"
        return Filled(rows=inserted - dead, dead=dead, capped=capped, reason=reason)

    def _kill(self, table: Table, dead: int) -> int:
        killed, left, total = 0, dead, self._count(table.name)
        for name in table.storage:
            rows = self._count(name)
            share = min(left, -(-dead * rows // total))
            left -= share
            statement = sql.SQL(_QUERIES.text("kill")).format(
                table=sql.SQL(name), dead=sql.Literal(share)
            )
            killed += self._connection.execute(statement).rowcount if share else 0
        return killed

    def _count(self, table: str) -> int:
        statement = sql.SQL(_QUERIES.text("count")).format(table=sql.SQL(table))
        row = self._connection.execute(statement).fetchone()
        return int(row[0]) if row else 0


def _shares(total: int, parts: int) -> list[int]:
    """`total` cut into `parts` nearly equal parts.

    >>> _shares(7, 3)
    [3, 2, 2]
    """
    return [total // parts + (1 if part < total % parts else 0) for part in range(parts)]
