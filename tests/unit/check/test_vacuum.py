"""Dead rows over the trigger and why, on hand-made pictures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from howdah.check.model import Kind
from howdah.check.rules.vacuum import dead_rows
from howdah.snapshot.facts.activity import Session, VacuumProgress
from howdah.snapshot.facts.catalog import Inheritance, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.facts.measured import Size
from howdah.snapshot.picture import Picture
from tests.making import NOW, fact, objects, picture, row, server, verdict
from tests.unit.check.fresh_settings import settings


def table(oid: int = 1, name: str = "orders", **given: Any) -> Relation:
    values = {"kind": "r", "persistence": "p", "tuples": 100_000.0, "pages": 1000} | given
    return row(Relation, oid=oid, schema="public", name=name, **values)


def counted(oid: int = 1, dead: int = 60_000, **given: Any) -> TableStatistics:
    return row(TableStatistics, relation=oid, dead=dead, live=100_000, **given)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def seen(*rows: Relation, counts: list[TableStatistics] | None = None, **facts: Any) -> Picture:
    given = {"settings": settings(), "relations": list(rows) or [table()]} | facts
    return picture(table_statistics=counts if counts is not None else [counted()], **given)


def cause(of: Picture) -> str:
    return str(verdict(dead_rows, of).findings[0].evidence[0]["cause"])


def test_twice_over_the_trigger_is_neglect_and_just_over_it_is_not() -> None:
    assert "has not come" in cause(seen())
    assert verdict(dead_rows, seen(counts=[counted(dead=30_000)])).kind is Kind.OK


def test_a_table_being_vacuumed_is_being_helped() -> None:
    vacuum = row(VacuumProgress, pid=9, database="shop", relation_oid=1)
    assert verdict(dead_rows, seen(vacuum_progress=[vacuum])).kind is Kind.OK


def test_a_vacuum_that_the_role_may_not_see_could_be_its() -> None:
    assert verdict(dead_rows, seen(vacuum_progress=fact(left_out=1))).kind is Kind.UNKNOWN


def test_the_cap_of_18_brings_autovacuum_to_a_huge_table() -> None:
    huge, many = table(tuples=2e9), counted(dead=210_000_000)
    assert "has not come" in cause(seen(huge, counts=[many]))
    older = seen(huge, counts=[many], settings=settings(autovacuum_vacuum_max_threshold=None))
    assert verdict(dead_rows, older).kind is Kind.OK  # its trigger is 400 million


def test_autovacuum_off_is_named() -> None:
    off = table(options=("autovacuum_enabled=off",))
    assert cause(seen(off, counts=[counted(dead=30_000)])) == "autovacuum is off for the table"
    everywhere = seen(settings=settings(autovacuum="off"))
    assert cause(everywhere) == "autovacuum is off on the server"


def test_a_vacuum_in_vain_names_the_holder() -> None:
    holder = row(
        Session, pid=5, database="shop", is_visible=True, xmin_age=9, seconds_in_transaction=60.0
    )
    of = seen(counts=[counted(dead=30_000, last_autovacuum=ago(10))], sessions=[holder])
    found = verdict(dead_rows, of).findings[0]
    assert "process 5 holds the horizon" in found.claim
    assert found.remedies[0].manual
    elsewhere = row(
        Session, pid=5, database="archive", is_visible=True, xmin_age=9, seconds_in_transaction=60.0
    )
    innocent = seen(counts=[counted(dead=30_000, last_autovacuum=ago(10))], sessions=[elsewhere])
    assert verdict(dead_rows, innocent).kind is Kind.OK


def test_busy_workers_are_named() -> None:
    workers = [
        row(Session, pid=n, is_visible=True, backend_type="autovacuum worker") for n in range(3)
    ]
    assert "3 autovacuum workers are busy" in cause(seen(sessions=workers))


def test_just_vacuumed_and_filled_again_is_left_alone() -> None:
    assert verdict(dead_rows, seen(counts=[counted(last_autovacuum=ago(60))])).kind is Kind.OK


def test_a_small_table_is_never_reported() -> None:
    tiny, few = table(tuples=10.0), counted(dead=900)
    assert verdict(dead_rows, seen(tiny, counts=[few])).kind is Kind.OK


def test_after_a_crash_zero_is_no_knowledge() -> None:
    fresh = [counted(dead=0)]
    assert verdict(dead_rows, seen(counts=fresh, window_hours=0.1)).kind is Kind.UNKNOWN
    assert verdict(dead_rows, seen(counts=fresh, window_hours=None)).kind is Kind.UNKNOWN
    vacuumed = [counted(dead=0, last_vacuum=ago(5))]
    assert verdict(dead_rows, seen(counts=vacuumed, window_hours=0.1)).kind is Kind.OK


def test_a_table_that_never_had_a_row_needs_no_vacuum() -> None:
    void = [row(Size, relation=1, bytes=0)]
    of = seen(table(tuples=-1.0), counts=[counted(dead=0)], window_hours=0.1, sizes=void)
    assert verdict(dead_rows, of).kind is Kind.OK


def test_a_standby_does_not_count_dead_rows() -> None:
    result = verdict(dead_rows, seen(of=server(in_recovery=True)))
    assert result.kind is Kind.UNKNOWN
    assert "Try: its primary" in result.reason


def test_partitions_are_told_at_their_parent() -> None:
    parts = [table(n, f"events_{n}", is_partition=True) for n in (2, 3)]
    of = seen(
        table(1, "events", kind="p", tuples=-1.0),
        *parts,
        counts=[counted(2), counted(3)],
        inheritance=[row(Inheritance, parent=1, child=n, is_partition=True) for n in (2, 3)],
    )
    result = verdict(dead_rows, of)
    assert objects(result) == {"public.events"}
    assert "2 partitions" in result.findings[0].claim
    assert result.findings[0].remedies[0].sql == ('VACUUM "public"."events"',)


def test_the_shape_is_red_on_a_sandbox() -> None:
    shape = verdict(dead_rows, seen()).findings[0].remedies[0].shape
    assert shape.settings == {"autovacuum": "off"}
    rows, dead = shape.rows["public.orders"], shape.dead["public.orders"]
    assert rows <= 20_000
    assert 50 + 0.2 * rows < dead <= 20_000
