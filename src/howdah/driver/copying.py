"""Many rows at once by COPY, in the transaction that is open on the connection.

Owns the two loops, for a synchronous and for an asynchronous connection of psycopg; other drivers
have no COPY in common. Must never commit what the caller began.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from howdah.driver.statement import Statement
from howdah.driver.steps import Row
from howdah.errors import Unsupported, from_database


def copy_rows(
    connection: psycopg.Connection[Any],
    statement: Statement,
    types: Sequence[str],
    rows: Iterable[Row],
) -> int:
    """COPY rows in; how many there were. `types` are those of the columns, for the binary form."""
    _require(connection, psycopg.Connection)
    count = 0
    try:
        with connection.cursor() as cursor, cursor.copy(statement.encoded) as copy:
            copy.set_types(types)
            for count, row in enumerate(rows, 1):  # noqa: B007 - the last number is the count
                copy.write_row(row)
    except psycopg.Error as error:
        raise from_database(error) from error
    return count


async def acopy_rows(
    connection: psycopg.AsyncConnection[Any],
    statement: Statement,
    types: Sequence[str],
    rows: Iterable[Row],
) -> int:
    """The same, awaited."""
    _require(connection, psycopg.AsyncConnection)
    count = 0
    try:
        async with connection.cursor() as cursor, cursor.copy(statement.encoded) as copy:
            copy.set_types(types)
            for count, row in enumerate(rows, 1):  # noqa: B007 - the last number is the count
                await copy.write_row(row)
    except psycopg.Error as error:
        raise from_database(error) from error
    return count


def _require(connection: object, kind: type) -> None:
    if not isinstance(connection, kind):
        raise Unsupported(
            f"COPY needs a {kind.__name__} of psycopg, not {type(connection).__qualname__}",
            hint="emit_many(), which takes every connection",
        )
