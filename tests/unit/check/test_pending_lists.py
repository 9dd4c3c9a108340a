"""GIN pending lists, on hand-made pictures."""

from __future__ import annotations

from typing import Any

from howdah.check.model import Kind
from howdah.check.rules.pending_lists import gin_pending_list
from howdah.snapshot.facts.activity import VacuumProgress
from howdah.snapshot.facts.catalog import Index, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.facts.measured import PendingList
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, verdict
from tests.unit.check.fresh_settings import settings


def table(**given: Any) -> Relation:
    return row(
        Relation,
        oid=1,
        schema="public",
        name="docs",
        kind="r",
        persistence="p",
        tuples=1e6,
        **given,
    )


def seen(
    pages: int, *, options: tuple[str, ...] = (), of: Relation | None = None, **facts: Any
) -> Picture:
    index = row(
        Index, oid=2, relation=1, schema="public", name="docs_gin", method="gin", options=options
    )
    given: dict[str, Any] = {
        "settings": settings(),
        "relations": [of or table()],
        "table_statistics": [row(TableStatistics, relation=1, live=10**6)],
    }
    given["pending_lists"] = [row(PendingList, index=2, pages=pages, tuples=pages * 10)]
    return picture(indexes=[index], **(given | facts))


def test_a_list_over_a_quarter_of_its_limit_is_found() -> None:
    assert objects(verdict(gin_pending_list, seen(250))) == {"public.docs_gin"}
    assert verdict(gin_pending_list, seen(100)).kind is Kind.OK  # of 512 pages


def test_the_indexes_own_limit_counts() -> None:
    assert verdict(gin_pending_list, seen(250, options=("gin_pending_list_limit=16384",))).kind is (
        Kind.OK
    )


def test_autovacuum_on_its_way_will_empty_it() -> None:
    for near in ({"inserted_since_vacuum": 170_000}, {"modified_since_analyze": 90_000}):
        counted = [row(TableStatistics, relation=1, **near)]
        assert verdict(gin_pending_list, seen(250, table_statistics=counted)).kind is Kind.OK
        off = table(options=("autovacuum_enabled=false",))
        waiting = seen(250, of=off, table_statistics=counted)
        assert verdict(gin_pending_list, waiting).kind is Kind.FINDING


def test_a_vacuum_at_work_empties_it() -> None:
    vacuum = row(VacuumProgress, pid=1, database="shop", relation_oid=1)
    assert verdict(gin_pending_list, seen(250, vacuum_progress=[vacuum])).kind is Kind.OK


def test_an_index_not_measured_is_not_examined() -> None:
    result = verdict(gin_pending_list, seen(250, pending_lists=[]))
    assert result.kind is Kind.UNKNOWN
    assert "budget" in result.reason


def test_its_remedies_name_the_index_and_quote_it() -> None:
    empty, off = verdict(gin_pending_list, seen(250)).findings[0].remedies
    assert empty.sql == (
        """SELECT pg_catalog.gin_clean_pending_list('"public"."docs_gin"'::pg_catalog.regclass)""",
    )
    assert off.inverse == ('ALTER INDEX "public"."docs_gin" RESET ("fastupdate")',)
