"""The SQL of a command as it is sent, for --show-sql and --dry-run.

Owns a driver that writes down what it runs. Must never print what a parameter means to hide: the
commands that use it have no secrets among their parameters.
"""

from __future__ import annotations

from typing import Any

import psycopg

from howdah.driver import Driver, Query, driver_of
from howdah.driver.steps import Rows


class Shown:
    """A psycopg connection as a driver that remembers each statement with its values."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._driver: Driver = driver_of(connection)
        self._cursor = psycopg.ClientCursor(connection)
        self.statements: list[str] = []

    def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""
        self._note(query)
        return self._driver.execute(query)

    def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction; the rows of the last."""
        for query in queries:
            self._note(query)
        return self._driver.batch(queries)

    def _note(self, query: Query) -> None:
        self.statements.append(
            self._cursor.mogrify(query.statement.encoded, dict(query.values)) + ";"
        )
