"""Every kind of connection that users bring, with the same five verbs."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import asyncpg
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from howdah import driver
from howdah.driver import Steps

T = TypeVar("T")


needs_greenlet = pytest.mark.skipif(
    importlib.util.find_spec("greenlet") is None, reason="pip install sqlalchemy[asyncio]"
)


class Adapter:
    """A connection, the driver's run on it, and the transaction that its owner controls."""

    def __init__(self, connection: Any, *, is_async: bool = False) -> None:
        self.connection = connection
        self.is_async = is_async

    async def run(self, steps: Steps[T]) -> T:
        if self.is_async:
            return await driver.run_async(self.connection, steps)
        return driver.run(self.connection, steps)

    async def begin(self) -> None:
        """Most begin by themselves."""

    async def commit(self) -> None:
        done = self.connection.commit()
        if self.is_async:
            await done

    async def rollback(self) -> None:
        done = self.connection.rollback()
        if self.is_async:
            await done


class AsyncpgAdapter(Adapter):
    """asyncpg commits by its transaction objects."""

    async def begin(self) -> None:
        self._transaction = self.connection.transaction()
        await self._transaction.start()

    async def commit(self) -> None:
        await self._transaction.commit()

    async def rollback(self) -> None:
        await self._transaction.rollback()


class DjangoAdapter(Adapter):
    """Django's `atomic`, entered and left by hand."""

    async def begin(self) -> None:
        from django.db.transaction import Atomic

        self._atomic = Atomic(self.connection.alias, True, False)
        self._atomic.__enter__()

    async def commit(self) -> None:
        self._atomic.__exit__(None, None, None)

    async def rollback(self) -> None:
        error = RuntimeError("undo")
        self._atomic.__exit__(type(error), error, None)


def place(dsn: str) -> dict[str, Any]:
    parts = conninfo_to_dict(dsn)
    return {
        "host": parts["host"],
        "port": int(str(parts["port"])),
        "user": parts["user"],
        "database": parts["dbname"],
    }


@contextlib.asynccontextmanager
async def psycopg_sync(dsn: str) -> AsyncIterator[Adapter]:
    with psycopg.connect(dsn) as connection:
        yield Adapter(connection)


@contextlib.asynccontextmanager
async def psycopg_dict_rows(dsn: str) -> AsyncIterator[Adapter]:
    """With rows, cursors and adapters that the caller has chosen otherwise."""
    with psycopg.connect(
        dsn, row_factory=psycopg.rows.dict_row, cursor_factory=psycopg.RawCursor
    ) as connection:
        yield Adapter(connection)


@contextlib.asynccontextmanager
async def psycopg_async(dsn: str) -> AsyncIterator[Adapter]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        yield Adapter(connection, is_async=True)


@contextlib.asynccontextmanager
async def asyncpg_connection(dsn: str) -> AsyncIterator[Adapter]:
    connection = await asyncpg.connect(**place(dsn))
    try:
        yield AsyncpgAdapter(connection, is_async=True)
    finally:
        connection.terminate()


@contextlib.asynccontextmanager
async def asyncpg_pooled(dsn: str) -> AsyncIterator[Adapter]:
    pool = await asyncpg.create_pool(**place(dsn), min_size=1, max_size=1)
    try:
        async with pool.acquire() as connection:
            yield AsyncpgAdapter(connection, is_async=True)
    finally:
        pool.terminate()


@contextlib.contextmanager
def engine(dsn: str, kind: str) -> Iterator[Any]:
    import sqlalchemy

    module = importlib.import_module(kind)
    made = sqlalchemy.create_engine(f"postgresql+{kind}://", creator=lambda: module.connect(dsn))
    try:
        yield made
    finally:
        made.dispose()


def sqlalchemy_core(kind: str) -> Callable[[str], Any]:
    @contextlib.asynccontextmanager
    async def opened(dsn: str) -> AsyncIterator[Adapter]:
        with engine(dsn, kind) as made, made.connect() as connection:
            yield Adapter(connection)

    return opened


@contextlib.asynccontextmanager
async def sqlalchemy_session(dsn: str) -> AsyncIterator[Adapter]:
    from sqlalchemy.orm import Session

    with engine(dsn, "psycopg") as made, Session(made) as session:
        yield Adapter(session)


def sqlalchemy_async(kind: str, *, session: bool) -> Any:
    @contextlib.asynccontextmanager
    async def opened(dsn: str) -> AsyncIterator[Adapter]:
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

        async def creator() -> Any:
            if kind == "asyncpg":
                return await asyncpg.connect(**place(dsn))
            return await psycopg.AsyncConnection.connect(dsn)

        made = create_async_engine(f"postgresql+{kind}://", async_creator=creator)
        try:
            async with AsyncSession(made) if session else made.connect() as connection:
                yield Adapter(connection, is_async=True)
        finally:
            await made.dispose()

    what = "session" if session else "connection"
    name = f"sqlalchemy-async-{what}-{kind}"
    return pytest.param(opened, id=name, marks=needs_greenlet)


@contextlib.asynccontextmanager
async def django(dsn: str) -> AsyncIterator[Adapter]:
    from django import setup
    from django.conf import settings
    from django.db import connections

    if not settings.configured:
        settings.configure(DATABASES={"default": {}})
        setup()
    where = place(dsn)
    connections.databases["howdah"] = {
        **connections.databases["default"],
        "ENGINE": "django.db.backends.postgresql",
        "NAME": where["database"],
        "USER": where["user"],
        "HOST": where["host"],
        "PORT": str(where["port"]),
    }
    connection = connections["howdah"]
    try:
        yield DjangoAdapter(connection)
    finally:
        connection.close()
        del connections["howdah"]


needs_psycopg2 = pytest.mark.skipif(
    importlib.util.find_spec("psycopg2") is None, reason="pip install psycopg2-binary"
)
ADAPTERS = [
    pytest.param(psycopg_sync, id="psycopg"),
    pytest.param(psycopg_dict_rows, id="psycopg-as-the-caller-likes"),
    pytest.param(psycopg_async, id="psycopg-async"),
    pytest.param(asyncpg_connection, id="asyncpg"),
    pytest.param(asyncpg_pooled, id="asyncpg-pool"),
    pytest.param(sqlalchemy_core("psycopg"), id="sqlalchemy-core"),
    pytest.param(sqlalchemy_core("psycopg2"), id="sqlalchemy-psycopg2", marks=needs_psycopg2),
    pytest.param(sqlalchemy_session, id="sqlalchemy-session"),
    sqlalchemy_async("psycopg", session=False),
    sqlalchemy_async("psycopg", session=True),
    sqlalchemy_async("asyncpg", session=False),
    sqlalchemy_async("asyncpg", session=True),
    pytest.param(django, id="django"),
]
