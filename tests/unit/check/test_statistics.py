"""Stale and missing statistics, on hand-made pictures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from howdah.check.model import Kind
from howdah.check.rules.statistics import partition_parent_never_analyzed, stale_statistics
from howdah.snapshot.facts.catalog import ColumnStatistics, Inheritance, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.facts.measured import Size
from howdah.snapshot.picture import Picture
from tests.making import NOW, objects, picture, row, server, verdict
from tests.unit.check.fresh_settings import settings


def ago(hours: float) -> str:
    return (NOW - timedelta(hours=hours)).isoformat()


def table(oid: int = 1, name: str = "orders", **given: Any) -> Relation:
    values = {"kind": "r", "persistence": "p", "tuples": 100_000.0} | given
    return row(Relation, oid=oid, schema="public", name=name, **values)


def counted(oid: int = 1, modified: int = 30_000, **given: Any) -> TableStatistics:
    values = {"live": 100_000, "last_autoanalyze": ago(5)} | given
    return row(TableStatistics, relation=oid, modified_since_analyze=modified, **values)


def seen(*tables: Relation, counts: list[TableStatistics], **facts: Any) -> Picture:
    given = {"settings": settings()} | facts
    return picture(relations=list(tables) or [table()], table_statistics=counts, **given)


def test_twice_over_the_trigger_for_hours_is_stale() -> None:
    found = verdict(stale_statistics, seen(counts=[counted()])).findings[0]
    assert "30,000 rows of public.orders" in found.claim
    assert "5 h ago" in found.claim


def test_just_over_it_or_just_analysed_is_not() -> None:
    assert verdict(stale_statistics, seen(counts=[counted(modified=15_000)])).kind is Kind.OK
    lately = counted(last_autoanalyze=ago(0.1))
    assert verdict(stale_statistics, seen(counts=[lately])).kind is Kind.OK


def test_with_autovacuum_off_the_trigger_is_enough() -> None:
    off = table(options=("autovacuum_enabled=false",))
    of = seen(off, counts=[counted(modified=15_000, last_autoanalyze=ago(0.1))])
    assert "off for the table" in verdict(stale_statistics, of).findings[0].claim


def test_a_tables_own_trigger_counts() -> None:
    patient = table(options=("autovacuum_analyze_scale_factor=0.9",))
    assert verdict(stale_statistics, seen(patient, counts=[counted()])).kind is Kind.OK


def test_a_crash_leaves_it_unknown() -> None:
    zeroed = counted(modified=0, last_autoanalyze=None)
    assert verdict(stale_statistics, seen(counts=[zeroed], window_hours=0.1)).kind is Kind.UNKNOWN
    assert verdict(stale_statistics, seen(counts=[zeroed], window_hours=None)).kind is Kind.UNKNOWN
    # ... but what was counted since is a lower bound, and may be enough.
    busy = counted(last_autoanalyze=None)
    assert verdict(stale_statistics, seen(counts=[busy], window_hours=0.1)).kind is Kind.FINDING


def test_a_table_that_never_had_a_row_is_not_stale() -> None:
    void = [row(Size, relation=1, bytes=0)]
    zeroed = counted(modified=0, live=0, last_autoanalyze=None)
    of = seen(table(tuples=-1.0), counts=[zeroed], window_hours=0.1, sizes=void)
    assert verdict(stale_statistics, of).kind is Kind.OK


def test_a_standby_does_not_count_changes() -> None:
    result = verdict(stale_statistics, seen(counts=[counted()], of=server(in_recovery=True)))
    assert result.kind is Kind.UNKNOWN
    assert "Try: its primary" in result.reason


def test_its_shape_is_red_on_a_sandbox() -> None:
    shape = verdict(stale_statistics, seen(counts=[counted()])).findings[0].remedies[0].shape
    assert shape.analyzed is False
    assert 2000 <= shape.rows["public.orders"] <= 20_000


# --- partitioned parents --------------------------------------------------------------------------


def events(*, parent: float = -1.0, rows: float = 50_000.0, **facts: Any) -> Picture:
    leaves = [table(n, f"events_{n}", is_partition=True, tuples=rows) for n in (2, 3)]
    links = [row(Inheritance, parent=1, child=n, is_partition=True) for n in (2, 3)]
    return seen(
        table(1, "events", kind="p", tuples=parent),
        *leaves,
        counts=[],
        inheritance=links,
        **facts,
    )


INHERITED = [row(ColumnStatistics, relation=1, column=1, inherited=True)]


def test_a_parent_never_analysed_is_found_whatever_the_role_may_read() -> None:
    for can_read in (True, False):
        of = events(of=server(reads_all_data=can_read))
        assert objects(verdict(partition_parent_never_analyzed, of)) == {"public.events"}


def test_a_parent_analysed_with_these_rows_is_fine() -> None:
    of = events(parent=100_000.0, column_statistics=INHERITED)
    result = verdict(partition_parent_never_analyzed, of)
    assert (result.kind, result.examined) == (Kind.OK, 1)
    # Without sight of pg_stats the count alone must do: it is no proof of absence.
    blind = events(parent=100_000.0, of=server(reads_all_data=False))
    assert verdict(partition_parent_never_analyzed, blind).kind is Kind.OK


def test_statistics_removed_since_are_missed() -> None:
    assert objects(verdict(partition_parent_never_analyzed, events(parent=100_000.0))) == {
        "public.events"
    }


def test_a_parent_analysed_when_it_was_smaller_is_found() -> None:
    of = events(parent=1000.0, column_statistics=INHERITED)
    found = verdict(partition_parent_never_analyzed, of).findings[0]
    assert "when it held 1,000" in found.claim


def test_an_empty_parent_is_fine_and_an_uncounted_leaf_unknown() -> None:
    assert verdict(partition_parent_never_analyzed, events(rows=0.0)).kind is Kind.OK
    assert verdict(partition_parent_never_analyzed, events(rows=-1.0)).kind is Kind.UNKNOWN
