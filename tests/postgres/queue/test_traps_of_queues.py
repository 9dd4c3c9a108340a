"""Traps that queues on PostgreSQL fall into, each with the sequence of events that springs it."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import howdah.queue
from howdah.queue import Queue, Unique
from howdah.testing import Database, wait_until

from .working import at_least, made, wait_for, wait_quiet, working

SQL = Path(howdah.queue.__file__).parent / "sql"


def noting() -> tuple[Queue, list[int]]:
    queue = Queue("shop", lease_seconds=2)
    seen: list[int] = []

    @queue.job(max_attempts=2)
    def note(n: int) -> None:
        seen.append(n)
        if n == 13 and seen.count(13) <= 1:
            raise howdah.queue.Fatal("no use")

    return queue, seen


def test_a_job_whose_number_is_older_than_its_commit_is_not_passed_over(
    database: Database,
) -> None:
    queue, seen = noting()
    with made(database, queue) as connection, working(queue, database.dsn):
        with database.connect() as slow, slow.transaction():
            early = queue.enqueue(slow, "note", {"n": 1}).job
            late = queue.enqueue(connection, "note", {"n": 2}).job
            wait_until(at_least(seen, 1))
            assert early < late
        wait_until(at_least(seen, 2))
        wait_quiet(connection, "shop")
    assert seen == [2, 1]


def test_a_prepared_transaction_is_delivered_whenever_it_commits(database: Database) -> None:
    queue, seen = noting()
    with made(database, queue) as connection:
        with database.connect(autocommit=False) as other:
            queue.enqueue(other, "note", {"n": 1})
            other.execute("PREPARE TRANSACTION 'howdah queue trap'")
        with working(queue, database.dsn):
            for n in range(2, 40):
                queue.enqueue(connection, "note", {"n": n})
            wait_until(at_least(seen, 37))
            wait_quiet(connection, "shop")
        with working(queue, database.dsn):
            connection.execute("COMMIT PREPARED 'howdah queue trap'")
            wait_until(lambda: 1 in seen)
            wait_quiet(connection, "shop")
    assert sorted(seen) == sorted([*range(1, 40), 13][:39]) or 13 in seen


def test_delays_count_from_the_call_and_not_from_the_transaction(database: Database) -> None:
    queue, _ = noting()
    with made(database, queue) as connection, connection.transaction():
        connection.execute("SELECT pg_sleep(0.4)")
        queue.enqueue(connection, "note", {"n": 1}, delay_seconds=300)
        union = " UNION ALL ".join(
            f"SELECT due FROM howdah.queue_later_{bucket}" for bucket in (*range(8), "far")
        )
        row = connection.execute(
            f"SELECT extract(epoch FROM due - now()) FROM ({union}) AS l"
        ).fetchone()
    assert row is not None
    assert row[0] >= 300.4


def test_jobs_that_come_while_their_key_is_let_go_are_not_left_behind(database: Database) -> None:
    queue, seen = noting()
    with made(database, queue) as connection, working(queue, database.dsn):
        for round in range(4):
            key = f"k{round}"
            seen.clear()
            bad = queue.enqueue(connection, "note", {"n": 13}, key=key).job
            wait_for(connection, "SELECT count(*) = 1 FROM howdah.queue_dead")
            queue.enqueue(connection, "note", {"n": 100}, key=key)
            wait_for(connection, "SELECT count(*) = 1 FROM howdah.queue_parked")
            stop = threading.Event()

            def produce(stop: threading.Event = stop, key: str = key) -> int:
                n = 100
                with database.connect() as own:
                    while not stop.is_set():
                        n += 1
                        queue.enqueue(own, "note", {"n": n}, key=key)
                return n

            with ThreadPoolExecutor(1) as pool:
                produced = pool.submit(produce)
                queue.discard(connection, bad)
                wait_until(lambda: 100 in seen)
                stop.set()
                last = produced.result()
            wait_until(at_least(seen, last - 98), seconds=20)
            assert seen[1:] == list(range(100, last + 1))
            wait_quiet(connection, "shop")


def test_producers_people_and_the_dispatcher_do_not_deadlock(database: Database) -> None:
    queue, seen = noting()
    with made(database, queue) as connection, working(queue, database.dsn, threads=4):

        def disturb(who: int) -> None:
            with database.connect() as own:
                for n in range(40):
                    job = queue.enqueue(own, "note", {"n": n % 7}, unique=Unique()).job
                    queue.enqueue(own, "note", {"n": n}, key=f"k{n % 3}", delay_seconds=0.01)
                    if n % 5 == who:
                        queue.cancel(own, job)
                    if n % 10 == who:
                        queue.purge(own, kind="note")
                    if n % 10 == who + 5:
                        queue.pause(own, kind="note")
                        queue.resume(own, kind="note")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(disturb, range(4)))
        for key in range(3):
            queue.release(connection, f"k{key}")
        wait_quiet(connection, "shop", seconds=30)
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row == (0,)
    assert seen


def test_no_row_of_a_queue_is_locked_to_be_claimed() -> None:
    text = "\n".join(path.read_text() for path in SQL.glob("*.sql"))
    assert not re.findall(r"FOR (UPDATE|NO KEY UPDATE|SHARE)|SKIP LOCKED|NOTIFY", text)


def test_no_two_incarnations_of_a_worker_share_a_name(database: Database) -> None:
    queue, _ = noting()
    with made(database, queue):
        names = {crew.name for _ in range(50) for crew in queue.worker(database.dsn).crews}
    assert len(names) == 50
