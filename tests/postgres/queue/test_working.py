"""What a queue does for its users, on real servers and with a real worker."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from howdah.queue import (
    Backoff,
    BudgetOptions,
    Fatal,
    JobContext,
    Queue,
    Retry,
    Unique,
    current_job,
)
from howdah.testing import Database, wait_until

from .working import made, wait_for, wait_quiet, working

SOON = Backoff(base_seconds=0.05, jitter="none")
DEAD = "SELECT array_agg((kind, reason, attempt, error)::text ORDER BY job) FROM howdah.queue_dead"


def dead(connection: psycopg.Connection[Any]) -> list[tuple[str, str, int, str]]:
    return connection.execute(
        "SELECT kind, reason, attempt, error FROM howdah.queue_dead ORDER BY job"
    ).fetchall()


def test_jobs_run_once_in_threads_and_on_the_loop(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen: list[Any] = []

    @queue.job
    def plain(n: int, who: str = "x") -> None:
        seen.append((n, who, current_job().attempt))

    @queue.job(keep_result=True)
    async def awaited(n: int, ctx: JobContext) -> dict[str, int]:
        await asyncio.to_thread(int)
        ctx.progress("half")
        return {"twice": n * 2}

    with made(database, queue) as connection, working(queue, database.dsn):
        first = plain.enqueue(connection, n=1)
        ids = queue.enqueue_many(connection, "plain", [{"n": n} for n in range(2, 50)], tenant="t")
        queue.copy(connection, "plain", [{"n": n, "who": "y"} for n in range(50, 100)])
        other = awaited.enqueue(connection, n=21)
        wait_until(lambda: len(seen) >= 99)
        wait_until(lambda: (queue.result(connection, other.job) or (False,))[0])
        final = queue.result(connection, other.job)
        wait_quiet(connection, "shop")
    assert sorted(n for n, _, _ in seen) == list(range(1, 100))
    assert {attempt for _, _, attempt in seen} == {1}
    assert final is not None
    assert final[1] == {"twice": 42}
    assert first.job < ids[0]


def test_what_is_rolled_back_never_runs(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen: list[int] = []

    @queue.job
    def note(n: int) -> None:
        seen.append(n)

    with made(database, queue) as connection, working(queue, database.dsn):
        with connection.transaction(force_rollback=True):
            note.enqueue(connection, n=1)
            note.having(delay_seconds=0.01).enqueue(connection, n=2)
            note.having(unique=Unique()).enqueue(connection, n=3)
        with connection.transaction():
            note.enqueue(connection, n=4)
            with connection.transaction(force_rollback=True):
                note.enqueue(connection, n=5)
        assert note.having(unique=Unique()).enqueue(connection, n=3).new
        wait_until(lambda: len(seen) >= 2)
        wait_quiet(connection, "shop")
    assert sorted(seen) == [3, 4]


def test_delayed_jobs_run_at_their_time_and_not_before(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    ran: dict[str, float] = {}

    @queue.job
    def late(name: str) -> None:
        ran[name] = datetime.now(UTC).timestamp()

    with made(database, queue) as connection, working(queue, database.dsn):
        start = datetime.now(UTC)
        late.having(delay_seconds=1.0).enqueue(connection, name="delayed")
        late.having(at=start + timedelta(seconds=0.5)).enqueue(connection, name="timed")
        late.having(at=start - timedelta(hours=1)).enqueue(connection, name="past")
        late.enqueue(connection, name="now")
        wait_until(lambda: len(ran) == 4)
        wait_quiet(connection, "shop")
        left = connection.execute("SELECT count(*) FROM howdah.queue_later_0").fetchone()
    after = {name: at - start.timestamp() for name, at in ran.items()}
    assert left is not None
    assert after["now"] < 0.5
    assert after["past"] < 0.5
    assert 0.5 <= after["timed"] < 2.0
    assert 1.0 <= after["delayed"] < 2.5


def test_retries_wait_and_end_in_a_dead_letter_that_can_be_run_again(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    tries: list[tuple[str, int, float]] = []
    broken = threading.Event()
    broken.set()

    @queue.job(max_attempts=3, backoff=Backoff(form="fixed", base_seconds=0.3, jitter="none"))
    def flaky(name: str, ctx: JobContext) -> None:
        tries.append((name, ctx.attempt, datetime.now(UTC).timestamp()))
        if name == "fatal":
            raise Fatal("no use")
        if name == "patient" and ctx.attempt == 1:
            raise Retry(delay_seconds=0.01)
        if name == "dies" and broken.is_set():
            raise ValueError("broken")

    with made(database, queue) as connection, working(queue, database.dsn):
        job = flaky.enqueue(connection, name="dies").job
        flaky.enqueue(connection, name="fatal")
        flaky.enqueue(connection, name="patient")
        given_up = flaky.having(max_attempts=1).enqueue(connection, name="dies").job
        wait_until(lambda: len(tries) >= 7)
        wait_for(connection, "SELECT count(*) = 3 FROM howdah.queue_dead")
        assert dead(connection) == [
            ("flaky", "failed", 3, "ValueError: broken"),
            ("flaky", "fatal", 1, "Fatal: no use"),
            ("flaky", "failed", 1, "ValueError: broken"),
        ]
        broken.clear()
        queue.redrive(connection, job)
        queue.discard(connection, given_up)
        wait_until(lambda: tries[-1][:2] == ("dies", 1) and len(tries) == 8)
        wait_for(connection, "SELECT count(*) = 1 FROM howdah.queue_dead")
        wait_quiet(connection, "shop")
    waited = [at for name, _, at in tries if name == "dies"]
    gaps = [b - a for a, b in zip(sorted(waited), sorted(waited)[1:], strict=False)]
    assert sum(gap >= 0.3 for gap in gaps) >= 2
    patient = [at for name, _, at in tries if name == "patient"]
    assert patient[1] - patient[0] < 1.5


def test_a_retry_budget_puts_off_what_it_does_not_cover(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    tries: list[int] = []

    @queue.job(
        backoff=Backoff(form="fixed", base_seconds=0.01, max_seconds=600, jitter="none"),
        retry_budget=BudgetOptions(ratio=0.0, per_second=0.0, most=3),
        max_attempts=100,
        on_failure="skip",
    )
    def storm(n: int) -> None:
        tries.append(n)
        raise ValueError

    with made(database, queue) as connection, working(queue, database.dsn):
        queue.enqueue_many(connection, "storm", [{"n": n} for n in range(10)])
        wait_for(
            connection,
            """SELECT count(*) = 10 FROM (
                SELECT due, at FROM howdah.queue_later_0 UNION ALL
                SELECT due, at FROM howdah.queue_later_1 UNION ALL
                SELECT due, at FROM howdah.queue_later_2 UNION ALL
                SELECT due, at FROM howdah.queue_later_3 UNION ALL
                SELECT due, at FROM howdah.queue_later_4 UNION ALL
                SELECT due, at FROM howdah.queue_later_5 UNION ALL
                SELECT due, at FROM howdah.queue_later_6 UNION ALL
                SELECT due, at FROM howdah.queue_later_7) AS l WHERE due > at + interval '5 min'""",
        )
    assert len(tries) == 13


def test_jobs_that_came_too_late_are_dead_letters(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen: list[int] = []

    @queue.job
    def fresh(n: int) -> None:
        seen.append(n)

    with made(database, queue) as connection:
        fresh.having(expires_seconds=0.2).enqueue(connection, n=1)
        fresh.having(expires_seconds=600).enqueue(connection, n=2)
        wait_for(
            connection,
            "SELECT min(at) < clock_timestamp() - interval '0.3 s' FROM howdah.\"log_jobs_shop$0\"",
        )
        with working(queue, database.dsn):
            wait_for(connection, "SELECT count(*) = 1 FROM howdah.queue_dead")
            wait_until(lambda: seen)
        assert [row[1] for row in dead(connection)] == ["expired"]
    assert seen == [2]


def test_unique_jobs_until_done_and_for_a_window(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    go = threading.Event()
    seen: list[int] = []

    @queue.job(unique=Unique())
    def single(n: int) -> None:
        go.wait(10)
        seen.append(n)

    hourly = Unique(until="window", window_seconds=3600)
    with made(database, queue) as connection, working(queue, database.dsn):

        def enqueue(_: int) -> tuple[int, bool]:
            with database.connect() as own, own.transaction():
                made_job = single.enqueue(own, n=1)
            return made_job.job, made_job.new

        with ThreadPoolExecutor(8) as producers:
            answers = list(producers.map(enqueue, range(16)))
        assert sum(new for _, new in answers) == 1
        assert len({job for job, _ in answers}) == 1
        assert single.enqueue(connection, n=2).new
        go.set()
        wait_until(lambda: len(seen) == 2)
        wait_for(connection, "SELECT count(*) = 0 FROM howdah.queue_unique")
        assert single.enqueue(connection, n=1).new
        wait_until(lambda: len(seen) == 3)
        assert single.having(unique=hourly).enqueue(connection, n=7).new
        wait_until(lambda: len(seen) == 4)
        wait_quiet(connection, "shop")
        assert not single.having(unique=hourly).enqueue(connection, n=7).new
    assert sorted(seen) == [1, 1, 2, 7]


def test_batches_go_to_one_handler_and_fail_one_by_one(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    calls: list[list[int]] = []
    failed: list[int] = []

    @queue.job(batch=True, batch_max=50, max_attempts=2, backoff=SOON)
    def many(jobs: list[JobContext]) -> None:
        calls.append([job.arguments()["n"] for job in jobs])
        for job in jobs:
            if job.arguments()["n"] % 10 == 0 and job.attempt == 1:
                failed.append(job.arguments()["n"])
                job.fail(ValueError("ten"))

    with made(database, queue) as connection, working(queue, database.dsn):
        queue.enqueue_many(connection, "many", [{"n": n} for n in range(500)])
        wait_until(lambda: sum(map(len, calls)) >= 550)
        wait_quiet(connection, "shop")
    assert sorted(failed) == list(range(0, 500, 10))
    assert sorted(n for call in calls for n in call) == sorted([*range(500), *failed])
    assert max(map(len, calls)) > 1


def test_pauses_hold_kinds_and_tenants_and_purges_drop_what_waits(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen: list[str] = []

    @queue.job
    def a(name: str) -> None:
        seen.append(name)

    @queue.job
    def b(name: str) -> None:
        seen.append(name)

    with made(database, queue) as connection:
        queue.pause(connection, kind="a")
        queue.pause(connection, tenant="slow")
        a.enqueue(connection, name="paused kind")
        b.having(tenant="slow").enqueue(connection, name="paused tenant")
        b.enqueue(connection, name="goes on")
        with working(queue, database.dsn):
            wait_until(lambda: seen == ["goes on"])
            wait_for(connection, "SELECT count(*) = 2 FROM howdah.queue_pause")
        with working(queue, database.dsn):  # a pause outlives its dispatcher
            b.enqueue(connection, name="still goes on")
            wait_until(lambda: len(seen) == 2)
            queue.resume(connection, tenant="slow")
            wait_until(lambda: "paused tenant" in seen)
            a.having(delay_seconds=600).enqueue(connection, name="delayed")
            queue.purge(connection, kind="a")
            queue.resume(connection, kind="a")
            wait_for(connection, "SELECT count(*) = 0 FROM howdah.queue_pause")
            a.enqueue(connection, name="after")
            wait_until(lambda: "after" in seen)
            wait_quiet(connection, "shop")
    assert seen == ["goes on", "still goes on", "paused tenant", "after"]


def test_kinds_without_a_handler_wait_for_a_worker_that_has_one(database: Database) -> None:
    here, there = Queue("shop", lease_seconds=2), Queue("shop", lease_seconds=2)
    seen: list[str] = []

    @here.job
    def known() -> None:
        seen.append("known")

    @there.job
    def other() -> None:
        seen.append("other")

    with made(database, here) as connection:
        there.enqueue(connection, "other")
        here.enqueue(connection, "known")
        with working(here, database.dsn):
            wait_until(lambda: seen == ["known"])
            with working(there, database.dsn, dispatch=False):
                wait_until(lambda: "other" in seen)
                wait_quiet(connection, "shop")


def test_workers_without_a_dispatcher_of_their_own_share_the_work(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    workers: set[str] = set()
    seen: list[int] = []

    @queue.job
    def note(n: int) -> None:
        workers.add(threading.current_thread().name.rsplit("-", 1)[0])
        seen.append(n)
        threading.Event().wait(0.005)

    with (
        made(database, queue) as connection,
        working(queue, database.dsn),
        working(queue, database.dsn, dispatch=False),
        working(queue, database.dsn, dispatch=False),
    ):
        wait_for(connection, "SELECT count(*) = 3 FROM howdah.queue_worker")
        queue.enqueue_many(connection, "note", [{"n": n} for n in range(400)])
        wait_until(lambda: len(seen) >= 400)
        wait_quiet(connection, "shop")
    assert sorted(seen) == list(range(400))
    assert len(workers) == 3


def test_a_payload_that_its_handler_does_not_take_is_refused(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)

    @queue.job(max_attempts=1)
    def typed(n: int) -> None: ...

    with made(database, queue) as connection, working(queue, database.dsn):
        connection.execute("SELECT howdah.enqueue('shop', 'typed', '{\"n\": \"no number\"}')")
        assert wait_for(connection, DEAD)
        ((_, reason, attempt, error),) = dead(connection)
    assert (reason, attempt) == ("failed", 1)
    assert error.startswith("ValidationError")


@pytest.mark.postgres(newest_by_default=True)
@pytest.mark.parametrize("catch_up", ["none", "one", "all"])
def test_a_schedule_fires_once_whoever_dispatches(database: Database, catch_up: Any) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen: list[float] = []

    @queue.job
    def tick(ctx: JobContext) -> None:
        seen.append(ctx.headers["fire_at"])

    queue.cron("* * * * * *", "tick", catch_up="all")
    queue.cron("* * * * *", "tick", name="missed", catch_up=catch_up)
    with made(database, queue) as connection:
        queue.make_schedules(connection)
        connection.execute(
            "UPDATE howdah.queue_cron SET dealt_upto = date_trunc('minute', clock_timestamp())"
            " - interval '4 min 30 s' WHERE name = 'missed'"
        )
        connection.execute(
            "UPDATE howdah.queue_cron SET dealt_upto = clock_timestamp() - interval '20 s'"
            " WHERE name = 'tick'"
        )
        for _ in range(3):  # every one of these dispatchers believes that they are its to fire
            with working(queue, database.dsn):
                wait_for(
                    connection,
                    "SELECT dealt_upto > clock_timestamp() - interval '9 s' FROM"
                    " howdah.queue_cron WHERE name = 'tick'",
                )
            connection.execute(
                "UPDATE howdah.queue_cron SET dealt_upto = clock_timestamp() - interval '20 s'"
                " WHERE name = 'tick'"
            )
        with working(queue, database.dsn):
            wait_until(lambda: sum(at % 60 > 0 for at in seen) >= 20)
            queue.unschedule(connection, "tick")
            wait_quiet(connection, "shop")
        missed = connection.execute(
            "SELECT count(*) FROM howdah.queue_fired WHERE name = 'missed'"
        ).fetchone()
    assert missed is not None
    seconds = [at for at in seen if at % 60]
    assert len(seconds) == len(set(seconds)) >= 20
    expected = {"none": {0, 1}, "one": {1, 2}, "all": {5, 6}}[catch_up]
    assert missed[0] in expected
