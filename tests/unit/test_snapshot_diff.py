"""What changed between two snapshots."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from howdah.errors import BadInput
from howdah.snapshot.diff import Difference, diff
from howdah.snapshot.facts import Fact, Status
from howdah.snapshot.facts.catalog import Database, Index, Relation, Setting
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.model import Snapshot
from tests.making import NOW, row, server, snapshot

HOUR = timedelta(hours=1)


def table(oid: int, name: str, **fields: Any) -> Relation:
    return row(Relation, oid=oid, schema="public", name=name, **fields)


def later(of: Snapshot, **changes: Any) -> Snapshot:
    """An hour later, with the same start of the statistics."""
    return msgspec.structs.replace(of, taken_at=NOW + HOUR, **changes)


def named(difference: Difference) -> list[tuple[str, str, str]]:
    return [(change.what, change.name, change.kind) for change in difference.changes]


def test_objects_are_compared_by_name_not_by_oid() -> None:
    a = snapshot(relations=[table(1, "kept"), table(2, "gone")])
    b = later(snapshot(relations=[table(9, "kept"), table(8, "new", options=("fillfactor=70",))]))
    assert named(diff(a, b)) == [
        ("table", "public.gone", "removed"),
        ("table", "public.new", "added"),
    ]
    assert diff(b, b).changes == ()


def test_a_change_holds_the_fields_that_differ() -> None:
    a = snapshot(settings=[row(Setting, name="work_mem", value="4096")])
    b = later(snapshot(settings=[row(Setting, name="work_mem", value="8192")]))
    (change,) = diff(a, b).changes
    assert (change.before, change.after) == ({"value": "4096"}, {"value": "8192"})


def test_rates_over_one_window() -> None:
    def at(inserted: int, xid_age: int) -> Snapshot:
        return snapshot(
            relations=[table(1, "t")],
            databases=[row(Database, name="shop", is_current=True, xid_age=xid_age)],
            table_statistics=[row(TableStatistics, relation=1, inserted=inserted)],
        )

    found = diff(at(100, 5), later(at(7300, 50)))
    assert [(rate.name, rate.per_second) for rate in found.rates] == [("public.t inserted", 2.0)]
    assert [(each.before, each.after) for each in found.growth] == [(5, 50)]


def test_no_rates_across_a_restart_of_the_window() -> None:
    a = snapshot(window_hours=24)
    b = later(snapshot(window_hours=1))
    assert diff(a, b).rates == ()
    assert "anew" in diff(a, b).rates_reason
    assert (
        diff(snapshot(window_hours=None), b).rates_reason
        == "the start of the statistics is not known"
    )


def test_what_one_does_not_know_is_not_compared() -> None:
    a = snapshot(indexes=Fact(status=Status.TIMEOUT), relations=[table(1, "t")])
    b = later(
        snapshot(indexes=[row(Index, oid=2, relation=1, name="i")], relations=[table(1, "t")])
    )
    assert diff(a, b).not_compared == ("indexes",)
    assert diff(a, b).changes == ()


def test_two_databases_are_refused_unless_forced() -> None:
    a, b = snapshot(), later(snapshot(of=server(system_identifier="2")))
    with pytest.raises(BadInput, match="two databases"):
        diff(a, b)
    assert diff(a, b, force=True).seconds == 3600
