"""Storms, crowds and batches, made on real servers."""

from __future__ import annotations

from contextlib import ExitStack

from howdah.check.model import Kind
from howdah.check.rules.claims import (
    queue_batch_too_large,
    queue_index_storm,
    queue_skip_locked_crowd,
)
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects
from tests.postgres.queueing import TAKE, make, settled, work

PARTIAL = "CREATE INDEX alpha_new ON alpha (id) WHERE state = 'new'"
ROUNDS = 250


def test_an_open_snapshot_makes_a_storm(database: Database) -> None:
    with database.connect() as connection, database.connect(autocommit=False) as reader:
        make(connection, rows=3000, width=1500)
        connection.execute(PARTIAL)
        connection.execute("ANALYZE")
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM beta")
        work(connection, ROUNDS)
        connection.close()
        settled(database, "alpha", n_tup_upd=20 * ROUNDS)
        result = examine(database, queue_index_storm)
        assert objects(result) == {"public.alpha"}
        (finding,) = result.findings
        assert finding.evidence[0]["entries_wasted_per_scan"] > 100
        assert finding.evidence[-2]["oldest_horizon_transactions"] >= ROUNDS


def test_without_a_held_horizon_there_is_no_storm(database: Database) -> None:
    with database.connect() as connection:
        make(connection, rows=3000, width=1500)
        connection.execute(PARTIAL)
        connection.execute("ANALYZE")
        work(connection, ROUNDS)
    settled(database, "alpha", n_tup_upd=20 * ROUNDS)
    result = examine(database, queue_index_storm)
    assert (result.kind, result.examined) == (Kind.OK, 1)


def test_bitmap_scans_and_counting_are_no_storm(database: Database) -> None:
    with database.connect() as connection:
        make(connection, rows=5000)
        connection.execute("CREATE INDEX alpha_state ON alpha (state)")
        connection.execute("VACUUM ANALYZE alpha")
        work(connection, 25)
        connection.execute("SET enable_seqscan = off; SET enable_indexscan = off")
        for _ in range(25):
            connection.execute("SELECT count(body) FROM alpha WHERE state = 'new'")
        connection.execute("SET enable_indexonlyscan = on; SET enable_bitmapscan = off")
        for _ in range(25):
            connection.execute("SELECT count(*) FROM alpha WHERE state = 'new'")
    settled(database, "alpha", n_tup_upd=500)
    assert examine(database, queue_index_storm).kind is Kind.OK


def crowd(database: Database, workers: int) -> Kind:
    """So many workers that each hold the one row that they took."""
    one = TAKE.replace("LIMIT 10", "LIMIT 1")
    with ExitStack() as crew:
        for _ in range(workers):
            worker = crew.enter_context(database.connect(autocommit=False))
            worker.execute("SELECT 1")
            for _ in range(5):
                worker.execute(one)
        return examine(database, queue_skip_locked_crowd).kind


def test_many_workers_with_one_row_each_are_a_crowd(database: Database) -> None:
    with database.connect() as connection:
        make(connection, rows=500)
    assert crowd(database, 10) is Kind.FINDING


def test_a_few_workers_are_none(database: Database) -> None:
    with database.connect() as connection:
        make(connection, rows=500)
    assert crowd(database, 4) is Kind.OK


def test_a_batch_of_thousands_is_found_and_one_of_ten_is_not(database: Database) -> None:
    with database.connect() as connection:
        make(connection, rows=5000)
        work(connection, 3)
        assert examine(database, queue_batch_too_large).kind is Kind.OK
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute(TAKE.replace("LIMIT 10", "LIMIT 4000"))
    result = examine(database, queue_batch_too_large)
    assert result.findings[0].evidence[0]["rows_per_call"] == 4000
