"""Whether an index finds rows by a value, or is read from end to end for it.

Owns the experiment. Must never leave its rows behind: the caller's transaction is rolled back.

GIN accepts conditions that no entry of it stands for (`@> '{}'`, a pattern shorter than a trigram)
and then reads everything. A plan does not show that; some synthetic rows do.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from howdah import query
from howdah.sandbox import filling, plan

_FILL = query.load("howdah.sandbox", "sql/fill.sql")
_EXPLAIN = query.load("howdah.sandbox", "sql/explain.sql")

_ROWS = 200


def read_in_full(
    connection: psycopg.Connection[Any], table: str, statement: sql.Composable
) -> str | None:
    """The index that yields every one of some synthetic rows for `statement`; None if none does.

    Also None where the table cannot be filled: then nothing is known against the index.
    """
    inserted = _insert(connection, table)
    if not inserted:
        return None
    explain = sql.SQL(_EXPLAIN.text("analyze")).format(statement=statement)
    row = connection.execute(explain).fetchone()
    assert row is not None, "EXPLAIN always answers"
    for node in plan.parse(row[0][0]).walk():
        entered = node.node == "Bitmap Index Scan" and node.index
        if entered and (node.actual_rows or 0) >= min(inserted):
            return node.index
    return None


def _insert(connection: psycopg.Connection[Any], name: str) -> list[int]:
    """Insert synthetic rows; how many each leaf got, empty when one refuses."""
    table = filling.read(connection, name)
    if table is None:
        return []
    connection.execute(_FILL.text("session"))
    inserted = []
    for number, leaf in enumerate(table.leaves):
        first = 1 + number * _ROWS
        statement = table.insert(leaf, first, first + _ROWS - 1, {}, strict=False)
        try:
            with connection.transaction():
                inserted.append(connection.execute(statement).rowcount)
        except psycopg.Error:
            return []
    return inserted
