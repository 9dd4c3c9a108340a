"""psycopg 3, synchronous and asynchronous.

Owns binary results, pipelining of batches and the translation of errors. Must never commit what
the caller began.
"""

from __future__ import annotations

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
            with self._connection.cursor(row_factory=psycopg.rows.tuple_row, binary=True) as cursor:
                cursor.execute(query.statement.encoded, query.values)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise from_database(error) from error

    def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction, pipelined; the rows of the last."""
        try:
            with self._connection.transaction(), self._connection.pipeline():
                cursors = [
                    self._connection.cursor(row_factory=psycopg.rows.tuple_row, binary=True)
                    for _ in queries
                ]
                for cursor, query in zip(cursors, queries, strict=True):
                    cursor.execute(query.statement.encoded, query.values)
                last = cursors[-1]
                return last.fetchall() if last.description else []
        except psycopg.Error as error:
            raise from_database(error) from error


class AsyncDriver:
    """Steps on a `psycopg.AsyncConnection`."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection

    async def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""
        tuples = psycopg.rows.tuple_row
        try:
            async with self._connection.cursor(row_factory=tuples, binary=True) as cursor:
                await cursor.execute(query.statement.encoded, query.values)
                return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise from_database(error) from error

    async def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction, pipelined; the rows of the last."""
        tuples = psycopg.rows.tuple_row
        try:
            async with self._connection.transaction(), self._connection.pipeline():
                cursors = [
                    self._connection.cursor(row_factory=tuples, binary=True) for _ in queries
                ]
                for cursor, query in zip(cursors, queries, strict=True):
                    await cursor.execute(query.statement.encoded, query.values)
                last = cursors[-1]
                return await last.fetchall() if last.description else []
        except psycopg.Error as error:
            raise from_database(error) from error
