"""Claims that cost more than they take, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.claims import (
    queue_batch_too_large,
    queue_index_storm,
    queue_skip_locked_crowd,
)
from howdah.snapshot.facts.activity import Session
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.facts.counters import IndexStatistics, TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import objects, row, verdict
from tests.making_queues import DONE, READ, SENT, TAKE, WORK, statement, used

INDEX = row(
    Index, oid=20, relation=WORK, schema="public", name="work_state", method="btree", is_valid=True
)
# As measured: 27,510 entries per scan for 10 rows, 1,173 pages per call.
STORM = {"scans": 1000, "entries_read": 27_510_000, "rows_fetched": 10_000}


def stormy(
    counters: dict[str, int] | None = None,
    *,
    index_rows: int = 10_000,
    pages: int = 1173,
    calls: int = 1000,
    **more: Any,
) -> Picture:
    take = statement(TAKE, calls=calls, rows=10 * calls, blocks_hit=pages * calls)
    facts: dict[str, Any] = {
        "indexes": [INDEX],
        "index_statistics": [row(IndexStatistics, index=20, **(counters or STORM))],
        "table_statistics": [
            row(TableStatistics, relation=WORK, index_rows=index_rows, dead=55_000)
        ],
    }
    return used(take, DONE, **(facts | more))


def test_a_storm_is_found_by_index_and_claim() -> None:
    result = verdict(queue_index_storm, stormy())
    assert objects(result) == {"public.work"}
    (finding,) = result.findings
    assert finding.evidence[0]["entries_wasted_per_scan"] == 27_500
    assert "1,173 pages" in finding.claim
    held = stormy(sessions=[row(Session, pid=1, xmin_age=90_000)])
    evidence = verdict(queue_index_storm, held).findings[0].evidence[1]
    assert evidence["oldest_horizon_transactions"] == 90_000


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(
            stormy({"scans": 1000, "entries_read": 11_000, "rows_fetched": 10_000}), id="fresh"
        ),
        pytest.param(
            stormy({"scans": 1000, "entries_read": 900_000, "rows_fetched": 0}, index_rows=900_000),
            id="bitmap scans",
        ),
        pytest.param(stormy(pages=23), id="index-only counting, claims cheap"),
        pytest.param(stormy(STORM | {"scans": 3}), id="hardly scanned"),
    ],
)
def test_a_calm_queue_is_ok(of: Picture) -> None:
    assert verdict(queue_index_storm, of).kind is Kind.OK


def test_a_claim_that_hardly_ran_is_not_examined() -> None:
    assert verdict(queue_index_storm, stormy(calls=3)).kind is Kind.UNKNOWN


# --- crowds ---------------------------------------------------------------------------------------


def crowd(sessions: int, *, rows: int = 1000, state: str = "active", **given: Any) -> Picture:
    take = statement(TAKE, rows=rows, **given)
    running = [
        row(Session, pid=pid, query_id=take.query_id, state=state, is_visible=True)
        for pid in range(sessions)
    ]
    return used(take, DONE, sessions=running)


def test_many_sessions_in_one_claim_are_found() -> None:
    result = verdict(queue_skip_locked_crowd, crowd(16))
    assert result.findings[0].severity is Severity.NOTICE
    costly = verdict(queue_skip_locked_crowd, crowd(16, blocks_hit=60_000))
    assert costly.findings[0].severity is Severity.WARNING


def test_workers_that_hold_what_they_claimed_count() -> None:
    result = verdict(queue_skip_locked_crowd, crowd(16, state="idle in transaction"))
    assert result.findings[0].evidence[0]["of_which_idle_in_transaction"] == 16


def test_the_average_over_the_window_counts() -> None:
    week = 7 * 24 * 3600 * 1000.0
    assert verdict(queue_skip_locked_crowd, crowd(0, total_milliseconds=5 * week)).findings


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(crowd(4), id="few workers"),
        pytest.param(crowd(16, rows=50_000), id="batches"),
        pytest.param(crowd(16, state="idle"), id="resting workers"),
    ],
)
def test_a_small_crew_is_ok(of: Picture) -> None:
    assert verdict(queue_skip_locked_crowd, of).kind is Kind.OK


def test_without_skip_locked_there_is_nothing_to_crowd() -> None:
    assert verdict(queue_skip_locked_crowd, used(READ, SENT)).kind is Kind.NOT_APPLICABLE


def test_sessions_that_cannot_be_seen_are_unknown_without_a_window() -> None:
    hidden = [row(Session, pid=1)]
    of = used(TAKE, DONE, sessions=hidden, window_hours=None)
    assert verdict(queue_skip_locked_crowd, of).kind is Kind.UNKNOWN


# --- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"calls": 10, "rows": 50_000}, id="rows"),
        pytest.param({"calls": 10, "rows": 10, "wal_bytes": 400 * 1024**2}, id="wal"),
    ],
)
def test_a_large_batch_is_found(given: dict[str, int]) -> None:
    assert verdict(queue_batch_too_large, used(statement(TAKE, **given), DONE)).findings


def test_a_large_literal_limit_is_found() -> None:
    text = TAKE.replace("limit $3", "limit 100000")
    assert verdict(queue_batch_too_large, used(text, DONE)).findings


def test_small_batches_are_ok() -> None:
    assert verdict(queue_batch_too_large, used(TAKE, DONE)).kind is Kind.OK
