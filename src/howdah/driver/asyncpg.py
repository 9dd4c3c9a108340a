"""asyncpg: numbered parameters, its own errors.

Owns the translation of both. Must never import asyncpg before the caller has: the connection that
is passed brings it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from howdah.driver.statement import Query
from howdah.driver.steps import Rows
from howdah.errors import Unreachable, from_sqlstate


class AsyncDriver:
    """Steps on an `asyncpg.Connection`, or on one that a pool lent."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""
        with _translated():
            found = await self._connection.fetch(query.statement.numbered, *query.ordered)
        return [tuple(record) for record in found]

    async def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction; the rows of the last."""
        if self._connection.is_in_transaction():
            return await self._each(queries)
        with _translated():
            async with self._connection.transaction():
                return await self._each(queries)

    async def _each(self, queries: tuple[Query, ...]) -> Rows:
        rows: Rows = []
        for query in queries:
            rows = await self.execute(query)
        return rows


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    import asyncpg  # the caller's own; there is no such connection without it

    try:
        yield
    except asyncpg.PostgresError as error:
        raise from_sqlstate(
            error.sqlstate or "",
            str(error.args[0]) if error.args else "",
            detail=getattr(error, "detail", None) or "",
            hint=getattr(error, "hint", None) or "",
        ) from error
    except (OSError, asyncpg.InterfaceError) as error:
        raise Unreachable("the connection is not usable", detail=str(error)) from error
