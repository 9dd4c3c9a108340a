"""The rule on materialised views, on hand-made pictures."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.matviews import matview_refresh_concurrently
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Column, ColumnStatistics, Index, Relation
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture
from tests.making import fact, objects, picture, row, verdict

VIEW = row(Relation, oid=1, schema="public", name="totals", kind="m", tuples=10.0)


def said(text: str, *, milliseconds: float = 1.0) -> Statement:
    return row(Statement, text=text, calls=1, total_milliseconds=milliseconds)


def unique(**given: object) -> Index:
    values: dict[str, object] = {
        "columns": (1,),
        "key_count": 1,
        "is_unique": True,
        "is_valid": True,
        "is_immediate": True,
    }
    return row(Index, oid=2, relation=1, **(values | given))


def seen(*statements: Statement, indexes: tuple[Index, ...] = (), **given: object) -> Picture:
    return picture(relations=[VIEW], statements=list(statements), indexes=list(indexes), **given)


CONCURRENTLY = said("REFRESH MATERIALIZED VIEW CONCURRENTLY totals")


def test_a_concurrent_refresh_without_an_index_is_found() -> None:
    result = verdict(matview_refresh_concurrently, seen(CONCURRENTLY))
    assert objects(result) == {"public.totals"}
    assert result.findings[0].severity is Severity.WARNING


@pytest.mark.parametrize(
    "broken",
    [{"predicate": "(n > 0)"}, {"columns": (0,)}, {"is_valid": False}, {"is_unique": False}],
)
def test_an_index_that_is_not_full_does_not_serve(broken: dict[str, object]) -> None:
    view = seen(CONCURRENTLY, indexes=(unique(**broken),))
    assert verdict(matview_refresh_concurrently, view).kind is Kind.FINDING


def test_a_full_unique_index_serves() -> None:
    view = seen(CONCURRENTLY, indexes=(unique(),))
    assert verdict(matview_refresh_concurrently, view).kind is Kind.OK


def test_only_slow_plain_refreshes_matter() -> None:
    quick = said("refresh materialized view public.totals")
    slow = said("refresh materialized view public.totals", milliseconds=5000)
    assert verdict(matview_refresh_concurrently, seen(quick)).kind is Kind.OK
    (finding,) = verdict(matview_refresh_concurrently, seen(slow)).findings
    assert finding.severity is Severity.NOTICE


def test_a_column_without_repeats_is_offered_as_the_key() -> None:
    column = row(Column, relation=1, number=1, name="day")
    statistics = row(ColumnStatistics, relation=1, column=1, distinct=-1.0)
    view = seen(CONCURRENTLY, columns=[column], column_statistics=[statistics])
    (remedy,) = verdict(matview_refresh_concurrently, view).findings[0].remedies
    assert remedy.sql[0].startswith("CREATE UNIQUE INDEX CONCURRENTLY")
    assert '("day")' in remedy.sql[0]


def test_without_statements_it_is_unknown_and_without_views_not_applicable() -> None:
    hidden = fact(status=Status.UNSUPPORTED, reason="no pg_stat_statements")
    blind = picture(relations=[VIEW], statements=hidden)
    assert verdict(matview_refresh_concurrently, blind).kind is Kind.UNKNOWN
    assert verdict(matview_refresh_concurrently, picture()).kind is Kind.NOT_APPLICABLE


def test_statements_of_others_that_may_not_be_read_leave_it_unknown() -> None:
    hidden = said("<insufficient privilege>")
    assert verdict(matview_refresh_concurrently, seen(hidden)).kind is Kind.UNKNOWN
