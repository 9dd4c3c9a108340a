"""Any DB-API connection with `%(name)s` parameters: Django's and psycopg2's.

Owns plain cursors. Must never commit; Django's `atomic` and the caller's own `commit` do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from howdah.driver.statement import Query
from howdah.driver.steps import Rows
from howdah.errors import Unsupported, from_sqlstate


class Driver:
    """Steps on a connection that has `cursor()`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""
        with translated(), self._connection.cursor() as cursor:
            cursor.execute(query.statement.text, dict(query.values))
            return (
                [tuple(map(plain, row)) for row in cursor.fetchall()] if cursor.description else []
            )

    def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements one after the other, inside the transaction that the caller owns."""
        with self._transaction():
            rows: Rows = []
            for query in queries:
                rows = self.execute(query)
        return rows

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Django in autocommit mode needs one; psycopg2 has one unless it was told otherwise."""
        alias = getattr(self._connection, "alias", None)
        if alias is None:
            _require_transactions(self._connection)
            yield
        elif self._connection.in_atomic_block or not self._connection.get_autocommit():
            yield
        else:
            from django.db.transaction import atomic  # the caller's own

            with atomic(using=alias):
                yield


def _require_transactions(connection: Any) -> None:
    if getattr(connection, "autocommit", False):
        raise Unsupported(
            "this needs a transaction, and the connection commits each statement",
            hint="connection.autocommit = False",
        )


def plain(value: Any) -> Any:
    """`bytes` for the memoryview that some drivers return for bytea."""
    return bytes(value) if isinstance(value, memoryview) else value


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn an error that carries a SQLSTATE, itself or as its cause, into ours."""
    try:
        yield
    except Exception as error:
        found = _with_code(error)
        if found is None:
            raise
        diagnosis = getattr(found, "diag", None)
        raise from_sqlstate(
            getattr(found, "sqlstate", None) or getattr(found, "pgcode", None) or "",
            str(getattr(diagnosis, "message_primary", None) or getattr(found, "message", found)),
            detail=getattr(diagnosis, "message_detail", None) or getattr(found, "detail", "") or "",
            hint=getattr(diagnosis, "message_hint", None) or getattr(found, "hint", "") or "",
            unreachable=type(found).__name__ in ("OperationalError", "InterfaceError"),
        ) from error


def _with_code(error: BaseException | None) -> BaseException | None:
    """The innermost error with a code: wrappers forget detail and hint."""
    found = None
    while error is not None:
        if hasattr(error, "sqlstate") or hasattr(error, "pgcode"):
            found = error
        error = getattr(error, "orig", None) or error.__cause__
    return found
