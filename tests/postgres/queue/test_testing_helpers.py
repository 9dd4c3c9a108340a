"""The helpers for tests of programs: drain, assertions, and time that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from howdah import queue as queues
from howdah.errors import BadInput
from howdah.queue import Backoff, JobContext, Queue, Retry
from howdah.schema import install
from howdah.testing import Database
from howdah.testing.queues import assert_enqueued, drain, enqueued, run_job, sql_time

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect() as opened:
        install(opened, [queues.COMPONENT])
        yield opened


def made(connection: psycopg.Connection[Any]) -> tuple[Queue, list[Any]]:
    queue = Queue("shop")
    seen: list[Any] = []

    @queue.job(backoff=Backoff(base_seconds=60, jitter="none"))
    def mail(address: str, job: JobContext) -> None:
        seen.append((address, job.attempt))
        if address == "slow" and job.attempt < 3:
            raise Retry("not yet")

    @queue.job(keep_result=True)
    async def double(n: int) -> int:
        seen.append(n)
        return n * 2

    @queue.job(batch=True)
    def many(jobs: list[JobContext]) -> None:
        seen.append(sorted(each.arguments()["n"] for each in jobs))
        for each in jobs:
            if each.arguments()["n"] == 2:
                each.fail(ValueError("two"))

    @queue.job(max_attempts=1)
    def bad() -> None:
        raise ValueError("bad")

    queue.create(connection)
    return queue, seen


def test_what_is_due_runs_in_order_and_what_fails_is_told(
    connection: psycopg.Connection[Any],
) -> None:
    queue, seen = made(connection)
    for address in ("ann", "bob"):
        queue.enqueue(connection, "mail", {"address": address})
    job = queue.enqueue(connection, "double", {"n": 21}).job
    queue.enqueue(connection, "bad")
    ran = drain(queue, connection)
    assert [(each.kind, each.error) for each in ran] == [
        ("mail", None),
        ("mail", None),
        ("double", None),
        ("bad", "ValueError: bad"),
    ]
    assert seen == [("ann", 1), ("bob", 1), 21]
    assert ran[2].result == 42
    kept = queue.result(connection, job)
    assert kept is not None
    assert kept[:2] == (True, 42)
    assert drain(queue, connection) == []
    assert connection.execute("SELECT kind FROM howdah.queue_dead").fetchall() == [("bad",)]


def test_time_stands_still_until_it_is_moved(connection: psycopg.Connection[Any]) -> None:
    queue, seen = made(connection)
    start = datetime(2031, 5, 1, 12, tzinfo=UTC)
    with sql_time(connection, start) as time:
        queue.enqueue(connection, "mail", {"address": "slow"})
        queue.enqueue(connection, "mail", {"address": "late"}, delay_seconds=3600)
        queue.cron("0 13 * * *", "double", {"n": 1})
        drain(queue, connection)
        assert seen == [("slow", 1)]
        time.advance(timedelta(seconds=59))
        assert drain(queue, connection) == []
        time.advance(timedelta(seconds=1))
        drain(queue, connection)
        time.advance(timedelta(seconds=120))
        drain(queue, connection)
        assert seen == [("slow", 1), ("slow", 2), ("slow", 3)]
        time.set(start + timedelta(hours=1))
        drain(queue, connection)
        assert sorted(map(str, seen[3:])) == ["('late', 1)", "1"]
    row = connection.execute(
        "SELECT abs(extract(epoch FROM howdah.clock() - now())) < 60"
    ).fetchone()
    assert row == (True,)


def test_batches_and_an_event_loop_around_it(connection: psycopg.Connection[Any]) -> None:
    queue, seen = made(connection)
    queue.enqueue_many(connection, "many", [{"n": n} for n in range(4)])
    queue.enqueue(connection, "double", {"n": 5})

    async def inside() -> list[Any]:
        return [(each.kind, each.error) for each in drain(queue, connection)]

    ran = asyncio.run(inside())
    assert sorted(n for each in seen if isinstance(each, list) for n in each) == [0, 1, 2, 3]
    assert 5 in seen
    assert ("many", "ValueError: two") in ran


def test_what_was_enqueued_is_seen_before_it_commits(connection: psycopg.Connection[Any]) -> None:
    queue, _ = made(connection)
    with connection.transaction(force_rollback=True):
        queue.enqueue(connection, "mail", {"address": "ann"}, key="a")
        queue.enqueue(connection, "mail", {"address": "bob"}, delay_seconds=60)
        assert assert_enqueued(queue, connection, "mail", {"address": "ann"}, key="a")
        assert_enqueued(queue, connection, "mail", times=2)
        assert [each.due is None for each in enqueued(queue, connection)] == [True, False]
        with pytest.raises(AssertionError, match=r"no job mail .*cid.*in queue shop"):
            assert_enqueued(queue, connection, "mail", {"address": "cid"})
        with pytest.raises(AssertionError, match="2 job mail"):
            assert_enqueued(queue, connection, "mail", times=1)
    assert enqueued(queue, connection) == []
    assert drain(queue, connection) == []


def test_one_handler_without_a_database() -> None:
    queue = Queue("shop")

    @queue.job
    def mail(address: str, job: JobContext) -> str:
        return f"{address} {job.attempt} {job.key}"

    @queue.job
    async def slow(n: int) -> int:
        return n + 1

    assert run_job(mail, address="ann", attempt=2, key="k") == "ann 2 k"
    assert run_job(slow, n=1) == 2
    with pytest.raises(BadInput, match="takes no argument"):
        run_job(mail, adress="ann")


def test_drain_refuses_a_transaction(database: Database) -> None:
    with (
        database.connect(autocommit=False) as connection,
        pytest.raises(BadInput, match="autocommit"),
    ):
        drain(Queue("shop"), connection)
