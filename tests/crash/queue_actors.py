"""The processes of a chaos run on the queue: `python -m` this, then ROLE NAME DSN FOLDER.

Producers end when the folder holds `enough`, workers when it holds `stop`.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg

from howdah.queue import Allowance, Backoff, JobContext, Limit, Queue, Retry, WorkerOptions
from howdah.testing.history import Recorder
from howdah.testing.nemesis import persistently

LEASE_SECONDS = 1.0
KEYS = [f"k{number}" for number in range(6)]


def queue_for(dsn: str, told: Recorder | None) -> Queue:
    """The queue with its handlers: one at least once and in order, one exactly once."""
    queue = Queue(
        "storm",
        lease_seconds=LEASE_SECONDS,
        limits=[Limit(name="all", allow=Allowance(concurrency=6))],
    )
    again = Backoff(form="fixed", base_seconds=0.05, jitter="none")

    @queue.job(max_attempts=1000, backoff=again)
    def deliver(number: int, ctx: JobContext, fails: int = 0) -> None:
        threading.Event().wait(0.01)
        if ctx.attempt <= fails:
            raise Retry
        if told is not None and ctx.key is not None:
            told.delivered((ctx.key, number))

    @queue.job(max_attempts=1000, backoff=again)
    def once(number: int, ctx: JobContext) -> None:
        with psycopg.connect(dsn) as own:
            own.execute("INSERT INTO effect (key, number) VALUES (%s, %s)", (ctx.key, number))
            ctx.complete_in(own)
            threading.Event().wait(0.005)

    return queue


class Producer:
    """Enqueues numbers in order, a transaction at a time."""

    def __init__(self, name: str, dsn: str, folder: Path) -> None:
        self.name, self.dsn, self.folder = name, dsn, folder
        self.random = random.Random(name)

    def run(self) -> None:
        with Recorder(self.folder, self.name) as told:
            queue = queue_for(self.dsn, None)
            persistently(self.dsn, lambda connection: self.produce(connection, queue, told))

    def produce(self, connection: psycopg.Connection, queue: Queue, told: Recorder) -> bool:
        if (self.folder / "enough").exists() or (self.folder / "stop").exists():
            return True
        key = self.random.choice(KEYS)
        with connection.transaction():
            row = connection.execute(
                "UPDATE account SET v = v + 2 WHERE key = %s RETURNING v", [key]
            ).fetchone()
            assert row is not None
            for number, kind in ((row[0] - 1, "deliver"), (row[0], "once")):
                told.emitting(key if kind == "deliver" else f"{key} once", number)
                fails = {"fails": 1} if kind == "deliver" and number % 10 == 1 else {}
                queue.enqueue(connection, kind, {"number": number, **fails}, key=key)
        told.emitted(key, row[0] - 1)
        told.emitted(f"{key} once", row[0])
        threading.Event().wait(self.random.uniform(0.0, 0.02))
        return False


def work(dsn: str, folder: Path) -> None:
    """A worker until `stop`."""
    with Recorder(folder, "queue") as told:
        options = WorkerOptions(threads=3, elect_seconds=0.2, drain_seconds=5.0)
        worker = queue_for(dsn, told).worker(dsn, options=options)
        threading.Thread(target=_stop_when_told, args=(worker.stop, folder), daemon=True).start()
        worker.run()


def _stop_when_told(stop: Callable[[], None], folder: Path) -> None:
    while not (folder / "stop").exists():
        threading.Event().wait(0.05)
    stop()


if __name__ == "__main__":
    role, name, dsn, folder = sys.argv[1:]
    if role == "produce":
        Producer(name, dsn, Path(folder)).run()
    else:
        work(dsn, Path(folder))
