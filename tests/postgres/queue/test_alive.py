"""Workers that are alive and busy keep what they have; connections that hang hold up nobody."""

from __future__ import annotations

import threading
import time

import pytest

from howdah.queue import JobContext, Queue
from howdah.testing import Database, wait_until

from .working import made, wait_for, wait_quiet, working

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python


def test_a_handler_that_keeps_the_lock_keeps_its_lease(database: Database) -> None:
    """Pure Python, three leases long, on a loop and in a thread: the heartbeat gets its turns."""
    queue = Queue("shop", lease_seconds=1)
    attempts: list[int] = []

    def burn() -> None:
        until = time.monotonic() + 3.0
        while time.monotonic() < until:
            sum(range(1000))

    @queue.job
    async def looping(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        burn()

    @queue.job
    def threaded(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        burn()

    with made(database, queue) as connection, working(queue, database.dsn):
        queue.enqueue(connection, "looping")
        queue.enqueue(connection, "threaded")
        wait_until(lambda: len(attempts) == 2)
        wait_quiet(connection, "shop", seconds=30)
    assert attempts == [1, 1]


def test_a_transaction_that_completes_and_hangs_does_not_stop_the_queue(
    database: Database,
) -> None:
    """Its worker is taken for dead; whether the job is done, only that transaction can say."""
    queue = Queue("shop", lease_seconds=1)
    seen: list[int] = []
    hanging, go = threading.Event(), threading.Event()

    @queue.job
    def note(n: int) -> None:
        seen.append(n)

    @queue.job
    def hangs(ctx: JobContext) -> None:
        seen.append(-ctx.attempt)
        with database.connect(autocommit=False) as own:
            ctx.complete_in(own)
            hanging.set()
            go.wait(20)
            own.commit()

    with made(database, queue) as connection, working(queue, database.dsn):
        job = queue.enqueue(connection, "hangs").job
        assert hanging.wait(10)
        queue.cancel(connection, job)  # the revocation must not wait for that transaction
        for n in range(20):
            queue.enqueue(connection, "note", {"n": n})
        wait_until(lambda: len(seen) == 21, seconds=5)
        go.set()
        wait_quiet(connection, "shop")
        wait_for(connection, "SELECT count(*) = 0 FROM howdah.queue_dead")
    assert seen.count(-1) == 1
    assert -2 not in seen
