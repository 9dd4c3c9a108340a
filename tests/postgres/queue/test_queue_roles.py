"""Producers enqueue, workers work, readers look, and nobody does what is not theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from howdah import queue as queues
from howdah.driver import run
from howdah.errors import Denied
from howdah.queue import Queue, Unique, finding, operate
from howdah.queue.operate import Filter
from howdah.queue.standing import LISTED
from howdah.schema import install
from howdah.testing import Database
from howdah.testing.queues import drain

QUEUE = Queue("shop")


@QUEUE.job(unique=Unique(), max_attempts=1)
def once(n: int) -> None:
    if n < 0:
        raise ValueError(n)


@QUEUE.job(keep_result=True)
def plain(n: int) -> int:
    return n


@pytest.fixture
def shop(database: Database) -> Iterator[Database]:
    with database.connect() as connection:
        install(connection, [queues.COMPONENT])
        QUEUE.create(connection)
        yield database


def as_member(shop: Database, role: str) -> psycopg.Connection[Any]:
    return shop.connect(user=shop.create_role(member_of=[role]))


def denied(connection: psycopg.Connection[Any], *statements: str) -> None:
    for statement in statements:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def enqueue_in_every_way(connection: psycopg.Connection[Any]) -> None:
    plain.enqueue(connection, n=1)
    once.enqueue(connection, n=2)
    once.enqueue(connection, n=-1)
    assert not once.enqueue(connection, n=2).new
    plain.having(delay_seconds=0.0).enqueue(connection, n=3)
    plain.having(delay_seconds=900.0).enqueue(connection, n=4)
    QUEUE.enqueue_many(connection, "plain", [{"n": 5}, {"n": 6}])
    QUEUE.copy(connection, "plain", [{"n": 7}])
    connection.execute("SELECT howdah.enqueue('shop', 'plain', '{\"n\": 8}')")


def test_a_producer_enqueues_and_nothing_else(shop: Database) -> None:
    with as_member(shop, "howdah_producer") as producer:
        enqueue_in_every_way(producer)
        denied(
            producer,
            "SELECT payload FROM howdah.log_jobs_shop$0",
            "SELECT * FROM howdah.queue_dead",
            "INSERT INTO howdah.log_jobs_shop$0 (id, topic, payload) VALUES (1, 'plain', '')",
            "DELETE FROM howdah.log_jobs_shop$0",
            "INSERT INTO howdah.queue_later_0 SELECT FROM generate_series(1, 0)",
            "SELECT howdah.drop_queue('shop')",
            "SELECT howdah.create_queue('other')",
            "SELECT howdah.complete('shop', 1, 1, 1)",
            "SELECT * FROM howdah.queue_apply('shop', '{}')",
            "SELECT * FROM howdah.log_jobs_shop$peek('1:1:')",
        )
    with shop.connect() as connection:
        assert (
            sorted(each.kind for each in drain(QUEUE, connection)) == ["once"] * 2 + ["plain"] * 6
        )


def test_a_worker_works_and_dispatches(shop: Database) -> None:
    with as_member(shop, "howdah_worker") as worker:
        enqueue_in_every_way(worker)
        QUEUE.cron("* * * * *", "plain", {"n": 9}, name="every minute")
        ran = drain(QUEUE, worker)
        assert len(ran) >= 8
        run(worker, queues.store.maintain("shop"))
        (dead,) = run(worker, operate.jobs("shop", ["dead"], Filter())).jobs
        QUEUE.redrive(worker, dead.job)
        assert [each.kind for each in drain(QUEUE, worker) if each.error] == ["once"]
        run(worker, operate.status("shop"))
        denied(
            worker,
            "SELECT howdah.drop_queue('shop')",
            "SELECT howdah.create_queue('other')",
            "UPDATE howdah.queue_shop$ledger$0 SET epoch = 9",
            "DELETE FROM howdah.queue_shop$claim$0",
            "UPDATE howdah.log_jobs_shop$0 SET payload = ''",
            "DELETE FROM howdah.queue_dead",
            "CREATE TABLE howdah.mine ()",
        )


def test_a_reader_looks_and_changes_nothing(shop: Database) -> None:
    with shop.connect() as connection:
        enqueue_in_every_way(connection)
        drain(QUEUE, connection)
        waiting = plain.enqueue(connection, n=1).job
    with as_member(shop, "howdah_reader") as reader:
        assert run(reader, operate.status("shop")).dead.count == 1
        assert run(reader, operate.queues()) == ["shop"]
        assert run(reader, operate.jobs("shop", LISTED, Filter())).jobs
        assert run(reader, finding.show("shop", waiting)).state == "waiting"
        assert run(reader, operate.timetable("shop")).queue == "shop"
        with pytest.raises(Denied):
            plain.enqueue(reader, n=1)
        with pytest.raises(Denied):
            plain.having(delay_seconds=5).enqueue(reader, n=1)
        with pytest.raises(Denied):
            QUEUE.pause(reader)
        denied(
            reader,
            "SELECT howdah.queue_maintain('shop')",
            "INSERT INTO howdah.queue_shop$ledger$0 SELECT FROM generate_series(1, 0)",
            "DELETE FROM howdah.queue_pause",
        )
