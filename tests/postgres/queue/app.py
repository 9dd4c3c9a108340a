"""The application that worker processes of the tests run: `python -m tests.postgres.queue.app`.

Arguments: `name=value` of WorkerOptions, and `lease_seconds`, `limit` and `behaviour` of the queue.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import msgspec
import psycopg

from howdah.errors import Superseded
from howdah.queue import Allowance, Backoff, Cancelled, JobContext, Limit, Queue, WorkerOptions

DSN = os.environ.get("HOWDAH_TEST_DSN", "")
SOON = Backoff(base_seconds=0.1, jitter="none")
queue = Queue(
    "crash",
    lease_seconds=float(os.environ.get("HOWDAH_TEST_LEASE", "2")),
    limits=[
        Limit(name="narrow", by="kind", kinds=frozenset({"narrow"}), allow=Allowance(concurrency=2))
    ],
)
_local = threading.local()


def connection() -> psycopg.Connection[Any]:
    """This thread's connection."""
    known = getattr(_local, "connection", None)
    if known is None or known.closed:
        known = _local.connection = psycopg.connect(DSN, autocommit=True)
    assert isinstance(known, psycopg.Connection)
    return known


def begin(n: int, ctx: JobContext) -> None:
    connection().execute(
        "INSERT INTO ran VALUES (%s, %s, %s, clock_timestamp(), NULL)",
        (n, ctx.attempt, os.getpid()),
    )


def end(n: int, ctx: JobContext) -> None:
    connection().execute(
        "UPDATE ran SET ended = clock_timestamp() WHERE n = %s AND attempt = %s AND pid = %s",
        (n, ctx.attempt, os.getpid()),
    )


@queue.job(backoff=SOON, max_attempts=20)
def note(n: int, ctx: JobContext, seconds: float = 0.0) -> None:
    """Write down that it ran, and how long."""
    begin(n, ctx)
    if seconds:
        ctx.using(connection()).execute("SELECT pg_sleep(%s)", (seconds,))
    end(n, ctx)


@queue.job(backoff=SOON, max_attempts=20)
def narrow(n: int, ctx: JobContext, seconds: float = 0.0) -> None:
    """The same, two at once."""
    note(n, ctx, seconds)


@queue.job(backoff=SOON, max_attempts=20)
def stubborn(n: int, ctx: JobContext) -> None:
    """Wait for the test to release it, whatever happens; then complete in a transaction."""
    begin(n, ctx)

    def complete() -> None:
        with psycopg.connect(DSN) as own:
            own.execute("SELECT pg_advisory_xact_lock_shared(%s)", (n,))
            ctx.complete_in(own)
            own.execute("INSERT INTO effects VALUES (%s, %s)", (n, ctx.attempt))

    try:
        try:
            complete()
        except Cancelled:  # it does not listen
            complete()
    except Superseded:
        connection().execute("INSERT INTO refused VALUES (%s, %s)", (n, ctx.attempt))
        raise


@queue.job(backoff=SOON, max_attempts=20)
def once(n: int, ctx: JobContext) -> None:
    """Its effect and its end commit together."""
    with psycopg.connect(DSN) as own:
        own.execute("INSERT INTO effects VALUES (%s, %s)", (n, ctx.attempt))
        ctx.complete_in(own)


@queue.job(backoff=SOON, max_attempts=3)
def killer(n: int, ctx: JobContext) -> None:
    """Kill the worker."""
    begin(n, ctx)
    os.kill(os.getpid(), signal.SIGKILL)


@queue.job(max_attempts=1)
def fragile(n: int, ctx: JobContext) -> None:
    """Run at most once."""
    begin(n, ctx)
    end(n, ctx)


@queue.job(max_attempts=1)
def last_words(n: int, ctx: JobContext) -> None:
    """Run at most once, and kill the worker."""
    begin(n, ctx)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Work until SIGTERM."""
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    defaults = {"elect_seconds": "0.2", "threads": "4", "drain_seconds": "5"}
    options = msgspec.convert(defaults | given, WorkerOptions, strict=False)
    worker = queue.worker(DSN, options=options, app="tests.postgres.queue.app:queue")
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()


if __name__ == "__main__":
    main()
