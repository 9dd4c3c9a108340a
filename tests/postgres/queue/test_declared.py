"""What workers declare holds on the whole queue, whoever dispatches; claims that nobody took."""

from __future__ import annotations

import signal
import threading
from typing import Any

import psycopg
import pytest

from howdah.queue import Allowance, Backoff, JobContext, KindPolicy, Limit, Queue
from howdah.testing import Database, wait_until

from .app import queue as app
from .working import RAN, Process, leader, made, wait_for, wait_quiet, working

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

SOON = Backoff(base_seconds=0.05, jitter="none")
DEAD = "SELECT array_agg(attempt ORDER BY job) FROM howdah.queue_dead"


def failing(attempts: int, *, name: str = "shop") -> Queue:
    """An application whose jobs always fail, so often."""
    queue = Queue(name, lease_seconds=2)

    @queue.job(max_attempts=attempts, backoff=SOON)
    def ship() -> None:
        raise ValueError("broken")

    return queue


def other(seen: list[tuple[int, int]] | None = None) -> Queue:
    """An application on the same queue that knows nothing of shipping."""
    queue = Queue("shop", lease_seconds=2, default=KindPolicy(max_attempts=50, backoff=SOON))

    @queue.job(max_attempts=2, backoff=SOON)
    def bill(n: int, ctx: JobContext) -> None:
        if seen is not None:
            seen.append((n, ctx.attempt))
            threading.Event().wait(0.002)  # still running when somebody registers
        if n % 5 == 0 and ctx.attempt == 1:
            raise ValueError("once more")

    return queue


def dead(connection: psycopg.Connection[Any], count: int) -> list[int]:
    wait_for(connection, "SELECT count(*) >= %s FROM howdah.queue_dead", count)
    row = connection.execute(DEAD).fetchone()
    assert row is not None
    return list(row[0])


def test_a_dispatcher_treats_the_kinds_of_another_application_as_that_one_says(
    database: Database,
) -> None:
    billing, shipping = other(), failing(2)
    with made(database, billing) as connection:
        with working(billing, database.dsn):
            wait_until(lambda: leader(connection, "shop"))
            with working(shipping, database.dsn, dispatch=False):
                shipping.enqueue(connection, "ship")
                assert dead(connection, 1) == [2]
        # Another dispatcher, which never heard of it: it is in the record.
        with working(failing(2), database.dsn, dispatch=False), working(other(), database.dsn):
            shipping.enqueue(connection, "ship")
            assert dead(connection, 2) == [2, 2]
            wait_quiet(connection, "shop")


def test_a_new_dispatcher_knows_the_kinds_of_a_worker_that_died_with_the_last(
    database: Database,
) -> None:
    """The process that ran the job was the dispatcher; the next one must not give it again."""
    with made(database, app) as connection:
        connection.execute(RAN)
        with Process(database.dsn) as first:
            app.enqueue(connection, "last_words", {"n": 1})
            assert first.ended() == -signal.SIGKILL
        with working(Queue("crash", lease_seconds=2), database.dsn):
            assert dead(connection, 1) == [1]
        assert connection.execute("SELECT n, attempt FROM ran").fetchall() == [(1, 1)]


def test_of_two_versions_the_one_that_began_last_counts_whoever_registers_last(
    database: Database,
) -> None:
    old, new = failing(1), failing(3)
    with made(database, old) as connection, working(old, database.dsn) as older:
        wait_for(connection, "SELECT policy ->> 'max_attempts' = '1' FROM howdah.queue_kind")
        with working(new, database.dsn, dispatch=False):
            wait_for(connection, "SELECT policy ->> 'max_attempts' = '3' FROM howdah.queue_kind")
            # As it does when it lost its connection.
            older._registering.make_known(connection, older.crews)
            kept = connection.execute("SELECT policy ->> 'max_attempts' FROM howdah.queue_kind")
            assert kept.fetchall() == [("3",)]
            new.enqueue(connection, "ship")
            assert dead(connection, 1) == [3]


def test_idle_workers_that_died_cost_their_jobs_nothing(database: Database) -> None:
    """A job that may run once, and one that may run often: both are given to the dead at first."""
    with (
        made(database, app) as connection,
        working(Queue("crash", lease_seconds=2), database.dsn),
    ):
        connection.execute(RAN)
        with Process(database.dsn, "dispatch=false", "threads=8") as idle:
            wait_for(
                connection,
                "SELECT max(registered_at) < howdah.clock() - interval '1 s'"
                " FROM howdah.queue_worker",
            )
            idle.send(signal.SIGKILL)
            idle.ended()
        app.enqueue(connection, "fragile", {"n": 1})
        wait_for(connection, CLAIMED, 1)
        app.enqueue(connection, "note", {"n": 2})
        with Process(database.dsn, "dispatch=false"):
            wait_for(connection, "SELECT count(*) = 2 FROM ran WHERE ended IS NOT NULL")
            wait_quiet(connection, "crash")
        ran = connection.execute("SELECT n, attempt FROM ran ORDER BY n").fetchall()
        given = connection.execute(GIVEN).fetchone()
    assert ran == [(1, 1), (2, 1)]
    assert given is not None
    assert given[0] >= 2


CLAIMED = """SELECT count(*) >= %s FROM howdah."queue_crash$claim$0" """
GIVEN = """SELECT count(*) FROM howdah."queue_crash$claim$0" WHERE attempts[1] < 0"""


def test_a_limit_holds_under_a_dispatcher_that_does_not_declare_it(database: Database) -> None:
    narrow = Allowance(concurrency=1)
    one = Limit(name="ships", by="kind", kinds=frozenset({"ship"}), allow=narrow)
    shipping = Queue("shop", lease_seconds=2, limits=[one])
    at_once: list[int] = []
    now = threading.Semaphore(0)
    running = [0]
    lock = threading.Lock()

    @shipping.job
    def ship(n: int) -> None:
        with lock:
            running[0] += 1
            at_once.append(running[0])
        now.acquire(timeout=0.02)
        with lock:
            running[0] -= 1

    with made(database, shipping) as connection, working(other(), database.dsn):
        wait_until(lambda: leader(connection, "shop"))
        with working(shipping, database.dsn, dispatch=False, threads=4):
            wait_for(connection, "SELECT count(*) = 2 FROM howdah.queue_worker")
            shipping.enqueue_many(connection, "ship", [{"n": n} for n in range(40)])
            wait_until(lambda: len(at_once) == 40)
            wait_quiet(connection, "shop")
    assert max(at_once) == 1


def test_a_limit_that_is_declared_in_the_middle_of_work_loses_and_repeats_nothing(
    database: Database,
) -> None:
    """The dispatcher begins anew from the record while claims are open and retries are due."""
    seen: list[tuple[int, int]] = []
    billing = other(seen)
    limits = [[Limit(name=name, allow=Allowance(concurrency=50))] for name in ("a", "b", "c")]
    with made(database, billing) as connection, working(billing, database.dsn):
        wait_until(lambda: leader(connection, "shop"))
        before = epoch(connection)
        billing.enqueue_many(connection, "bill", [{"n": n} for n in range(600)])
        for at, declared in enumerate(limits, start=1):
            wait_until(lambda: len(seen) > 150 * at)  # noqa: B023 - called before the next turn
            late = Queue("shop", lease_seconds=2, limits=declared)
            late.job(name="nothing")(print)
            with working(late, database.dsn, dispatch=False):
                wait_until(lambda: epoch(connection) >= before + at)  # noqa: B023 - as above
        wait_quiet(connection, "shop")
    again = [(n, 2) for n in range(0, 600, 5)]
    assert sorted(seen) == sorted([(n, 1) for n in range(600)] + again)


def epoch(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT epoch FROM howdah.queue_newest('shop')").fetchone()
    assert row is not None
    return int(row[0])


def test_a_worker_of_the_previous_version_goes_on_as_it_did(database: Database) -> None:
    """Its row and its report say nothing of policies, and nobody waits for it to confirm."""
    queue = Queue("shop", lease_seconds=2)
    with made(database, queue) as connection:
        connection.execute(
            "INSERT INTO howdah.queue_worker (queue_id, name, slots, kinds, host, pid)"
            " SELECT queue_id, 'old', 1, '{ship}', 'there', 1 FROM howdah.queue"
        )
        said = '{"type": "Registered", "worker": "old", "slots": 1, "kinds": ["ship"], "at": 0.0}'
        with working(queue, database.dsn):
            wait_until(lambda: leader(connection, "shop"))
            connection.execute(
                "SELECT howdah.emit('reports_shop', 'report', NULL::text, %s::jsonb)", (said,)
            )
            queue.enqueue(connection, "ship", max_attempts=1)
            # Nobody runs it: it is lost with its worker, and counts as before.
            assert dead(connection, 1) == [1]
        claimed = 'SELECT worker, attempts FROM howdah."queue_shop$claim$0"'
        assert connection.execute(claimed).fetchall() == [("old", None)]
