"""Enqueueing in the caller's transaction, with every kind of connection that users bring."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import howdah.queue
from howdah.driver import compose
from howdah.postgres import Server
from howdah.queue import Enqueued, Queue, Unique
from howdah.schema import install
from howdah.testing import Database
from howdah.testing.queues import drain, enqueued
from tests.postgres.driver.adapters import ADAPTERS, Adapter

pytestmark = pytest.mark.postgres(newest=True)
OWN = compose("own", "INSERT INTO orders VALUES (%(n)s::int) RETURNING n")


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    """One for all connections: each test leaves the queue empty."""
    fresh = Database(server)
    with fresh.connect() as connection:
        install(connection, [howdah.queue.COMPONENT])
        Queue("shop").create(connection)
        connection.execute("CREATE TABLE orders (n int)")
    yield fresh
    fresh.drop()


@pytest.fixture(autouse=True)
def _loops_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the test's loop runs nothing else
    assert os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Shop:
    """A queue that remembers what ran, and its own row beside each job."""

    def __init__(self) -> None:
        self.queue = Queue("shop")
        self.ran: list[int] = []

        @self.queue.job
        def note(n: int) -> None:
            self.ran.append(n)

    async def put(self, adapter: Adapter, n: int, **options: Any) -> Enqueued:
        if adapter.is_async:
            return await self.queue.aenqueue(adapter.connection, "note", {"n": n}, **options)
        return self.queue.enqueue(adapter.connection, "note", {"n": n}, **options)

    async def put_many(self, adapter: Adapter, numbers: range) -> list[int]:
        many = [{"n": n} for n in numbers]
        if adapter.is_async:
            return await self.queue.aenqueue_many(adapter.connection, "note", many)
        return self.queue.enqueue_many(adapter.connection, "note", many)

    async def order(self, adapter: Adapter, first: int) -> list[Enqueued]:
        """The caller's own row and every way to enqueue, in one transaction."""
        await adapter.begin()
        await adapter.run(_own(first))
        plain = await self.put(adapter, first)
        unique = await self.put(adapter, first + 1, unique=Unique())
        again = await self.put(adapter, first + 1, unique=Unique())
        late = await self.put(adapter, first + 2, delay_seconds=3600, key="k", tenant="t")
        await self.put_many(adapter, range(first + 3, first + 6))
        return [plain, unique, again, late]


def _own(n: int) -> Any:
    return (yield OWN(n=n))


@pytest.mark.parametrize("opened", ADAPTERS)
def test_a_job_exists_if_and_only_if_the_callers_transaction_committed(
    database: Database, opened: Callable[[str], Any]
) -> None:
    shop = Shop()

    async def play() -> list[Enqueued]:
        async with opened(database.dsn) as adapter:
            await shop.order(adapter, 100)
            await adapter.rollback()
            made = await shop.order(adapter, 0)
            with database.connect() as other:
                assert not enqueued(shop.queue, other), "seen before the commit"
            await adapter.commit()
            return made

    plain, unique, again, late = asyncio.run(play())
    assert (plain.new, unique.new, again.new, late.new) == (True, True, False, True)
    assert again.job == unique.job
    with database.connect() as connection:
        there = {each.job: each for each in enqueued(shop.queue, connection)}
        assert sorted(each.arguments["n"] for each in there.values()) == list(range(6))
        assert (there[late.job].key, there[late.job].headers["tenant"]) == ("k", "t")
        assert there[late.job].due is not None
        assert connection.execute("SELECT n FROM orders").fetchall() == [(0,)]
        drain(shop.queue, connection)
        assert sorted(shop.ran) == [0, 1, 3, 4, 5]
        shop.queue.drop(connection)
        shop.queue.create(connection)
        connection.execute("TRUNCATE orders")
