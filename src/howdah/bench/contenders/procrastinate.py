"""procrastinate: a Python job queue; one job a claim, row triggers that log and notify.

Owns its contender only. The package is loaded by name: it is optional.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from importlib import import_module
from typing import Any, ClassVar

from howdah import query
from howdah.bench.contender import Contender, Place, count
from howdah.bench.model import Bench
from howdah.bench.tally import Batch, Tally

_SQL = query.load("howdah.bench.contenders", "sql/procrastinate.sql")
_CONCURRENCY = 20


class Procrastinate(Contender):
    """Jobs by `batch_defer`, handled by an async task."""

    name = "procrastinate"
    what = "Python, asyncio: claimed one by one, event rows by trigger, NOTIFY for each row"
    benches = frozenset({Bench.QUEUE})
    distributions = ("procrastinate",)
    bulk_items = 500
    settings: ClassVar[dict[str, str]] = {"concurrency": f"{_CONCURRENCY}"}

    def prepare(self, place: Place) -> None:
        package = import_module("procrastinate")
        app = package.App(connector=package.SyncPsycopgConnector(conninfo=place.dsn))
        with app.open():
            app.schema_manager.apply_schema()

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        del way
        package = import_module("procrastinate")
        app = package.App(connector=package.SyncPsycopgConnector(conninfo=place.dsn))
        with app.open():
            task = app.configure_task("bench", queue=place.queue)
            for batch in batches:
                items = batch.objects()
                if len(items) == 1:
                    task.defer(**items[0])
                else:
                    task.batch_defer(*items)

    def consume(self, place: Place, tally: Tally) -> None:
        asyncio.run(self._run(place, tally))

    def unfinished(self, place: Place) -> int:
        return count(place, _SQL.text("unfinished"))

    async def _run(self, place: Place, tally: Tally) -> None:
        package = import_module("procrastinate")
        connector = package.PsycopgConnector(conninfo=place.dsn, max_size=_CONCURRENCY + 5)
        app = package.App(connector=connector)

        @app.task(name="bench", queue=place.queue)  # type: ignore[untyped-decorator] # an optional package
        async def handle(**item: Any) -> None:
            tally.item(item)

        async with app.open_async():
            running = asyncio.create_task(
                app.run_worker_async(concurrency=_CONCURRENCY, install_signal_handlers=False)
            )
            stopped = asyncio.create_task(asyncio.to_thread(tally.stopped.wait))
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            tally.stopped.set()
            running.cancel()  # its way to stop: it finishes the jobs it has begun
            await asyncio.gather(running, return_exceptions=True)


CONTENDERS = (Procrastinate(),)
