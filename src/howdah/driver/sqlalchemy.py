"""SQLAlchemy, Core and ORM, synchronous and asynchronous, over whichever driver it was given.

Owns the choice of the parameter spelling by the dialect. Must never go around SQLAlchemy to the
driver: it begins transactions by itself, at its first statement.
"""

from __future__ import annotations

from typing import Any

from howdah.driver.dbapi import plain, translated
from howdah.driver.statement import Query
from howdah.driver.steps import Rows
from howdah.errors import Unsupported


class Driver:
    """Steps on a `sqlalchemy.Connection`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""
        with translated():
            return _rows(self._connection.exec_driver_sql(*_spelled(self._connection, query)))

    def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in the transaction that SQLAlchemy keeps; the rows of the last."""
        rows: Rows = []
        for query in queries:
            rows = self.execute(query)
        return rows


class SessionDriver(Driver):
    """Steps on a `sqlalchemy.orm.Session`: on the connection of its transaction."""

    def __init__(self, session: Any) -> None:
        super().__init__(session.connection())


class AsyncDriver:
    """Steps on a `sqlalchemy.ext.asyncio.AsyncConnection`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""
        connection = await self._current()
        with translated():
            return _rows(await connection.exec_driver_sql(*_spelled(connection, query)))

    async def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in the transaction that SQLAlchemy keeps; the rows of the last."""
        rows: Rows = []
        for query in queries:
            rows = await self.execute(query)
        return rows

    async def _current(self) -> Any:
        return self._connection


class AsyncSessionDriver(AsyncDriver):
    """Steps on a `sqlalchemy.ext.asyncio.AsyncSession`: on the connection of its transaction."""

    async def _current(self) -> Any:
        return await self._connection.connection()


def _spelled(connection: Any, query: Query) -> tuple[str, Any]:
    style = connection.dialect.paramstyle
    if style == "pyformat":
        return query.statement.text, dict(query.values)
    if style == "numeric_dollar":
        return query.statement.numbered, query.ordered
    raise Unsupported(
        f"SQLAlchemy's dialect {connection.dialect.name}+{connection.dialect.driver} writes "
        f"parameters as {style!r}",
        hint="an engine made with postgresql+psycopg:// or postgresql+asyncpg://",
    )


def _rows(result: Any) -> Rows:
    if not result.returns_rows:
        return []
    return [tuple(map(plain, row)) for row in result.fetchall()]
