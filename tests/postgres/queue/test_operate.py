"""Where jobs are, while a worker runs some of them and others wait, are put off, parked or dead."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from howdah import query
from howdah import queue as queues
from howdah.driver import run
from howdah.errors import BadInput
from howdah.queue import Backoff, JobContext, Queue, WorkerOptions, operate
from howdah.queue.finding import show
from howdah.queue.operate import Filter
from howdah.queue.standing import LISTED, Jobs, Shown, State, Status
from howdah.schema import install
from howdah.testing import Database, wait_until
from howdah.testing.queues import drain

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python


class Shop:
    """A queue whose handlers wait until they are let go."""

    def __init__(self, database: Database, connection: psycopg.Connection[Any]) -> None:
        self.database = database
        self.connection = connection
        self.go = threading.Event()
        self.queue = Queue("shop", lease_seconds=5)

        @self.queue.job
        def hold(n: int, job: JobContext) -> None:
            job.progress({"step": n})
            self.go.wait(30)

        @self.queue.job(backoff=Backoff(base_seconds=600, jitter="none"))
        def flaky() -> None:
            raise ValueError("not today")

        @self.queue.job(max_attempts=1)
        def bad(n: int = 0) -> None:
            raise ValueError("bad")

        @self.queue.job(keep_result=True)
        def fine(n: int) -> int:
            return n

        self.queue.create(connection)

    def put(self, kind: str, **options: Any) -> int:
        arguments = options.pop("arguments", {})
        return self.queue.enqueue(self.connection, kind, arguments, **options).job

    @contextmanager
    def working(self) -> Iterator[None]:
        worker = self.queue.worker(self.database.dsn, options=WorkerOptions(threads=2))
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield
        finally:
            self.go.set()
            worker.stop()
            thread.join()

    def status(self) -> Status:
        return run(self.connection, operate.status("shop"))

    def show(self, job: int) -> Shown:
        return run(self.connection, show("shop", job))

    def jobs(self, *states: State, **wanted: Any) -> Jobs:
        return run(self.connection, operate.jobs("shop", states or LISTED, Filter(**wanted)))


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    with database.connect() as connection:
        install(connection, [queues.COMPONENT])
        yield Shop(database, connection)


def test_every_state_is_told_apart(shop: Shop) -> None:
    running = shop.put("hold", arguments={"n": 7}, key="a", tenant="t")
    behind = shop.put("hold", arguments={"n": 8}, key="a")
    flaky, bad = shop.put("flaky"), shop.put("bad", key="b")
    fine = shop.put("fine", arguments={"n": 5})
    tomorrow = shop.put("fine", arguments={"n": 6}, delay_seconds=86_400)
    strange = shop.put("nobody runs this", tenant="u")
    with shop.working():
        wait_until(lambda: len(shop.jobs().jobs) == 4)
        wait_until(lambda: shop.queue.result(shop.connection, running))
        shown = {job: shop.show(job) for job in (running, behind, flaky, bad, fine, tomorrow)}
        listed = {each.job: each for each in shop.jobs().jobs}
        status = shop.status()
    assert {job: each.state for job, each in shown.items()} == {
        running: "running",
        behind: "waiting",
        flaky: "later",
        bad: "dead",
        fine: "finished",
        tomorrow: "later",
    }
    first = shown[running]
    assert (first.kind, first.key, first.tenant, first.attempt) == ("hold", "a", "t", 1)
    assert first.worker is not None
    assert first.worker in first.where
    assert first.value is not None
    assert (first.value.final, first.value.value) == (False, {"step": 7})
    assert shown[flaky].error == "ValueError: not today"
    assert shown[bad].reason == "failed"
    assert shown[fine].value is not None
    assert {job: each.state for job, each in listed.items()} == {
        running: "running",
        flaky: "later",
        bad: "dead",
        tomorrow: "later",
    }
    assert shop.show(strange).state == "waiting"
    assert shop.show(10**9).state == "unknown"
    assert [crew.jobs for crew in status.workers] == [1]
    assert status.dispatcher.pid is not None
    assert (status.later.count, status.dead.count) == (2, 1)
    assert [held.key for held in status.held] == ["b"]


def test_lists_are_filtered_and_bounded(shop: Shop) -> None:
    jobs = [shop.put("bad", arguments={"n": n}, tenant=f"t{n % 2}") for n in range(5)]
    shop.put("fine", arguments={"n": 1}, delay_seconds=60, key="k")
    drain(shop.queue, shop.connection)
    assert {each.job for each in shop.jobs("dead").jobs} == set(jobs)
    assert len(shop.jobs("dead", tenant="t1").jobs) == 2
    assert shop.jobs("later", key="other").jobs == []
    few = shop.jobs(limit=2)
    assert (len(few.jobs), few.more) == (2, True)
    assert not shop.jobs(limit=6).more


def test_a_plain_job_is_found_in_a_long_log_by_a_few_probes(shop: Shop) -> None:
    """By bisection: what is read of the table does not grow with it."""
    shop.queue.copy(shop.connection, "fine", ({"n": n} for n in range(60_000)))
    middle = shop.put("fine", arguments={"n": -1})
    shop.queue.copy(shop.connection, "fine", ({"n": n} for n in range(60_000)))
    count = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'log_jobs_shop$0'"
    before = shop.connection.execute(count).fetchone()
    shown = shop.show(middle)
    assert (shown.state, shown.payload) == ("waiting", '{"n":-1}')
    for job in (middle - 60_000, middle + 60_000, middle - 1, middle + 1):
        assert shop.show(job).state == "waiting"
    assert shop.show(middle + 60_001).state == "unknown"
    asked = query.load("howdah.queue", "sql/operate.sql").text("in_blocks")
    plan = shop.connection.execute(
        "EXPLAIN " + asked.format(segment="howdah.log_jobs_shop$0"),
        {"first": "(3,0)", "after": "(9,0)", "row": 1, "done": "1:1:", "read": "1:1:"},
    ).fetchall()
    assert "Tid Range Scan" in str(plan)
    assert shop.connection.execute(count).fetchone() == before


def test_a_backlog_is_estimated_within_a_tenth_without_reading_it(shop: Shop) -> None:
    shop.queue.copy(shop.connection, "fine", ({"n": n} for n in range(50_000)))
    estimated = wait_until(lambda: shop.status().backlog.unread_estimated)
    assert abs(estimated - 50_000) < 5_000
    assert shop.status().backlog.oldest_seconds is not None


def test_an_idle_queue_says_that_all_is_done(shop: Shop) -> None:
    """One more row of the ledger, after which nothing is written any more."""
    with shop.working():
        for n in range(50):
            shop.put("fine", arguments={"n": n})
        wait_until(lambda: shop.status().backlog.oldest_seconds is None)
        status = shop.status()
    assert status.backlog.unread_bytes == 0
    assert status.backlog.jobs_estimated == 0


def test_rates_are_counted(shop: Shop) -> None:
    with shop.working():
        for n in range(20):
            shop.put("fine", arguments={"n": n})
        shop.put("bad")
        wait_until(lambda: shop.status().rates.one_minute["done"] == 20, seconds=15)
        rates = shop.status().rates.one_minute
    assert (rates["seen"], rates["claimed"], rates["dead"]) == (21, 21, 1)


def test_a_queue_that_is_not_there(shop: Shop) -> None:
    with pytest.raises(BadInput, match="no queue"):
        run(shop.connection, operate.status("other"))


def test_every_statement_of_operation_is_understood(shop: Shop) -> None:
    """Prepared with the types that it declares, on every server."""
    names = {
        "bucket": "howdah.queue_later_0",
        "segment": '"howdah"."log_jobs_shop$0"',
        "function": '"howdah"."log_reports_shop$page"',
        "claims": '"howdah"."queue_shop$claim$0"',
        "other_claims": '"howdah"."queue_shop$claim$1"',
        "settled": '"howdah"."queue_shop$settled$0"',
        "other_settled": '"howdah"."queue_shop$settled$1"',
        "ledger": '"howdah"."queue_shop$ledger$0"',
        "other": '"howdah"."queue_shop$ledger$1"',
    }
    every = query.load("howdah.queue", "sql/operate.sql")
    for name in every:
        text = every.text(name)
        for key, value in names.items():
            text = text.replace("{" + key + "}", value)
        numbered = re.sub(r"%\(\w+\)s", "NULL", text)
        shop.connection.execute(f"PREPARE {name} AS {numbered.replace('%%', '%').rstrip(';')}")
