"""Distinct counts against uniqueness and foreign keys, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from howdah.check.model import Confidence, Kind
from howdah.check.rules.distinct_counts import distinct_count, n_distinct_off
from howdah.snapshot.facts.catalog import Column, ColumnStatistics, Constraint, Index, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import picture, row, verdict

ITEMS = row(
    Relation, oid=1, schema="public", name="items", kind="r", persistence="p", tuples=1_000_000.0
)
ORDERS = row(
    Relation, oid=2, schema="public", name="orders", kind="r", persistence="p", tuples=100_000.0
)
COLUMNS = [
    row(Column, relation=1, number=n, name=name, not_null=True, statistics_target=-1)
    for n, name in ((1, "order_id"), (2, "line"))
]
UNIQUE = row(
    Index,
    oid=9,
    relation=1,
    schema="public",
    name="items_key",
    method="btree",
    columns=(1, 2),
    key_count=2,
    is_unique=True,
    is_valid=True,
)
KEY = row(
    Constraint,
    relation=1,
    name="items_order_id_fkey",
    kind="f",
    columns=(1,),
    foreign_relation=2,
    is_validated=True,
    is_enforced=True,
)


def distinct(order_id: float, line: float = 10) -> list[ColumnStatistics]:
    return [
        row(ColumnStatistics, relation=1, column=n, distinct=value)
        for n, value in ((1, order_id), (2, line))
    ]


def seen(statistics: list[ColumnStatistics], **facts: Any) -> Picture:
    given: dict[str, Any] = {
        "relations": [ITEMS, ORDERS],
        "columns": COLUMNS,
        "indexes": [UNIQUE],
        "table_statistics": [row(TableStatistics, relation=1, live=10**6)],
    }
    return picture(column_statistics=statistics, **(given | facts))


def test_a_unique_key_proves_that_there_are_more() -> None:
    found = verdict(n_distinct_off, seen(distinct(20_000))).findings[0]
    assert found.object == "public.items.order_id"
    assert found.confidence is Confidence.PROVEN
    assert "at least 100,000" in found.claim
    declare = found.remedies[0]
    assert "(n_distinct = -0.1)" in declare.sql[0]
    assert declare.sql[1] == 'ANALYZE "public"."items"'


def test_a_count_that_the_key_allows_is_fine() -> None:
    for count in (100_000, -0.1, 60_000):
        assert verdict(n_distinct_off, seen(distinct(count))).kind is Kind.OK


def test_a_foreign_key_proves_that_there_are_fewer() -> None:
    of = seen(distinct(-0.5), constraints=[KEY])
    found = verdict(n_distinct_off, of).findings[0]
    assert "at most 100,000" in found.claim
    fine = seen(distinct(90_000), constraints=[KEY])
    result = verdict(n_distinct_off, fine)
    assert (result.kind, result.examined) == (Kind.OK, 2)


def test_a_table_that_grew_since_is_not_judged() -> None:
    grown = row(TableStatistics, relation=1, live=2 * 10**6, modified_since_analyze=10**6)
    of = seen(distinct(20_000), table_statistics=[grown])
    assert verdict(n_distinct_off, of).kind is Kind.UNKNOWN


def test_without_sight_of_pg_stats_it_is_unknown() -> None:
    assert verdict(n_distinct_off, seen([])).kind is Kind.UNKNOWN


def test_partial_and_expression_keys_prove_nothing() -> None:
    for changed in ({"predicate": "open"}, {"columns": (1, 0)}, {"is_valid": False}):
        index = msgspec.structs.replace(UNIQUE, **changed)
        result = verdict(n_distinct_off, seen(distinct(20_000), indexes=[index]))
        assert result.kind is Kind.NOT_APPLICABLE


@given(st.floats(-1, 1e12), st.floats(1, 1e12))
def test_distinct_values_lie_between_one_and_the_rows(recorded: float, rows: float) -> None:
    assert 1 <= distinct_count(recorded, rows) <= rows


def test_small_tables_and_nullable_keys_are_no_objects() -> None:
    few = msgspec.structs.replace(ITEMS, tuples=100.0)
    assert verdict(n_distinct_off, seen([], relations=[few])).kind is Kind.NOT_APPLICABLE
    nullable = [msgspec.structs.replace(COLUMNS[0], not_null=False), COLUMNS[1]]
    of = seen(distinct(10), columns=nullable, constraints=[])
    assert verdict(n_distinct_off, of).kind is Kind.NOT_APPLICABLE


def test_columns_that_were_never_analysed_are_named_so() -> None:
    result = verdict(n_distinct_off, seen([]))
    assert result.kind is Kind.UNKNOWN
    assert "Try: ANALYZE" in result.reason
