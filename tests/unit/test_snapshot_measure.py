"""What pgstattuple is pointed at: never more than the budget, the most suspicious first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from howdah.snapshot.facts.catalog import Index, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.measure import (
    BATCH_PAGES,
    Candidate,
    batches,
    index_candidates,
    table_candidates,
    within_budget,
)
from tests.making import row

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        oid=st.integers(1, 10**6),
        pages=st.integers(1, 10_000),
        suspicion=st.floats(0, 1e6),
    ),
    max_size=60,
    unique_by=lambda each: each.oid,
)


@given(CANDIDATES, st.integers(0, 50_000))
def test_budget_is_kept_and_nothing_that_fits_is_left(
    candidates: list[Candidate], budget: int
) -> None:
    chosen = within_budget(candidates, budget)
    spent = sum(each.pages for each in chosen)
    assert spent <= budget
    assert all(each.pages > budget - spent for each in candidates if each not in chosen)


@given(CANDIDATES)
def test_batches_hold_each_object_once(candidates: list[Candidate]) -> None:
    pages = {each.oid: each.pages for each in candidates}
    made = batches(candidates)
    assert [oid for batch in made for oid in batch] == [each.oid for each in candidates]
    assert all(len(b) == 1 or sum(pages[oid] for oid in b) <= BATCH_PAGES for b in made)


def table(oid: int, **given_fields: object) -> Relation:
    fields = {"kind": "r", "access_method": "heap", "persistence": "p", "schema": "public"}
    return row(Relation, oid=oid, **(fields | given_fields))


def test_dead_rows_make_a_table_suspicious_and_all_visible_pages_cost_nothing() -> None:
    tables = [
        table(1, pages=100, all_visible_pages=90),
        table(2, pages=100),
        table(3, pages=100, is_locked=True),
        table(4, pages=100, kind="f"),
    ]
    counters = [row(TableStatistics, relation=2, live=50, dead=50)]
    found = {each.oid: each for each in table_candidates(tables, counters, {})}
    assert set(found) == {1, 2}
    assert found[1].pages == 10
    assert found[2].suspicion > found[1].suspicion


def test_only_valid_btrees_of_users_are_read() -> None:
    tables = [table(1, pages=10)]
    indexes = [
        row(Index, oid=10, relation=1, method="btree", is_valid=True, pages=50),
        row(Index, oid=11, relation=1, method="btree", is_valid=False, pages=50),
        row(Index, oid=12, relation=1, method="gin", is_valid=True, pages=50),
        row(Index, oid=13, relation=9, method="btree", is_valid=True, pages=50),
    ]
    assert [each.oid for each in index_candidates(indexes, tables, [], {})] == [10]
