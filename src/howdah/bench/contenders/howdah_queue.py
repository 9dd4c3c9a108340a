"""Howdah's queue: jobs and reports are appended to logs, a dispatcher decides in memory.

Owns its contender only. Every consuming process is a worker with its own threads; one of them is
the dispatcher, as in an installation without separate processes. Nothing here is faster than what a
user of the library gets.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import closing
from typing import Any, ClassVar

import psycopg

from howdah import __version__, schema
from howdah.bench.contender import Contender, Place
from howdah.bench.model import Bench
from howdah.bench.roster import OURS
from howdah.bench.tally import Batch, Tally
from howdah.driver import run
from howdah.queue import COMPONENT, Queue, WorkerOptions
from howdah.queue.dispatch import Dispatching

_KIND = "bench"
_THREADS = 2
_EVERYTHING = 1_000_000_000


class HowdahQueue(Contender):
    """Jobs by COPY, arrays or one by one; a handler in threads, called with its arguments."""

    name = OURS
    what = "append-only jobs, claims and acks; one dispatcher decides in memory"
    benches = frozenset({Bench.QUEUE})
    schemas = ("howdah",)
    ways = ("copy", "arrays", "single")
    settings: ClassVar[dict[str, str]] = {"threads": f"{_THREADS}"}

    def version(self) -> str:
        return __version__

    def prepare(self, place: Place) -> None:
        with closing(place.connect()) as connection:
            schema.install(connection, [COMPONENT])
            Queue(place.queue).create(connection)

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        queue = Queue(place.queue)
        with closing(place.connect()) as connection:
            for batch in batches:
                _enqueue(queue, connection, way if batch.count > 1 else "single", batch.objects())

    def consume(self, place: Place, tally: Tally) -> None:
        queue = Queue(place.queue)

        @queue.job(name=_KIND)
        def handle(at: float, pad: str, n: int) -> None:
            tally.item({"at": at, "pad": pad, "n": n})

        worker = queue.worker(place.dsn, options=WorkerOptions(threads=_THREADS))
        stopping = threading.Thread(target=_stop, args=(worker.stop, tally.stopped), daemon=True)
        stopping.start()
        worker.run()

    def unfinished(self, place: Place) -> int:
        """What a new dispatcher finds to be done: it takes over and starts nothing."""
        queue = Queue(place.queue, loaded_max=_EVERYTHING)
        dispatching = Dispatching(place.queue, queue.policy)
        with closing(place.connect()) as connection:
            run(connection, dispatching.start())
            while run(connection, dispatching.turn()).busy or not dispatching.caught_up:
                continue
        return dispatching.dispatcher.board.loaded


def _stop(stop: Any, stopped: threading.Event) -> None:
    stopped.wait()
    stop()


def _enqueue(
    queue: Queue, connection: psycopg.Connection, way: str, jobs: list[dict[str, Any]]
) -> None:
    """One batch in one transaction, in the given way."""
    if way == "copy":
        queue.copy(connection, _KIND, jobs)
    elif way == "arrays":
        queue.enqueue_many(connection, _KIND, jobs)
    elif len(jobs) == 1:
        queue.enqueue(connection, _KIND, jobs[0])
    else:
        with connection.transaction():
            for job in jobs:
                queue.enqueue(connection, _KIND, job)


CONTENDERS = (HowdahQueue(),)
