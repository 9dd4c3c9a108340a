"""Statements as every driver takes them.

Owns the two spellings of one named SQL block: `%(name)s` for DB-API drivers, `$1` for asyncpg.
Must never build SQL from values: parameters stay parameters, and tables are composed as
identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, LiteralString

import msgspec
from psycopg import sql

from howdah.query import NEWEST_MAJOR, Queries

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One named block, in both spellings."""

    name: str
    text: str  # with %(name)s
    numbered: str  # with $1
    encoded: bytes  # `text`, as psycopg takes a statement that is no literal
    parameters: tuple[str, ...]  # in the order of their numbers
    names: frozenset[str]

    def __call__(self, **values: Any) -> Query:
        """The statement with its values; a missing or an unknown name is a `TypeError`."""
        if values.keys() != self.names:
            raise TypeError(
                f"{self.name} takes {sorted(self.parameters)} and was given {sorted(values)}"
            )
        return Query(self, values)


class Query(msgspec.Struct, frozen=True):
    """A statement with its values: what a step yields."""

    statement: Statement
    values: Mapping[str, Any]

    @property
    def ordered(self) -> tuple[Any, ...]:
        """The values in the order of the numbered spelling."""
        return tuple(self.values[name] for name in self.statement.parameters)


def statement(
    queries: Queries, name: str, *, major: int = NEWEST_MAJOR, **identifiers: str
) -> Statement:
    """The block `name` as a statement, its `{placeholders}` filled with quoted identifiers.

    An identifier written `schema.table` is quoted part by part.
    """
    return compose(name, queries.text(name, major), **identifiers)


def compose(name: str, text: LiteralString, **identifiers: str) -> Statement:
    """A statement from a text; see `statement`."""
    if identifiers:
        composed = sql.SQL(text).format(
            **{key: sql.Identifier(*value.split(".")) for key, value in identifiers.items()}
        )
        text = composed.as_string(None)
    parameters = tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))
    numbers = {each: number for number, each in enumerate(parameters, 1)}
    numbered = _PLACEHOLDER.sub(lambda found: f"${numbers[found[1]]}", text)
    return Statement(
        name=name,
        text=text,
        encoded=text.encode(),
        numbered=numbered.replace("%%", "%"),
        parameters=parameters,
        names=frozenset(parameters),
    )
