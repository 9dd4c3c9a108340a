"""psycopg 3, synchronous and asynchronous.

Owns binary results, pipelining of batches and the translation of errors. Must never commit what
the caller began.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import Any

import psycopg

from howdah.driver.statement import Query
from howdah.driver.steps import Row, Rows
from howdah.errors import from_database


class Driver:
    """Steps on a `psycopg.Connection`."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""
        try:
            cursor = self._cursor()
            cursor.execute(query.statement.encoded, query.values)
            return cursor.fetchall() if _has_rows(cursor) else []
        except psycopg.Error as error:
            raise from_database(error) from error

    def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction, pipelined; the rows of the last."""
        try:
            with self._alone(), self._connection.pipeline():
                cursors = [self._cursor() for _ in queries]
                for cursor, query in zip(cursors, queries, strict=True):
                    cursor.execute(query.statement.encoded, query.values)
            return cursors[-1].fetchall() if cursors and _has_rows(cursors[-1]) else []
        except psycopg.Error as error:
            raise from_database(error) from error

    def _alone(self) -> AbstractContextManager[object]:
        """A transaction only where none is kept: psycopg's would commit the caller's."""
        return self._connection.transaction() if _autocommits(self._connection) else nullcontext()

    def _cursor(self) -> psycopg.Cursor[Row]:
        """Ours, whatever cursors the caller has chosen for the connection."""
        cursor = psycopg.Cursor(self._connection, row_factory=psycopg.rows.tuple_row)
        cursor.format = psycopg.pq.Format.BINARY
        return cursor


class AsyncDriver:
    """Steps on a `psycopg.AsyncConnection`."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection

    async def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""
        try:
            cursor = self._cursor()
            await cursor.execute(query.statement.encoded, query.values)
            return await cursor.fetchall() if _has_rows(cursor) else []
        except psycopg.Error as error:
            raise from_database(error) from error

    async def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction, pipelined; the rows of the last."""
        try:
            async with self._alone(), self._connection.pipeline():
                cursors = [self._cursor() for _ in queries]
                for cursor, query in zip(cursors, queries, strict=True):
                    await cursor.execute(query.statement.encoded, query.values)
            return await cursors[-1].fetchall() if cursors and _has_rows(cursors[-1]) else []
        except psycopg.Error as error:
            raise from_database(error) from error

    def _alone(self) -> AbstractAsyncContextManager[object]:
        return self._connection.transaction() if _autocommits(self._connection) else nullcontext()

    def _cursor(self) -> psycopg.AsyncCursor[Row]:
        """Ours, whatever cursors the caller has chosen for the connection."""
        cursor = psycopg.AsyncCursor(self._connection, row_factory=psycopg.rows.tuple_row)
        cursor.format = psycopg.pq.Format.BINARY
        return cursor


def _autocommits(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether each statement is a transaction of its own at this moment."""
    idle = psycopg.pq.TransactionStatus.IDLE
    return connection.autocommit and connection.info.transaction_status is idle


def _has_rows(cursor: psycopg.Cursor[Row] | psycopg.AsyncCursor[Row]) -> bool:
    """Whether its statement returns rows; `description` would make an object a column to say so."""
    return cursor.pgresult is not None and cursor.pgresult.nfields > 0
