"""Partial indexes that claims cannot use, by each server's own planner."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Confidence, Kind
from howdah.check.rules.partial_indexes import queue_partial_index_not_implied
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects
from tests.postgres.queueing import make, relay, settled, work

CLAIM = "SELECT id FROM alpha WHERE state = %s ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
CALLS = 120


def index(connection: psycopg.Connection, predicate: str) -> None:
    connection.execute(f"CREATE INDEX alpha_new ON alpha (id) WHERE {predicate}")
    connection.execute("ANALYZE alpha")


def test_a_predicate_that_the_claim_does_not_imply_is_found_and_cured(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        index(connection, "state = 'new' AND body IS NOT NULL")
        work(connection, 2)
        result = examine(database, queue_partial_index_not_implied)
        assert objects(result) == {"public.alpha_new"}
        (finding,) = result.findings
        assert finding.confidence is Confidence.PROVEN
        (remedy,) = finding.remedies
        for statement in (*remedy.sql, *remedy.retry_safe):
            connection.execute(statement)
        connection.execute("DROP INDEX alpha_new")
        plan = connection.execute(
            "EXPLAIN SELECT id FROM alpha WHERE state = 'new' ORDER BY id LIMIT 10"
        ).fetchall()
        assert any("alpha_new_claim" in line for (line,) in plan)
        assert examine(database, queue_partial_index_not_implied).kind is Kind.OK


@pytest.mark.parametrize(
    "predicate",
    ["state = 'new'", "state IS NOT NULL", "state IN ('new', 'retry')"],
)
def test_a_predicate_that_the_claim_implies_is_ok(database: Database, predicate: str) -> None:
    with database.connect() as connection:
        make(connection)
        index(connection, predicate)
        work(connection, 2)
    assert examine(database, queue_partial_index_not_implied).kind is Kind.OK


def test_what_a_blanked_constant_might_imply_is_unknown(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        index(connection, "state <> 'done'")
        work(connection, 2)
    assert examine(database, queue_partial_index_not_implied).kind is Kind.UNKNOWN


def test_a_generic_plan_that_cannot_use_it_is_found_by_its_scans(database: Database) -> None:
    with database.connect() as connection:
        make(connection, rows=3000)
        index(connection, "state = 'new'")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        for _ in range(CALLS):
            connection.execute(CLAIM, ["new"], prepare=True)
    settled(database, "alpha", n_tup_ins=3000)
    result = examine(database, queue_partial_index_not_implied)
    assert objects(result) == {"public.alpha_new"}
    assert result.findings[0].confidence is Confidence.MEASURED


def test_the_same_text_with_constants_or_custom_plans_is_ok(database: Database) -> None:
    with database.connect() as connection:
        make(connection, rows=3000)
        index(connection, "state = 'new'")
        for _ in range(CALLS):
            connection.execute(CLAIM.replace("%s", "'new'"))
    settled(database, "alpha", idx_scan=CALLS)
    assert examine(database, queue_partial_index_not_implied).kind is Kind.OK


def test_an_outboxs_partial_index_on_its_marker_is_ok(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        connection.execute("CREATE INDEX beta_unsent ON beta (id) WHERE sent_at IS NULL")
        relay(connection, 2)
    assert examine(database, queue_partial_index_not_implied).kind is Kind.OK
