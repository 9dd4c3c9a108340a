"""Bloat and empty index pages by measurement, on hand-made pictures."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from howdah.check.model import Kind, Severity
from howdah.check.rules.space import (
    empty_share,
    index_bloat,
    index_waste,
    queue_index_pages,
    table_bloat,
    table_waste,
)
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Index, Inheritance, Relation
from howdah.snapshot.facts.measured import IndexSpace, Size, TableSpace
from howdah.snapshot.picture import Picture
from tests.making import fact, objects, picture, row, verdict

MEGABYTE = 1024**2


def table(oid: int = 1, name: str = "orders", **given: Any) -> Relation:
    values = {"kind": "r", "persistence": "p"} | given
    return row(Relation, oid=oid, schema="public", name=name, **values)


def space(oid: int = 1, **given: Any) -> TableSpace:
    return row(TableSpace, relation=oid, **({"bytes": 67 * MEGABYTE} | given))


def tables(*rows: Relation, spaces: Any = (), **facts: Any) -> Picture:
    measured = list(spaces) if isinstance(spaces, list | tuple) else spaces
    return picture(relations=list(rows) or [table()], table_space=measured, **facts)


def test_a_nearly_empty_table_of_67_megabytes_is_found() -> None:
    found = verdict(table_bloat, tables(spaces=[space(free_fraction=0.95)])).findings[0]
    assert found.object == "public.orders"
    assert found.severity is Severity.NOTICE
    assert "63.6 MB of 67 MB" in found.claim
    assert found.remedies[0].manual


def test_small_tables_and_ordinary_room_are_not() -> None:
    small = tables(spaces=[space(free_fraction=0.95, bytes=8 * MEGABYTE)])
    ordinary = tables(spaces=[space(free_fraction=0.2, dead_tuple_fraction=0.1)])
    assert verdict(table_bloat, small).kind is Kind.OK
    assert verdict(table_bloat, ordinary).kind is Kind.OK


def test_room_that_the_fillfactor_leaves_is_no_bloat() -> None:
    loose = table(options=("fillfactor=50",))
    of = tables(loose, spaces=[space(free_fraction=0.55)])
    assert verdict(table_bloat, of).kind is Kind.OK


def test_what_was_not_measured_is_not_examined() -> None:
    measured = fact(space(), left_out=1, reason="over the I/O budget")
    of = tables(table(), table(2, "items"), spaces=measured)
    result = verdict(table_bloat, of)
    assert (result.examined, result.of) == (1, 2)
    assert "over the I/O budget" in result.reason
    nothing = verdict(table_bloat, tables())
    assert nothing.kind is Kind.UNKNOWN
    assert "Try: --measure-megabytes" in nothing.reason


def test_an_empty_table_needs_no_measuring() -> None:
    of = tables(table(), sizes=[row(Size, relation=1, bytes=0)])
    assert verdict(table_bloat, of).kind is Kind.OK


def test_without_pgstattuple_it_is_unknown() -> None:
    of = tables(spaces=fact(status=Status.UNSUPPORTED, reason="pgstattuple not installed"))
    result = verdict(table_bloat, of)
    assert result.kind is Kind.UNKNOWN
    assert "pgstattuple not installed" in result.reason


def test_partitions_are_told_at_their_parent() -> None:
    of = tables(
        table(1, "events", kind="p"),
        *[table(n, f"events_{n}", is_partition=True) for n in (2, 3)],
        spaces=[space(n, free_fraction=0.9) for n in (2, 3)],
        inheritance=[row(Inheritance, parent=1, child=n, is_partition=True) for n in (2, 3)],
    )
    assert objects(verdict(table_bloat, of)) == {"public.events"}


@given(st.floats(0, 1), st.floats(0, 1), st.floats(10, 100))
def test_waste_is_never_negative_and_never_above_what_is_not_live(
    dead: float, free: float, fillfactor: float
) -> None:
    waste = table_waste(space(dead_tuple_fraction=dead, free_fraction=free), fillfactor)
    assert dead <= waste <= dead + free


# --- indexes --------------------------------------------------------------------------------------


def index(oid: int = 5, **given: Any) -> Index:
    values = {"method": "btree", "name": "orders_pkey", "is_valid": True} | given
    return row(Index, oid=oid, relation=1, schema="public", **values)


def pages(oid: int = 5, **given: Any) -> IndexSpace:
    values = {"leaf_pages": 10_000, "internal_pages": 50, "leaf_density": 0.9} | given
    return row(IndexSpace, index=oid, bytes=10_000 * 8192, **values)


def indexed(*spaces: IndexSpace, indexes: list[Index] | None = None) -> Picture:
    return picture(relations=[table()], indexes=indexes or [index()], index_space=list(spaces))


def test_a_sparse_index_is_found_and_a_random_one_is_not() -> None:
    assert objects(verdict(index_bloat, indexed(pages(leaf_density=0.3)))) == {"public.orders_pkey"}
    assert verdict(index_bloat, indexed(pages(leaf_density=0.7))).kind is Kind.OK


def test_a_small_sparse_index_is_not_worth_it() -> None:
    of = indexed(pages(leaf_density=0.3, leaf_pages=100))
    assert verdict(index_bloat, of).kind is Kind.OK


def test_its_fillfactor_is_what_a_rebuild_would_reach() -> None:
    loose = indexed(pages(leaf_density=0.5), indexes=[index(options=("fillfactor=50",))])
    assert verdict(index_bloat, loose).kind is Kind.OK
    assert verdict(index_bloat, indexed(pages(leaf_density=0.5))).kind is Kind.FINDING


def test_an_index_of_a_page_or_two_needs_no_measuring() -> None:
    small = picture(
        relations=[table()], indexes=[index()], sizes=[row(Size, relation=5, bytes=2 * 8192)]
    )
    for rule in (index_bloat, queue_index_pages):
        result = verdict(rule, small)
        assert (result.kind, result.examined) == (Kind.OK, 1)


def test_an_index_that_was_not_measured_is_not_examined() -> None:
    result = verdict(index_bloat, indexed(pages(), indexes=[index(), index(6)]))
    assert (result.kind, result.examined, result.of) == (Kind.OK, 1, 2)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(10, 100))
def test_a_denser_index_wastes_less(a: float, b: float, fillfactor: float) -> None:
    low, high = sorted((a, b))
    sparse = index_waste(pages(leaf_density=low), fillfactor)
    dense = index_waste(pages(leaf_density=high), fillfactor)
    assert 0 <= dense <= sparse <= 1


def test_a_queues_empty_pages_are_found() -> None:
    queue = pages(leaf_pages=100, deleted_pages=200, internal_pages=1)
    found = verdict(queue_index_pages, indexed(queue)).findings[0]
    assert "66%" in found.claim
    assert [each.operation for each in found.remedies] == ["reindex", "set-table-options"]
    few = pages(leaf_pages=20, deleted_pages=40, internal_pages=1)
    assert verdict(queue_index_pages, indexed(few)).kind is Kind.OK
    full = pages(deleted_pages=200)
    assert verdict(queue_index_pages, indexed(full)).kind is Kind.OK


def test_an_index_without_pages_has_no_empty_share() -> None:
    assert empty_share(pages(leaf_pages=0, internal_pages=0)) == 0
