"""awa: a job queue with a core in Rust, on append-only storage that rotates.

Owns its contender only. Its handlers run on asyncio, its own threads do the rest, so that one
process of it uses several cores. The package is loaded by name: it is optional.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from howdah.bench.contender import Contender, Place
from howdah.bench.model import Bench
from howdah.bench.tally import Batch, Tally

_WORKERS = 256
_POLL_MS = 50
_STOP_MS = 10_000


@dataclass
class BenchItem:
    """The arguments of its job; it derives the job's kind from a class."""

    at: float
    pad: str
    n: int


class Awa(Contender):
    """Jobs by `enqueue_many_copy`, handled by an async task."""

    name = "awa"
    what = "Rust core, Python handlers: append-only ready ring, claim receipts, rotation"
    benches = frozenset({Bench.QUEUE})
    distributions = ("awa-pg",)
    schemas = ("awa", "awa_exp")
    settings: ClassVar[dict[str, str]] = {
        "workers": f"{_WORKERS}",
        "poll_interval_ms": f"{_POLL_MS}",
    }

    def prepare(self, place: Place) -> None:
        client = import_module("awa").Client(place.uri)
        client.migrate()
        client.close()
        asyncio.run(self._activate(place))

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        del way
        client = import_module("awa").Client(place.uri)
        for batch in batches:
            jobs = [BenchItem(**each) for each in batch.objects()]
            if len(jobs) == 1:
                client.insert(jobs[0], queue=place.queue)
            else:
                client.enqueue_many_copy(jobs, queue=place.queue)
        client.close()

    def consume(self, place: Place, tally: Tally) -> None:
        asyncio.run(self._run(place, tally))

    def unfinished(self, place: Place) -> int:
        client = import_module("awa").Client(place.uri)
        found = sum(each.total_queued for each in client.queue_stats())
        client.close()
        return int(found)

    async def _activate(self, place: Place) -> None:
        """The first worker of a new installation switches to the append-only storage."""
        client = import_module("awa").AsyncClient(place.uri)
        client.task(BenchItem, queue=place.queue)(_nothing)
        await client.start([(place.queue, 1)])
        await client.shutdown(timeout_ms=_STOP_MS)
        await client.close()

    async def _run(self, place: Place, tally: Tally) -> None:
        client = import_module("awa").AsyncClient(place.uri, max_connections=20)

        @client.task(BenchItem, queue=place.queue)  # type: ignore[untyped-decorator] # an optional package
        async def handle(job: Any) -> None:
            tally.item({"at": job.args.at})

        await client.start([(place.queue, _WORKERS)], poll_interval_ms=_POLL_MS)
        await asyncio.to_thread(tally.stopped.wait)
        await client.shutdown(timeout_ms=_STOP_MS)
        await client.close()


async def _nothing(job: Any) -> None:
    """A handler for a worker that gets no job."""
    del job


CONTENDERS = (Awa(),)
