"""pgqueuer: an asynchronous Python job queue; SKIP LOCKED claims, statement triggers, LISTEN.

Owns its contender only. Driven by asyncpg, the faster of its two drivers, with a batch size that
its own default (10) does not reach. The package is loaded by name: it is optional.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from importlib import import_module
from typing import Any, ClassVar

from howdah import query
from howdah.bench.contender import Contender, Place, count
from howdah.bench.model import Bench
from howdah.bench.tally import Batch, Tally

_SQL = query.load("howdah.bench.contenders", "sql/pgqueuer.sql")
_ENTRYPOINT = "bench"
_CLAIM = 100


class PgQueuer(Contender):
    """Jobs by `Queries.enqueue`, handled by an async entrypoint."""

    name = "pgqueuer"
    what = "Python, asyncio: SKIP LOCKED claims, log rows, deleted when done"
    benches = frozenset({Bench.QUEUE})
    distributions = ("pgqueuer", "asyncpg")
    settings: ClassVar[dict[str, str]] = {"driver": "asyncpg", "batch_size": f"{_CLAIM}"}

    def prepare(self, place: Place) -> None:
        asyncio.run(self._install(place))

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        del way
        asyncio.run(self._enqueue(place, batches))

    def consume(self, place: Place, tally: Tally) -> None:
        asyncio.run(self._run(place, tally))

    def unfinished(self, place: Place) -> int:
        return count(place, _SQL.text("unfinished"))

    async def _install(self, place: Place) -> None:
        connection, queries = await _queries(place)
        await queries.install()
        await connection.close()

    async def _enqueue(self, place: Place, batches: Iterable[Batch]) -> None:
        connection, queries = await _queries(place)
        for batch in batches:
            payloads = batch.payloads()
            size = len(payloads)
            await queries.enqueue([_ENTRYPOINT] * size, payloads, [0] * size)
        await connection.close()

    async def _run(self, place: Place, tally: Tally) -> None:
        connection = await import_module("asyncpg").connect(place.uri)
        manager = import_module("pgqueuer").PgQueuer.from_asyncpg_connection(connection)

        @manager.entrypoint(_ENTRYPOINT)  # type: ignore[untyped-decorator] # an optional package
        async def handle(job: Any) -> None:
            tally.item(job.payload)

        running = asyncio.create_task(
            manager.run(dequeue_timeout=timedelta(seconds=1), batch_size=_CLAIM)
        )
        stopped = asyncio.create_task(asyncio.to_thread(tally.stopped.wait))
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        tally.stopped.set()
        manager.shutdown.set()
        await running
        await connection.close()


async def _queries(place: Place) -> tuple[Any, Any]:
    connection = await import_module("asyncpg").connect(place.uri)
    return connection, import_module("pgqueuer.queries").Queries.from_asyncpg_connection(connection)


CONTENDERS = (PgQueuer(),)
