"""What a queue leaves behind: no dead rows, nothing when idle, ledgers that are emptied."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

import howdah.queue
from howdah.driver import run
from howdah.queue import Queue, WorkerOptions, desk, store
from howdah.queue.dispatch import Dispatching
from howdah.schema.api import install
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer

from .working import at_least, made, wait_for, wait_quiet, working

HOT = """SELECT sum(n_dead_tup)::int, sum(n_tup_upd)::int, sum(n_tup_del)::int
         FROM pg_stat_user_tables WHERE relname ~ '^(log_(jobs|reports)_|queue_shop[$])'"""
XMAX = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


def counting(queue: Queue) -> list[int]:
    seen: list[int] = []

    @queue.job
    def note(n: int) -> None:
        seen.append(n)

    return seen


@contextmanager
def held(database: Database, how: str) -> Iterator[None]:
    """Somebody else's transaction, open all the time."""
    with ExitStack() as stack:
        if how == "reader":
            other = stack.enter_context(database.connect(autocommit=False))
            other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            other.execute("SELECT count(*) FROM pg_class")
        elif how == "writer elsewhere":
            other = stack.enter_context(database.server.connect("postgres", autocommit=False))
            other.execute("SELECT pg_current_xact_id()")
        yield


@pytest.mark.postgres(newest_by_default=True)
@pytest.mark.parametrize("how", ["nobody", "reader", "writer elsewhere"])
def test_hot_tables_have_no_dead_rows(database: Database, how: str) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen = counting(queue)
    with made(database, queue) as connection, held(database, how):
        with working(queue, database.dsn, threads=4):
            for _ in range(20):
                queue.enqueue_many(connection, "note", [{"n": n} for n in range(100)], key="k")
                queue.copy(connection, "note", [{"n": n} for n in range(400)])
            wait_until(lambda: len(seen) >= 10_000, seconds=30)
            wait_quiet(connection, "shop")
        wait_for(
            connection,
            "SELECT sum(n_tup_ins) >= 10000 FROM pg_stat_user_tables"
            " WHERE relname LIKE 'log_jobs_shop$%%'",
        )
        assert connection.execute(HOT).fetchone() == (0, 0, 0)
    assert len(seen) == 10_000


def test_segments_are_given_back_while_somebody_holds_the_horizon(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen = counting(queue)
    with (
        made(database, queue) as connection,
        held(database, "reader"),
        working(queue, database.dsn, threads=4),
    ):
        queue.copy(connection, "note", [{"n": n} for n in range(2_000)])
        wait_until(lambda: len(seen) >= 2_000, seconds=30)
        connection.execute("UPDATE howdah.log_turn SET opened_at = opened_at - interval '1 h'")
        for round in range(1, 4):  # maintenance comes with work, every few seconds
            queue.copy(connection, "note", [{"n": n} for n in range(10)])
            wait_until(at_least(seen, 2_000 + 10 * round))
            wait_quiet(connection, "shop")
        wait_for(
            connection,
            """SELECT pg_relation_size('howdah."log_jobs_shop$0"') = 0""",
            seconds=20,
        )


@pytest.mark.postgres(newest_by_default=True)
def test_an_idle_queue_takes_no_transaction_id(own_server: OwnServer) -> None:
    server = own_server()
    dsn = server.create_database("shop")
    queue = Queue("shop", lease_seconds=1)
    seen = counting(queue)
    queue.cron("0 0 1 1 *", "note", {"n": -1})
    with server.connect("shop") as connection:
        install(connection, [howdah.queue.COMPONENT])
        queue.create(connection)
        with working(queue, dsn), working(queue, dsn):
            queue.enqueue_many(connection, "note", [{"n": n} for n in range(100)])
            queue.enqueue(connection, "note", {"n": 100}, delay_seconds=3600)
            wait_until(lambda: len(seen) == 100)

            def rested() -> bool:
                """Six leases without a transaction id, with a dispatcher and another candidate."""
                before = connection.execute(XMAX).fetchone()
                threading.Event().wait(6.0)
                return connection.execute(XMAX).fetchone() == before

            wait_until(rested, seconds=20)


def test_halves_of_the_ledger_take_turns_and_are_emptied(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen = counting(queue)
    with made(database, queue) as connection:
        _at_generation(connection, 65_530)
        with working(queue, database.dsn):
            for n in range(30):
                queue.enqueue(connection, "note", {"n": n})
                wait_until(at_least(seen, n + 1))
            wait_quiet(connection, "shop")
        newest = connection.execute("SELECT generation FROM howdah.queue_newest('shop')").fetchone()
        assert newest is not None
        assert newest[0] > 65_536
        assert _sizes(connection) == (True, True)
        assert _trimmed(connection) == []  # somebody may still read it
        _at_generation(connection, 65_536 + 32_769)
        with working(queue, database.dsn):
            queue.enqueue(connection, "note", {"n": 30})
            wait_until(lambda: len(seen) == 31)
            wait_quiet(connection, "shop")
            wait_for(connection, """SELECT pg_relation_size('howdah."queue_shop$ledger$0"') = 0""")
        assert _sizes(connection) == (False, True)
        _at_generation(connection, 2 * 65_536 - 3)
        with working(queue, database.dsn):
            queue.enqueue_many(connection, "note", [{"n": n} for n in range(31, 60)])
            wait_until(lambda: len(seen) == 60)
            wait_quiet(connection, "shop")
    assert sorted(seen) == list(range(60))


def _at_generation(connection: psycopg.Connection[Any], generation: int) -> None:
    """Move the ledger on, as so many steps would have."""
    half = (generation >> 16) & 1
    connection.execute(
        f"""INSERT INTO howdah."queue_shop$ledger${half}"
            (generation, epoch, done, read, upto, last_id, heard, floor)
            SELECT %s, epoch, done, read, upto, last_id, heard, %s
            FROM howdah.queue_newest('shop')""",
        (generation, generation),
    )


def _sizes(connection: psycopg.Connection[Any]) -> tuple[bool, bool]:
    row = connection.execute(
        """SELECT pg_relation_size('howdah."queue_shop$ledger$0"') > 0,
                  pg_relation_size('howdah."queue_shop$ledger$1"') > 0"""
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _trimmed(connection: psycopg.Connection[Any]) -> list[Any]:
    rows = connection.execute("SELECT action, detail FROM howdah.queue_maintain('shop')").fetchall()
    return [detail for action, detail in rows if action == "trimmed"]


def test_the_first_read_of_each_poll_uses_an_index(database: Database) -> None:
    """Tables without statistics, as large as they get before their half is over."""
    queue = Queue("shop", lease_seconds=2)
    with made(database, queue) as connection:
        connection.execute(
            """INSERT INTO howdah."queue_shop$claim$0"
               (generation, ordinal, worker, rows, segments, tids)
               SELECT g, 0, 'w' || mod(g, 8), ARRAY[g], '{0}', '{"(0,1)"}'
               FROM generate_series(2, 40000) AS g"""
        )
        connection.execute(
            """INSERT INTO howdah."queue_shop$ledger$0"
               (generation, epoch, done, read, heard, floor)
               SELECT g, 0, '1:1:', '1:1:', '1:1:', g FROM generate_series(2, 40000) AS g"""
        )
        connection.execute(
            """INSERT INTO howdah."queue_shop$settled$0"
               SELECT g, 0, g, false FROM generate_series(2, 40000) AS g"""
        )
        for block, tables, values in (
            ("claims", "claim", {"workers": ["w1", "w2"], "after": 39_990}),
            ("taken_away", "settled", {"generations": [5, 7], "ordinals": [0, 0]}),
        ):
            names = ("claims", "other_claims") if tables == "claim" else (tables, "other_settled")
            halves = {name: f"howdah.queue_shop${tables}${half}" for half, name in enumerate(names)}
            asked = desk._statement(block, **halves).text
            connection.execute("SET plan_cache_mode = force_generic_plan")
            plan = connection.execute("EXPLAIN (COSTS off) " + asked, values).fetchall()
            text = "\n".join(line for (line,) in plan)
            assert f'Seq Scan on "queue_shop${tables}$0"' not in text, text
        took = connection.execute(
            "EXPLAIN (ANALYZE, TIMING off, FORMAT json) SELECT * FROM howdah.queue_newest('shop')"
        ).fetchone()
        assert took is not None
        assert took[0][0]["Execution Time"] < 20


def test_a_dispatcher_without_work_reads_once_a_turn_and_writes_nothing(
    database: Database,
) -> None:
    queue = Queue("shop", lease_seconds=2)
    options = WorkerOptions()
    assert options.idle_poll_seconds <= 0.05
    with made(database, queue) as connection:
        dispatching = Dispatching("shop", queue.policy)
        run(connection, dispatching.start())
        for _ in range(3):
            run(connection, dispatching.turn())
        generation = run(connection, store.newest("shop")).generation
        for _ in range(20):
            turn = run(connection, dispatching.turn())
            assert not turn.busy
        assert run(connection, store.newest("shop")).generation <= generation + 1
