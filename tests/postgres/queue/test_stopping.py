"""Jobs that must end early: time limits, cancellation, and their statements in the database."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any

import psycopg
import pytest

from howdah.queue import Backoff, Cancelled, JobContext, OutOfTime, Queue
from howdah.testing import Database, wait_until

from .app import queue as processes
from .working import RAN, Process, made, wait_for, wait_quiet, working

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

NEVER = Backoff(base_seconds=3600, jitter="none")
SLEEPING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"
)
LATER = " UNION ALL ".join(
    f"SELECT headers ->> 'error' FROM howdah.queue_later_{bucket}" for bucket in (*range(8), "far")
)


def sleeper(database: Database, **options: Any) -> tuple[Queue, list[Any]]:
    queue = Queue("shop", lease_seconds=2)
    seen: list[Any] = []
    options = {"max_attempts": 2, "backoff": NEVER} | options

    @queue.job(**options)
    def query(ctx: JobContext) -> None:
        with psycopg.connect(database.dsn) as own:
            try:
                ctx.using(own).execute("SELECT pg_sleep(600)")
            except (psycopg.errors.QueryCanceled, Cancelled, OutOfTime) as error:
                seen.append(type(error).__name__)
                raise

    @queue.job(**options)
    def loop(ctx: JobContext) -> None:
        try:
            while True:
                threading.Event().wait(0.01)
        except (Cancelled, OutOfTime) as error:
            seen.append(type(error).__name__)
            raise

    @queue.job(**options)
    async def awaiting(ctx: JobContext) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("CancelledError")
            raise

    return queue, seen


@pytest.mark.parametrize("kind", ["query", "loop", "awaiting"])
def test_a_job_that_is_out_of_time_is_stopped_and_tried_again(
    database: Database, kind: str
) -> None:
    queue, seen = sleeper(database, timeout_seconds=0.3)
    with made(database, queue) as connection, working(queue, database.dsn):
        queue.enqueue(connection, kind)
        error = wait_for(connection, LATER)
        wait_for(connection, f"SELECT ({SLEEPING}) = 0")
    assert len(seen) == 1
    assert error.startswith(("OutOfTime", "QueryCanceled"))


@pytest.mark.parametrize("dispatch", [True, False])
@pytest.mark.parametrize("kind", ["query", "loop", "awaiting"])
def test_a_running_job_is_cancelled_with_its_statement(
    database: Database, kind: str, dispatch: bool
) -> None:
    queue, seen = sleeper(database)
    dispatcher = Queue("shop", lease_seconds=2)
    with (
        made(database, queue) as connection,
        working(dispatcher, database.dsn, dispatch=not dispatch),
        working(queue, database.dsn, dispatch=dispatch) as worker,
    ):
        job = queue.enqueue(connection, kind).job
        wait_until(lambda: len(worker.running))
        if kind == "query":
            wait_for(connection, f"SELECT ({SLEEPING}) = 1")
        queue.cancel(connection, job)
        wait_until(lambda: seen and not len(worker.running))
        wait_for(connection, f"SELECT ({SLEEPING}) = 0")
        wait_quiet(connection, "shop")
        left = connection.execute("SELECT count(*) FROM howdah.queue_dead").fetchone()
    assert left == (0,)


def test_a_job_that_is_cancelled_before_it_starts_never_does(database: Database) -> None:
    queue, seen = sleeper(database)

    @queue.job
    def touched(n: int) -> None:
        seen.append(n)

    @queue.job(max_attempts=5, backoff=NEVER)
    def fails(n: int) -> None:
        seen.append(f"failed {n}")
        raise ValueError

    with made(database, queue) as connection:
        waiting = touched.having(key="k").enqueue(connection, n=2).job
        delayed = touched.having(delay_seconds=1.0).enqueue(connection, n=3).job
        unseen = touched.enqueue(connection, n=4).job
        queue.cancel(connection, unseen)
        with working(queue, database.dsn, threads=1):
            retried = fails.having(key="f").enqueue(connection, n=1).job
            behind = touched.having(key="f").enqueue(connection, n=5).job
            wait_until(lambda: "failed 1" in seen and 2 in seen)
            for job in (waiting, delayed, retried):
                queue.cancel(connection, job)
            wait_until(lambda: 5 in seen)  # its key goes on
            assert behind > retried
            wait_quiet(connection, "shop")
        queue.pause(connection)
        parked = touched.having(key="g").enqueue(connection, n=6).job
        with working(queue, database.dsn):
            wait_for(connection, "SELECT count(*) = 1 FROM howdah.queue_pause")
            queue.cancel(connection, parked)
            queue.resume(connection)
            touched.enqueue(connection, n=7)
            wait_until(lambda: 7 in seen)
            wait_quiet(connection, "shop")
    assert seen == ["failed 1", 2, 5, 7] or seen == [2, "failed 1", 5, 7]


def test_cancelling_one_job_of_a_batch_leaves_the_others_alone(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    go = threading.Event()
    seen: list[list[int]] = []

    @queue.job(batch=True, max_attempts=3)
    def many(jobs: list[JobContext]) -> None:
        if len(jobs) > 1:
            seen.append([job.job for job in jobs])
            go.wait(10)

    with made(database, queue) as connection, working(queue, database.dsn, threads=1) as worker:
        queue.enqueue_many(connection, "many", [{} for _ in range(300)])
        wait_until(lambda: seen)
        queue.cancel(connection, seen[0][0])
        wait_for(connection, """SELECT count(*) = 1 FROM howdah."queue_shop$settled$0\"""")
        wait_until(lambda: any(c.stopped for c in worker.running._snapshot()))
        go.set()
        wait_quiet(connection, "shop")
        retried = "SELECT sum((counts ->> 'retried')::int) FROM howdah.queue_count"
        assert (connection.execute(retried).fetchone() or (0,))[0] in (0, None)


def test_jobs_in_processes_are_killed_when_they_are_late_or_called_off(database: Database) -> None:
    late = Queue("crash", lease_seconds=2)

    @late.job(runs="process", timeout_seconds=0.5, max_attempts=1)
    def note(n: int, seconds: float) -> None: ...

    with (
        made(database, processes) as connection,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("HOWDAH_TEST_DSN", database.dsn)
        connection.execute(RAN)
        app = "tests.postgres.queue.app:queue"
        with working(late, database.dsn, app=app, processes=1):
            late.enqueue(connection, "note", {"n": 1, "seconds": 0.0})
            wait_for(connection, "SELECT count(*) = 1 FROM ran WHERE ended IS NOT NULL", seconds=30)
            late.enqueue(connection, "note", {"n": 2, "seconds": 600.0})
            wait_for(connection, "SELECT count(*) = 1 FROM howdah.queue_dead")
            pid = wait_for(connection, "SELECT pid FROM ran WHERE n = 2")
            late.enqueue(connection, "note", {"n": 3, "seconds": 0.0})  # in another child
            wait_for(
                connection,
                "SELECT count(*) = 1 FROM ran WHERE n = 3 AND pid <> %s",
                pid,
                seconds=30,
            )


def test_a_drained_process_loses_nothing_and_counts_no_attempt(database: Database) -> None:
    with made(database, processes) as connection:
        connection.execute(RAN)
        processes.enqueue_many(connection, "note", [{"n": n, "seconds": 0.02} for n in range(300)])
        for _ in range(3):
            with Process(database.dsn, "threads=2") as process:
                before = wait_for(connection, "SELECT count(*) FROM ran")
                wait_for(connection, "SELECT count(*) > %s + 10 FROM ran", before)
                process.send(signal.SIGTERM)
                assert process.ended() == 0
            unended = connection.execute("SELECT count(*) FROM ran WHERE ended IS NULL").fetchone()
            assert unended == (0,)
        with Process(database.dsn):
            wait_for(connection, "SELECT count(DISTINCT n) = 300 FROM ran", seconds=30)
            wait_quiet(connection, "crash")
        runs = connection.execute("SELECT count(*), max(attempt) FROM ran").fetchone()
    assert runs == (300, 1)


def test_a_job_that_outlasts_the_drain_is_stopped_and_runs_elsewhere(database: Database) -> None:
    with made(database, processes) as connection:
        connection.execute(RAN)
        processes.enqueue(connection, "note", {"n": 1, "seconds": 600.0})
        with Process(database.dsn, "drain_seconds=0.5") as process:
            wait_for(connection, "SELECT count(*) FROM ran")
            process.send(signal.SIGTERM)
            assert process.ended() == 0
        with Process(database.dsn):
            wait_for(connection, "SELECT count(*) = 2 FROM ran")
        assert connection.execute("SELECT max(attempt) FROM ran").fetchone() == (2,)
