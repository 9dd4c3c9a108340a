"""Unused indexes: zero scans are a finding only where the counters could have seen one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from howdah.check.model import Confidence, Kind, Result, Severity
from howdah.check.rules.unused import unused_index
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Constraint
from howdah.snapshot.facts.counters import CounterSample
from howdah.snapshot.facts.replication import ReplicationSlot, Standby
from tests.making import NOW, fact, objects, picture, row, server, verdict
from tests.unit.check.indexing import columns, index, scanned, table, writes

LONG = 24 * 30
BIG: dict[str, Any] = {"pages": 5000}


def judged(*indexes: Any, scans: dict[int, int] | None = None, **given: Any) -> Result:
    """The verdict on a table with these indexes after 30 days."""
    counted = {each.oid: 0 for each in indexes} | (scans or {})
    values = {
        "window_hours": LONG,
        "relations": [table()],
        "columns": columns(),
        "indexes": list(indexes),
        "index_statistics": [scanned(oid, count) for oid, count in counted.items()],
        "table_statistics": [writes(inserted=720_000)],
    }
    return verdict(unused_index, picture(**(values | given)))


def test_an_index_without_a_scan_in_a_month_is_found() -> None:
    (finding,) = judged(index(2, "a", **BIG)).findings
    assert finding.object == "public.orders_a_idx"
    assert finding.severity is Severity.WARNING
    assert finding.confidence is Confidence.MEASURED
    assert finding.window is not None


def test_one_scan_is_use() -> None:
    assert judged(index(2, "a", **BIG), scans={2: 1}).kind is Kind.OK


@pytest.mark.parametrize("hours", [None, 0.1, 24 * 6.9])
def test_a_short_or_unknown_window_is_unknown(hours: float | None) -> None:
    result = judged(index(2, "a", **BIG), window_hours=hours)
    assert result.kind is Kind.UNKNOWN
    assert result.examined == 0


def test_on_a_standby_it_is_unknown() -> None:
    result = judged(index(2, "a", **BIG), of=server(in_recovery=True))
    assert result.kind is Kind.UNKNOWN
    assert "primary" in result.reason


def test_with_standbys_attached_it_is_unknown_and_names_the_candidates() -> None:
    result = judged(index(2, "a", **BIG), standbys=[row(Standby, application="reader")])
    assert result.kind is Kind.UNKNOWN
    assert "reader" in result.reason
    assert "public.orders_a_idx" in result.reason


def test_without_sight_of_standbys_it_is_unknown() -> None:
    hidden = fact(status=Status.DENIED)
    assert judged(index(2, "a", **BIG), standbys=hidden).kind is Kind.UNKNOWN


def test_receivers_that_nobody_queries_do_not_hinder() -> None:
    receivers = [
        row(Standby, application="pg_receivewal", state="streaming"),
        row(Standby, application="pg_basebackup", state="backup"),
        row(Standby, application="warehouse", state="streaming"),
    ]
    slots = [row(ReplicationSlot, name="w", kind="logical", is_active=True)]
    result = judged(index(2, "a", **BIG), standbys=receivers, slots=slots)
    assert result.kind is Kind.FINDING


@pytest.mark.parametrize(
    "own",
    [
        {"is_unique": True},
        {"constraint": "k"},
        {"is_exclusion": True},
        {"is_replica_identity": True},
        {"foreign_keys_served": 1},
        {"is_clustered": True},
        {"is_valid": False},
    ],
)
def test_an_index_with_a_duty_is_not_examined(own: dict[str, Any]) -> None:
    assert judged(index(2, "a", **(BIG | own))).kind is Kind.NOT_APPLICABLE


def foreign_key(**given: Any) -> Constraint:
    values = {"relation": 1, "kind": "f", "columns": (1,), "foreign_relation": 7}
    values |= {"foreign_columns": (1,), "is_enforced": True, "definition": "FOREIGN KEY (a) ..."}
    return row(Constraint, oid=30, name="orders_a_fkey", **(values | given))


def test_the_only_index_behind_a_foreign_key_is_not_examined() -> None:
    result = judged(index(2, "a", **BIG), constraints=[foreign_key()])
    assert result.kind is Kind.NOT_APPLICABLE


def test_of_two_indexes_behind_a_foreign_key_the_unused_one_is_found() -> None:
    result = judged(
        index(2, "a", **BIG),
        index(3, "ab", **BIG),
        scans={3: 9},
        constraints=[foreign_key()],
        columns=columns() + columns(7),
    )
    assert objects(result) == {"public.orders_a_idx"}


def test_a_foreign_key_that_is_not_enforced_needs_no_index() -> None:
    result = judged(index(2, "a", **BIG), constraints=[foreign_key(is_enforced=False)])
    assert result.kind is Kind.FINDING


def test_partitions_are_judged_together() -> None:
    tables = [table(1, kind="p"), table(10, "o1"), table(11, "o2")]
    indexes = [
        index(2, "a", is_partitioned=True, pages=0),
        index(12, "a", name="l1", relation=10, parent=2, **BIG),
        index(13, "a", name="l2", relation=11, parent=2, **BIG),
    ]
    given: dict[str, Any] = {"relations": tables, "index_statistics": [scanned(12, 0)]}
    unread = [scanned(12, 0), scanned(13, 0)]
    assert judged(*indexes, **given).kind is Kind.UNKNOWN  # l2 has no counters
    assert objects(judged(*indexes, **(given | {"index_statistics": unread}))) == {
        "public.orders_a_idx"
    }
    read = [scanned(12, 0), scanned(13, 1)]
    assert judged(*indexes, **(given | {"index_statistics": read})).kind is Kind.OK


def test_a_small_index_of_a_quiet_table_is_not_worth_a_line() -> None:
    result = judged(index(2, "a", pages=2), table_statistics=[writes(inserted=10)])
    assert result.kind is Kind.OK


def test_a_large_index_of_a_quiet_table_is_a_notice() -> None:
    (finding,) = judged(index(2, "a", **BIG), table_statistics=[writes()]).findings
    assert finding.severity is Severity.NOTICE


@pytest.mark.parametrize(("age", "kind"), [(1_000, Kind.UNKNOWN), (10**9, Kind.FINDING)])
def test_an_index_younger_than_a_week_is_unknown(age: int, kind: Kind) -> None:
    """At 100 transactions a second a week is 60 million of them."""
    samples = [
        row(CounterSample, at=NOW.isoformat(), next_xid=5_000),
        row(CounterSample, at=(NOW + timedelta(seconds=2)).isoformat(), next_xid=5_200),
    ]
    result = judged(index(2, "a", xid_age=age, **BIG), counter_samples=samples)
    assert result.kind is kind


def test_harm_grows_with_writes() -> None:
    tables = [table(1), table(5, "quiet")]
    indexes = [index(2, "a", **BIG), index(6, "a", name="q", relation=5, **BIG)]
    result = judged(*indexes, relations=tables)
    assert [each.object for each in result.findings] == ["public.orders_a_idx", "public.q"]
