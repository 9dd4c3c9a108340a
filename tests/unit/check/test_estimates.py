"""Ranges, correlations and histograms, on hand-made pictures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from howdah.check.model import Kind, Severity
from howdah.check.rules.estimates import beyond_last_bound, correlation_off, histogram_looks_wrong
from howdah.snapshot.facts.catalog import Column, ColumnStatistics, Index, Relation, Sequence
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import NOW, fact, objects, picture, row, server, verdict
from tests.unit.check.fresh_settings import settings

TABLE = row(
    Relation, oid=1, schema="public", name="orders", kind="r", persistence="p", tuples=100_000.0
)
COLUMN = row(Column, relation=1, number=1, name="id", not_null=True)
LEADING = row(
    Index, oid=2, relation=1, name="orders_pkey", method="btree", columns=(1,), is_valid=True
)
FED = row(Sequence, oid=3, schema="public", name="s", fed_relations=(1,), fed_columns=(1,))


def statistics(**given: Any) -> ColumnStatistics:
    values = {"column": 1, "histogram_bounds": 101, "correlation": 1.0, "distinct": -1.0} | given
    return row(ColumnStatistics, relation=1, **values)


def counts(**given: Any) -> TableStatistics:
    return row(TableStatistics, relation=1, **({"live": 100_000, "inserted": 100_000} | given))


def seen(*of_columns: ColumnStatistics, counted: TableStatistics, **facts: Any) -> Picture:
    given = {"relations": [TABLE], "columns": [COLUMN], "sequences": [FED]}
    given |= {"settings": settings()} | facts
    given = {"column_statistics": list(of_columns)} | given
    return picture(table_statistics=[counted], **given)


def ago(hours: float) -> str:
    return (NOW - timedelta(hours=hours)).isoformat()


# Over twice the trigger of 10,050 rows, and not analysed for hours.
GROWN = counts(modified_since_analyze=21_000, last_autoanalyze=ago(5))


def test_new_rows_past_the_last_bound_are_found() -> None:
    of = seen(statistics(beyond_last_bound=0.25), counted=GROWN)
    found = verdict(beyond_last_bound, of).findings[0]
    assert found.object == "public.orders.id"
    assert found.severity is Severity.WARNING


def test_an_index_makes_it_a_notice_and_only_far_away() -> None:
    near = seen(statistics(beyond_last_bound=0.25), counted=GROWN, indexes=[LEADING])
    assert verdict(beyond_last_bound, near).kind is Kind.OK
    far = seen(statistics(beyond_last_bound=1.5), counted=GROWN, indexes=[LEADING])
    assert verdict(beyond_last_bound, far).findings[0].severity is Severity.NOTICE


def test_a_table_that_autovacuum_keeps_up_with_is_not_a_finding() -> None:
    # As pgbench_history after a minute: far past the bound, and 20 % changed since.
    for counted in (
        counts(modified_since_analyze=20_000, last_autoanalyze=ago(5)),
        counts(modified_since_analyze=80_000, last_autoanalyze=ago(0.1)),
    ):
        of = seen(statistics(beyond_last_bound=1.2), counted=counted)
        assert verdict(beyond_last_bound, of).kind is Kind.OK


def test_with_autovacuum_off_the_trigger_is_enough() -> None:
    off = settings(autovacuum="off")
    late = counts(modified_since_analyze=11_000, last_autoanalyze=ago(0.1))
    of = seen(statistics(beyond_last_bound=0.25), counted=late, settings=off)
    assert "autovacuum is off" in verdict(beyond_last_bound, of).findings[0].claim


def test_a_standby_counts_no_changes() -> None:
    of = seen(statistics(beyond_last_bound=1.2), counted=GROWN, of=server(in_recovery=True))
    result = verdict(beyond_last_bound, of)
    assert result.kind is Kind.UNKNOWN
    assert "Try: its primary" in result.reason


def test_a_sequence_that_ran_ahead_of_unchanged_rows_is_not_a_finding() -> None:
    still = seen(statistics(beyond_last_bound=0.25), counted=counts())
    assert verdict(beyond_last_bound, still).kind is Kind.OK
    near = seen(statistics(beyond_last_bound=0.01), counted=GROWN)
    assert verdict(beyond_last_bound, near).kind is Kind.OK


def test_a_distance_that_cannot_be_told_is_unknown() -> None:
    untold = seen(statistics(), counted=GROWN)
    assert verdict(beyond_last_bound, untold).kind is Kind.UNKNOWN
    assert verdict(beyond_last_bound, seen(counted=GROWN)).kind is Kind.NOT_APPLICABLE


# --- correlation ----------------------------------------------------------------------------------


def test_rows_inserted_in_order_with_a_low_correlation_are_found() -> None:
    of = seen(statistics(correlation=0.02), counted=counts())
    assert objects(verdict(correlation_off, of)) == {"public.orders.id"}
    fine = seen(statistics(correlation=0.99), counted=counts())
    assert verdict(correlation_off, fine).kind is Kind.OK


def test_without_knowledge_of_the_order_it_is_unknown() -> None:
    for counted in (counts(updated=1), counts(deleted=1), counts(inserted=10)):
        of = seen(statistics(correlation=0.02), counted=counted)
        assert verdict(correlation_off, of).kind is Kind.UNKNOWN


# --- histograms -----------------------------------------------------------------------------------

SKEWED = {"most_common_count": 100, "most_common_total": 0.97, "null_fraction": 0.01}


def test_a_histogram_of_the_few_is_explained() -> None:
    of = seen(statistics(**SKEWED), counted=counts(), indexes=[LEADING])
    found = verdict(histogram_looks_wrong, of).findings[0]
    assert found.severity is Severity.NOTICE
    assert "2.0% of the rows" in found.claim
    assert not found.remedies


def test_an_ordinary_or_absent_histogram_needs_no_explanation() -> None:
    ordinary = seen(statistics(), counted=counts(), indexes=[LEADING])
    absent = seen(
        statistics(**SKEWED | {"histogram_bounds": 0}), counted=counts(), indexes=[LEADING]
    )
    assert verdict(histogram_looks_wrong, ordinary).kind is Kind.OK
    assert verdict(histogram_looks_wrong, absent).kind is Kind.OK


def test_without_sight_of_pg_stats_it_is_unknown() -> None:
    blind = seen(counted=counts(), indexes=[LEADING])
    result = verdict(histogram_looks_wrong, blind)
    assert result.kind is Kind.UNKNOWN
    assert "never analysed" in result.reason
    some = fact(statistics(column=2), left_out=1, reason="the role may not read these columns")
    hidden = seen(counted=counts(), indexes=[LEADING], column_statistics=some)
    assert "may not read" in verdict(histogram_looks_wrong, hidden).reason
