"""Dispatchers and workers that die, stop or lose their connections; servers that crash."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

import howdah.queue
from howdah.driver import Steps
from howdah.errors import BadInput, PositionLost
from howdah.queue import Backoff, JobContext, KindPolicy, Queue, Worker, store
from howdah.schema.api import install
from howdah.testing import Database, wait_until
from howdah.testing.crashing import drop
from howdah.testing.fixtures import OwnServer

from .app import queue as app
from .working import RAN, Process, at_least, has_all, leader, made, wait_for, wait_quiet, working

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

SOON = Backoff(base_seconds=0.05, jitter="none")
LATE = "SELECT count(DISTINCT n) = %s FROM ran"


@contextmanager
def prepared(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with made(database, app) as connection:
        connection.execute(RAN)
        connection.execute("CREATE TABLE effects (n int, attempt int)")
        connection.execute("CREATE TABLE refused (n int, attempt int)")
        yield connection


def test_a_zombie_can_end_nothing(database: Database) -> None:
    """Stopped past its lease, its job is done elsewhere; what it says later is not believed."""
    with (
        prepared(database) as connection,
        working(Queue("crash", lease_seconds=2), database.dsn),
        database.connect() as gate,
        Process(database.dsn, "dispatch=false") as zombie,
    ):
        gate.execute("SELECT pg_advisory_lock(1)")
        app.enqueue(connection, "stubborn", {"n": 1})
        app.enqueue(connection, "note", {"n": 2, "seconds": 1000.0})
        wait_for(connection, "SELECT count(*) = 2 FROM ran")
        zombie.send(signal.SIGSTOP)
        with Process(database.dsn, "dispatch=false"):
            wait_for(connection, "SELECT count(*) = 4 FROM ran")
            gate.execute("SELECT pg_advisory_unlock(1)")
            wait_for(connection, "SELECT count(*) = 1 FROM effects")
            zombie.send(signal.SIGCONT)
            wait_for(connection, "SELECT count(*) = 1 FROM refused")
            sleeping = "SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '1000|pg_sleep'"
            wait_for(connection, sleeping + " AND state = 'active' AND pid <> pg_backend_pid()")
        attempts = connection.execute("SELECT n, attempt FROM ran ORDER BY n, attempt").fetchall()
        assert attempts[:2] == [(1, 1), (1, 2)]
        assert connection.execute("TABLE effects").fetchall() == [(1, 2)]
        assert connection.execute("TABLE refused").fetchall() == [(1, 1)]


def test_a_job_that_kills_its_worker_stops_at_its_limit(database: Database) -> None:
    policy = KindPolicy(max_attempts=3)
    dispatcher = Queue("crash", lease_seconds=1, default=policy)
    with prepared(database) as connection, working(dispatcher, database.dsn):
        app.enqueue(connection, "killer", {"n": 1})
        for attempt in range(1, 4):
            with Process(database.dsn, "dispatch=false") as process:
                assert process.ended() == -signal.SIGKILL
            assert connection.execute("SELECT max(attempt) FROM ran").fetchone() == (attempt,)
        wait_for(connection, "SELECT count(*) = 1 FROM howdah.queue_dead")
        row = connection.execute("SELECT reason, attempt FROM howdah.queue_dead").fetchone()
    assert row == ("lost", 3)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_another_dispatcher_takes_over_in_seconds(database: Database, blow: signal.Signals) -> None:
    with prepared(database) as connection, Process(database.dsn, "threads=1") as first:
        app.enqueue(connection, "note", {"n": 0})
        wait_for(connection, LATE, 1)
        with Process(database.dsn, "threads=2"):
            wait_for(
                connection,
                "SELECT count(*) = 2 FROM howdah.queue_worker WHERE slots = 2 OR slots = 1",
            )
            app.enqueue_many(connection, "note", [{"n": n, "seconds": 0.01} for n in range(1, 40)])
            wait_for(connection, "SELECT count(*) > 3 FROM ran")
            first.send(blow)
            app.enqueue_many(connection, "note", [{"n": n} for n in range(40, 60)])
            # A lease for whoever stands still, another for what it had claimed.
            wait_for(connection, LATE, 60, seconds=12)
            first.send(signal.SIGCONT)
            app.enqueue_many(connection, "note", [{"n": n} for n in range(60, 80)])
            wait_for(connection, LATE, 80)
            wait_quiet(connection, "crash")
        again = connection.execute(
            "SELECT count(*) FROM (SELECT FROM ran GROUP BY n HAVING count(*) > 1) AS r"
        ).fetchone()
    assert again is not None
    assert again[0] <= 10


def test_a_delayed_job_wakes_a_queue_whose_dispatcher_stands_still(database: Database) -> None:
    with prepared(database) as connection, Process(database.dsn) as first:
        app.enqueue(connection, "note", {"n": 0})
        wait_for(connection, LATE, 1)
        app.enqueue(connection, "note", {"n": 1}, delay_seconds=2.5)
        with Process(database.dsn):
            wait_quiet_but_later(connection)
            first.send(signal.SIGSTOP)
            wait_for(connection, LATE, 2, seconds=15)


def wait_quiet_but_later(connection: psycopg.Connection[Any]) -> None:
    wait_for(
        connection,
        """SELECT NOT (SELECT j.waiting FROM howdah."log_jobs_crash$peek"(n.done)
                            AS j) FROM howdah.queue_newest('crash') AS n""",
    )


def some_work(queue: Queue, seen: list[int]) -> None:
    @queue.job(backoff=SOON, max_attempts=20)
    def note(n: int, ctx: JobContext) -> None:
        seen.append(n)
        threading.Event().wait(0.002)


def test_every_connection_of_a_worker_may_be_terminated(database: Database) -> None:
    queue, seen = Queue("shop", lease_seconds=2), list[int]()
    some_work(queue, seen)
    with made(database, queue) as connection, working(queue, database.dsn, threads=4):
        for at, name in enumerate(("fetch", "send", "beat", "candidate", "%")):
            queue.enqueue_many(
                connection, "note", [{"n": n} for n in range(at * 200, at * 200 + 200)]
            )
            wait_until(at_least(seen, at * 200 + 1))
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE %s AND datname = current_database()",
                (f"howdah queue {name}",),
            )
            wait_until(has_all(seen, at * 200 + 200), seconds=15)
        wait_quiet(connection, "shop")
    assert len(seen) <= 1000 + 50


def test_a_cut_socket_is_survived(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[psycopg.Connection[Any]] = []
    connects = Worker._connect

    def noting(worker: Worker, what: str) -> psycopg.Connection[Any]:
        opened.append(connects(worker, what))
        return opened[-1]

    monkeypatch.setattr(Worker, "_connect", noting)
    queue, seen = Queue("shop", lease_seconds=2), list[int]()
    some_work(queue, seen)
    with made(database, queue) as connection, working(queue, database.dsn, threads=4):
        queue.enqueue_many(connection, "note", [{"n": n} for n in range(200)])
        wait_until(lambda: seen)
        for each in opened:
            if not each.closed:
                drop(each)
        wait_until(lambda: set(seen) == set(range(200)), seconds=20)
        wait_quiet(connection, "shop")


def test_an_immediate_restart_of_the_server_loses_nothing(own_server: OwnServer) -> None:
    server = own_server({"fsync": "on"})
    dsn = server.create_database("shop")
    queue, seen = Queue("shop", lease_seconds=2), list[int]()
    some_work(queue, seen)
    with server.connect("shop") as connection:
        install(connection, [howdah.queue.COMPONENT])
        queue.create(connection)
    with working(queue, dsn, threads=4):
        for crash in range(2):
            with server.connect("shop") as connection:
                queue.enqueue_many(
                    connection, "note", [{"n": n} for n in range(crash * 300, crash * 300 + 300)]
                )
            wait_until(at_least(seen, crash * 300 + 21))
            server.stop("immediate")
            server.restart()
            wait_until(has_all(seen, crash * 300 + 300), seconds=20)
        with server.connect("shop") as connection:
            wait_quiet(connection, "shop")


def test_behind_a_pooler_the_lock_means_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody gets the lock: the ledger alone decides, and the queue comes to rest."""

    def always(queue: str) -> Steps[bool]:
        yield from store.open_queue(queue)
        return True

    monkeypatch.setattr(store, "elect", always)
    queue, seen = Queue("shop", lease_seconds=1), list[int]()
    some_work(queue, seen)
    with (
        made(database, queue) as connection,
        working(queue, database.dsn),
        working(queue, database.dsn),
        working(queue, database.dsn),
    ):
        for n in range(300):
            queue.enqueue(connection, "note", {"n": n})
        wait_until(lambda: set(seen) == set(range(300)), seconds=30)
        wait_quiet(connection, "shop")
        before = connection.execute("SELECT epoch FROM howdah.queue_newest('shop')").fetchone()
        queue.enqueue(connection, "note", {"n": 300})
        wait_until(lambda: 300 in seen)
        wait_quiet(connection, "shop")
        after = connection.execute("SELECT epoch FROM howdah.queue_newest('shop')").fetchone()
    assert before is not None
    assert after is not None
    assert before[0] <= 12
    assert after[0] <= before[0] + 1
    assert len(seen) < 400


def test_a_queue_that_was_copied_is_refused_until_it_is_reanchored(database: Database) -> None:
    queue, seen = Queue("shop", lease_seconds=2), list[int]()
    some_work(queue, seen)
    name = f"{database.name}_copy"
    with made(database, queue) as connection:
        with working(queue, database.dsn):
            queue.enqueue_many(connection, "note", [{"n": n} for n in range(50)])
            wait_until(lambda: len(seen) == 50)
            wait_quiet(connection, "shop")
        queue.enqueue_many(connection, "note", [{"n": n} for n in range(50, 60)], key="k")
        queue.enqueue(connection, "note", {"n": 60}, delay_seconds=0.5)
        with pytest.raises(BadInput):
            queue.reanchor(connection)
    seen.clear()
    with database.server.connect("postgres") as outside:
        outside.execute(f"CREATE DATABASE {name} TEMPLATE {database.name}")
    try:
        dsn = database.server.dsn(name)
        with pytest.raises(PositionLost) as refused, working(queue, dsn) as worker:
            assert worker._stopping.wait(10)
        assert "queue_reanchor" in refused.value.hint
        with database.server.connect(name) as connection:
            assert queue.reanchor(connection) == 10
            with working(queue, dsn):
                queue.enqueue(connection, "note", {"n": 61})
                wait_until(lambda: len(seen) == 12)
                wait_quiet(connection, "shop")
        assert sorted(seen) == list(range(50, 62))
        assert [n for n in seen if n < 60] == list(range(50, 60))
    finally:
        with database.server.connect("postgres") as outside:
            outside.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_dispatcher_is_the_one_that_has_the_lock(database: Database) -> None:
    queue, seen = Queue("shop", lease_seconds=2), list[int]()
    some_work(queue, seen)
    with made(database, queue) as connection, working(queue, database.dsn):
        wait_until(lambda: leader(connection, "shop"))
