"""Queues and workers for tests: in threads of the test, or as processes that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

import howdah.queue
from howdah.queue import Queue, Worker, WorkerOptions
from howdah.schema.api import install
from howdah.testing import Database, wait_until

LEASE_SECONDS = 2.0
ROOT = Path(__file__).parents[3]
RAN = "CREATE TABLE ran (n int, attempt int, pid int, began timestamptz, ended timestamptz)"


@contextmanager
def made(database: Database, queue: Queue) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the database, with the queue in it."""
    with database.connect() as connection:
        install(connection, [howdah.queue.COMPONENT])
        queue.create(connection)
        yield connection


@contextmanager
def working(queue: Queue, dsn: str, **options: Any) -> Iterator[Worker]:
    """A worker of this process, drained at the end; its failure is the test's."""
    options = {"threads": 2, "drain_seconds": 5.0, "elect_seconds": 0.1} | options
    app = options.pop("app", None)
    worker = queue.worker(dsn, options=WorkerOptions(**options), app=app)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - it is raised in the test
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(20)
    assert not thread.is_alive(), "the worker does not stop"
    if failures:
        raise failures[0]


class Process:
    """A worker process that runs `tests.postgres.queue.app`."""

    def __init__(self, dsn: str, *arguments: str) -> None:
        environment = os.environ | {"HOWDAH_TEST_DSN": dsn}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.postgres.queue.app", *arguments],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.send(signal.SIGCONT)
        self._process.kill()
        said, _ = self._process.communicate()
        if error is not None:
            sys.stdout.write(said)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def ended(self, seconds: float = 20) -> int:
        """Wait for the process to end by itself; its exit code."""
        return self._process.wait(seconds)


def wait_for(
    connection: psycopg.Connection[Any], sql: str, *values: Any, seconds: float = 15
) -> Any:
    """The first column of the first row of a query, once it is true."""

    def probe() -> Any:
        row = connection.execute(sql, values).fetchone()
        return row and row[0]

    try:
        return wait_until(probe, seconds=seconds)
    except BaseException:
        for table in ("queue_dead", "queue_later_0", "queue_parked", "queue_hold", "queue_worker"):
            sys.stdout.write(f"{table}: {connection.execute(f'TABLE howdah.{table}').fetchall()}\n")
        raise


def at_least(seen: Sequence[Any], count: int) -> Callable[[], bool]:
    """A probe: whether so many were seen."""
    return lambda: len(seen) >= count


def has_all(seen: Sequence[int], count: int) -> Callable[[], bool]:
    """A probe: whether all numbers below that were seen."""
    return lambda: set(seen) >= set(range(count))


def wait_quiet(connection: psycopg.Connection[Any], queue: str, seconds: float = 20) -> None:
    """Wait until the dispatcher has said that everything is done."""
    wait_for(
        connection,
        f"""SELECT NOT (SELECT j.waiting FROM howdah."log_jobs_{queue}$peek"(n.done) AS j)
                   AND NOT (SELECT r.waiting FROM howdah."log_reports_{queue}$peek"(n.heard) AS r)
                   AND howdah.queue_next_due(%s, '-infinity') IS NULL
            FROM howdah.queue_newest(%s) AS n""",
        queue,
        queue,
        seconds=seconds,
    )


def leader(connection: psycopg.Connection[Any], queue: str) -> int | None:
    """The backend of the dispatcher, by its advisory lock."""
    row = connection.execute(
        """SELECT l.pid FROM pg_locks AS l, hashtextextended('howdah.queue dispatcher ' || %s, 0)
             AS h (hash)
           WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
             AND l.classid::bigint = (h.hash >> 32) & 4294967295
             AND l.objid::bigint = h.hash & 4294967295
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
        (queue,),
    ).fetchone()
    return None if row is None else int(row[0])
