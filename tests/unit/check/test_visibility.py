"""Low visibility maps under index-only scans, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from howdah.check.model import Answer, Kind, PlanQuestion, Scan
from howdah.check.rules.visibility import low_all_visible, skipped
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Index, Relation
from howdah.snapshot.facts.counters import IndexStatistics, Statement, TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import fact, objects, picture, row, verdict

QUERY = "SELECT id FROM orders WHERE id > $1"


def seen(
    *,
    visible: int = 1000,
    read: int = 100_000,
    fetched: int = 20_000,
    by_table: int | None = None,
    statements: tuple[str, ...] = (),
    **facts: Any,
) -> Picture:
    table = row(
        Relation,
        oid=1,
        schema="public",
        name="orders",
        kind="r",
        persistence="p",
        tuples=1e6,
        pages=10_000,
        all_visible_pages=visible,
    )
    counted = row(TableStatistics, relation=1, index_rows=fetched if by_table is None else by_table)
    index = row(
        Index, oid=2, relation=1, schema="public", name="orders_pkey", method="btree", is_valid=True
    )
    used = row(IndexStatistics, index=2, scans=100, entries_read=read, rows_fetched=fetched)
    return picture(
        relations=[table],
        table_statistics=[counted],
        indexes=[index],
        index_statistics=[used],
        statements=[row(Statement, text=text, calls=5) for text in statements],
        **facts,
    )


def answer(node: str = "Index Only Scan") -> dict[Any, Answer]:
    scan = Scan(
        node=node,
        relation="public.orders",
        index="public.orders_pkey",
        index_condition="(id > $1)",
        filter=None,
    )
    return {PlanQuestion(statement=QUERY): Answer(answered=True, planner="18", scans=(scan,))}


def test_entries_that_nothing_followed_show_index_only_scans() -> None:
    found = verdict(low_all_visible, seen()).findings[0]
    assert found.object == "public.orders"
    assert "10% of the pages" in found.claim
    assert found.evidence[0]["index_only_scans_shown_by"] == "counters"


def test_bitmap_scans_do_not_look_like_index_only_scans() -> None:
    bitmap = seen(fetched=0, by_table=100_000)
    assert verdict(low_all_visible, bitmap).kind is Kind.OK


def test_without_sight_of_the_statements_silent_counters_say_nothing() -> None:
    blind = seen(fetched=100_000)
    unseen = fact(status=Status.UNSUPPORTED, reason="pg_stat_statements not installed")
    of = Picture(msgspec.structs.replace(blind.snapshot, statements=unseen))
    assert verdict(low_all_visible, of).kind is Kind.UNKNOWN


def test_plain_scans_and_full_maps_are_fine() -> None:
    assert verdict(low_all_visible, seen(fetched=100_000)).kind is Kind.OK
    assert verdict(low_all_visible, seen(visible=9500)).kind is Kind.OK


def test_where_the_counters_are_silent_the_planner_is_asked() -> None:
    of = seen(fetched=100_000, statements=(QUERY,))
    assert verdict(low_all_visible, of).kind is Kind.UNKNOWN
    assert objects(verdict(low_all_visible, of, answer())) == {"public.orders"}
    assert verdict(low_all_visible, of, answer("Index Scan")).kind is Kind.OK
    # On the sandbox's empty tables a bitmap scan costs the same: no answer either way.
    assert verdict(low_all_visible, of, answer("Bitmap Heap Scan")).kind is Kind.UNKNOWN


def test_only_statements_on_the_table_are_asked_about() -> None:
    other = seen(fetched=100_000, statements=("SELECT 1 FROM orders_archive", "DELETE FROM orders"))
    assert not list(low_all_visible.ask(other))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_no_more_is_skipped_than_was_read(read: int, fetched: int, bitmap: int) -> None:
    assert 0 <= skipped(read, fetched, bitmap) <= read
