"""Who runs the steps: one loop for synchronous connections, one for asynchronous ones.

Owns the two loops and the choice of a driver by the connection's type. Must never open or end a
transaction that the caller began; only a `Batch` on a connection without one gets its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar, cast

from howdah.driver import asyncpg, dbapi, psycopg, sqlalchemy
from howdah.driver.statement import Query
from howdah.driver.steps import Batch, Rows, Steps
from howdah.errors import BadInput, HowdahError

T = TypeVar("T")


class Driver(Protocol):
    """What a synchronous connection is asked to do."""

    def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""

    def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction and return the rows of the last."""


class AsyncDriver(Protocol):
    """The same, awaited."""

    async def execute(self, query: Query) -> Rows:
        """Run one statement and return its rows."""

    async def batch(self, queries: tuple[Query, ...]) -> Rows:
        """Run the statements in one transaction and return the rows of the last."""


def run(connection: Any, steps: Steps[T]) -> T:
    """Run `steps` on a connection of psycopg, SQLAlchemy (Core or Session), Django or psycopg2.

    Errors of the database arrive as `HowdahError`s, by SQLSTATE; the steps may catch them.
    """
    driver = driver_of(connection)
    try:
        asked = next(steps)
        while True:
            try:
                if type(asked) is Batch:
                    rows = driver.batch(asked.queries)
                else:
                    rows = driver.execute(cast("Query", asked))
            except HowdahError as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(rows)
    except StopIteration as end:
        return cast("T", end.value)


async def run_async(connection: Any, steps: Steps[T]) -> T:
    """Run `steps` on an asynchronous connection of psycopg, asyncpg or SQLAlchemy."""
    driver = async_driver_of(connection)
    try:
        asked = next(steps)
        while True:
            try:
                if type(asked) is Batch:
                    rows = await driver.batch(asked.queries)
                else:
                    rows = await driver.execute(cast("Query", asked))
            except HowdahError as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(rows)
    except StopIteration as end:
        return cast("T", end.value)


def driver_of(connection: Any) -> Driver:
    """The driver of a synchronous connection; a driver itself is taken as it is."""
    driver: Driver = _maker(cast("Hashable", type(connection)), False)(connection)
    return driver


def async_driver_of(connection: Any) -> AsyncDriver:
    """The driver of an asynchronous connection; a driver itself is taken as it is."""
    driver: AsyncDriver = _maker(cast("Hashable", type(connection)), True)(connection)
    return driver


# By the module and the name of a class among the connection's ancestors: nothing is imported that
# the caller has not imported already.
_SYNC: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("psycopg", "Connection"): psycopg.Driver,
    ("sqlalchemy", "Connection"): sqlalchemy.Driver,
    ("sqlalchemy", "Session"): sqlalchemy.SessionDriver,
    ("sqlalchemy", "scoped_session"): sqlalchemy.SessionDriver,
    ("django", "BaseDatabaseWrapper"): dbapi.Driver,
    ("django", "ConnectionProxy"): dbapi.Driver,
    ("psycopg2", "connection"): dbapi.Driver,
}
_ASYNC: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("psycopg", "AsyncConnection"): psycopg.AsyncDriver,
    ("asyncpg", "Connection"): asyncpg.AsyncDriver,
    ("asyncpg", "PoolConnectionProxy"): asyncpg.AsyncDriver,
    ("sqlalchemy", "AsyncConnection"): sqlalchemy.AsyncDriver,
    ("sqlalchemy", "AsyncSession"): sqlalchemy.AsyncSessionDriver,
    ("sqlalchemy", "async_scoped_session"): sqlalchemy.AsyncSessionDriver,
}


@functools.lru_cache(maxsize=64)
def _maker(kind: Hashable, is_async: bool) -> Callable[[Any], Any]:
    """What makes a driver for connections of that type; looked up once a type."""
    assert isinstance(kind, type)
    if callable(getattr(kind, "batch", None)):
        return lambda driver: driver
    table, other = (_ASYNC, _SYNC) if is_async else (_SYNC, _ASYNC)
    names = [(each.__module__.partition(".")[0], each.__name__) for each in kind.__mro__]
    for name in names:
        if name in table:
            return table[name]
    mixed_up = any(name in other for name in names)
    raise BadInput(
        f"{kind.__module__}.{kind.__qualname__} is not a connection that can be used here",
        detail="Known: psycopg, asyncpg, SQLAlchemy, Django and psycopg2.",
        hint="the asynchronous or synchronous twin of this call, whichever fits the connection"
        if mixed_up
        else "pass the connection itself, not its pool or engine",
    )
