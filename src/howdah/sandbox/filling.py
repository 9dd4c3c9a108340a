"""One table that is to be filled: its columns, its parents, its leaves, and its INSERT.

Owns composing the INSERT. Must never run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from howdah import query
from howdah.sandbox.allowed import Allowed, Bound, by_bound, by_checks
from howdah.sandbox.values import Column, Value, value

_QUERIES = query.load("howdah.sandbox", "sql/fill.sql")

_PARENTS_USED = 10_000
"""Children are spread over at most so many rows of a parent."""


class ForeignKey(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign key and the table it refers to."""

    parent: str
    columns: tuple[str, ...]
    referred: tuple[str, ...]


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """A table that holds rows."""

    name: str
    bounds: tuple[Bound, ...] = ()
    routed: bool = False
    """Rows cannot be aimed at this partition, so the partitioned table is given them to route."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What filling a table takes."""

    name: str
    columns: tuple[Column, ...]
    uniques: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]
    allowed: Mapping[str, Allowed]
    leaves: tuple[Leaf, ...]
    """Where rows are inserted."""
    storage: tuple[str, ...]
    """Every table that may hold rows of it."""

    def needs(self, key: ForeignKey) -> bool:
        """Whether a row cannot do without a row of that parent."""
        return any(column.not_null for column in self.columns if column.name in key.columns)

    def insert(
        self, leaf: Leaf, first: int, last: int, counts: Mapping[str, int], *, strict: bool
    ) -> sql.Composed:
        """The INSERT for rows `first` to `last`; `counts` has the rows of each parent.

        With `strict` only columns that must have a value get one.
        """
        return _Insert(self, leaf, counts, strict=strict).compose(first, last)


class _Insert:
    """One statement being composed."""

    def __init__(
        self, table: Table, leaf: Leaf, counts: Mapping[str, int], *, strict: bool
    ) -> None:
        self._table = table
        self._leaf = leaf
        bounds = {bound.column: bound for bound in leaf.bounds}
        self._expressions: dict[str, sql.Composable] = {}
        self._joins: list[sql.Composable] = []
        keyed = {name for unique in table.uniques for name in unique}
        referring = {name for key in table.foreign_keys for name in key.columns}
        self._values = {
            column.name: value(column, table.allowed.get(column.name), bounds.get(column.name))
            for column in table.columns
            if column.not_null or column.name in keyed or column.name in bounds or not strict
        }
        self._counts = counts
        self._strides = self._spread(set(bounds))
        for key in table.foreign_keys:
            self._refer(key, set(bounds))
        for column in table.columns:
            if column.name in self._values and column.name not in self._expressions:
                if column.name in referring and not column.not_null and column.name not in bounds:
                    continue  # its parent is empty
                self._expressions[column.name] = self._values[column.name].at(self._n(column.name))

    def compose(self, first: int, last: int) -> sql.Composed:
        root = self._table.name if self._leaf.routed else self._leaf.name
        return sql.SQL(_QUERIES.text("insert")).format(
            table=sql.SQL(root),
            columns=sql.SQL(", ").join(map(sql.Identifier, self._expressions)),
            values=sql.SQL(", ").join(self._expressions.values()),
            first=sql.Literal(first),
            last=sql.Literal(last),
            parents=sql.SQL("\n  ").join(self._joins),
        )

    def _n(self, column: str) -> sql.Composable:
        """The row's number from 0, slowed down where the columns of a key must not run together."""
        stride = self._strides.get(column, 1)
        number = "(series.n - 1)" if stride == 1 else f"((series.n - 1) / {stride})"
        return sql.SQL(number)

    def _spread(self, bounded: set[str]) -> dict[str, int]:
        """Strides that make the columns of each unique key count like the digits of a number."""
        strides: dict[str, int] = {}
        for unique in self._table.uniques:
            stride = 1
            for column, period in self._periods(unique, bounded):
                strides.setdefault(column, stride)
                stride *= max(1, period)
        return strides

    def _periods(self, unique: Sequence[str], bounded: set[str]) -> list[tuple[str, int]]:
        """The repeating columns of a key; empty when one of them never repeats."""
        found = []
        for name in unique:
            key = self._key_of(name, bounded)
            if key is not None:
                if name == next(part for part in key.columns if part in unique):
                    found.append((name, self._used(key)))
            elif name in self._values:
                period = self._values[name].period
                if period is None:
                    return []
                found.append((name, period))
        return found

    def _key_of(self, column: str, bounded: set[str]) -> ForeignKey | None:
        for key in self._table.foreign_keys:
            if column in key.columns and self._drawn(key, bounded):
                return key
        return None

    def _drawn(self, key: ForeignKey, bounded: set[str]) -> bool:
        """Whether its values come from rows of the parent."""
        own = key.parent == self._table.name
        return not own and self._used(key) > 0 and not bounded & set(key.columns)

    def _used(self, key: ForeignKey) -> int:
        return min(self._counts.get(key.parent, 0), _PARENTS_USED)

    def _refer(self, key: ForeignKey, bounded: set[str]) -> None:
        if key.parent == self._table.name:
            self._refer_to_itself(key)
        elif self._drawn(key, bounded) and not set(key.columns) & set(self._expressions):
            alias = sql.Identifier(f"howdah_{len(self._joins)}")
            stride = next((name for name in key.columns if name in self._strides), key.columns[0])
            self._joins.append(
                sql.SQL(_QUERIES.text("parent")).format(
                    table=sql.SQL(key.parent),
                    columns=sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys(key.referred))),
                    alias=alias,
                    n=self._n(stride),
                    count=sql.Literal(self._used(key)),
                    most=sql.Literal(_PARENTS_USED),
                )
            )
            for column, referred in zip(key.columns, key.referred, strict=True):
                self._expressions[column] = sql.SQL("{}.{}").format(alias, sql.Identifier(referred))

    def _refer_to_itself(self, key: ForeignKey) -> None:
        """A row refers to itself: the only row that is certainly there."""
        for column, referred in zip(key.columns, key.referred, strict=True):
            made: Value | None = self._values.get(referred)
            if made is not None and column not in self._expressions and column != referred:
                self._expressions[column] = made.at(self._n(referred))


def read(connection: psycopg.Connection[Any], name: str) -> Table | None:
    """Read what filling that table takes; None when there is no such table."""
    parameters = {"table": name}
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        columns = cursor.execute(_QUERIES.text("columns"), parameters).fetchall()
    if not columns:
        return None
    with connection.cursor(row_factory=scalar_row) as cursor:
        uniques = cursor.execute(_QUERIES.text("uniques"), parameters).fetchall()
        leaves = cursor.execute(_QUERIES.text("leaves"), parameters).fetchall()
    keys = connection.execute(_QUERIES.text("foreign_keys"), parameters).fetchall()
    checks = connection.execute(_QUERIES.text("checks"), parameters).fetchall()
    return Table(
        name=name,
        columns=tuple(columns),
        uniques=tuple(map(tuple, uniques)),
        foreign_keys=tuple(
            ForeignKey(parent=parent, columns=tuple(own), referred=tuple(referred))
            for parent, own, referred in keys
        ),
        allowed=by_checks(checks),
        leaves=_aimed([_leaf(connection, leaf) for leaf in leaves]),
        storage=tuple(leaves),
    )


def _leaf(connection: psycopg.Connection[Any], name: str) -> Leaf:
    rows = connection.execute(_QUERIES.text("bounds"), {"table": name}).fetchall()
    found = [by_bound(strategy, keys, bound) for strategy, keys, bound in rows]
    if None in found:
        return Leaf(name=name, routed=True)
    return Leaf(name=name, bounds=tuple(bound for bounds in found for bound in bounds or ()))


def _aimed(leaves: Sequence[Leaf]) -> tuple[Leaf, ...]:
    """The leaves that rows can be aimed at; if there are none, one that is routed to."""
    aimed = tuple(leaf for leaf in leaves if not leaf.routed)
    return aimed or tuple(leaves[:1])
