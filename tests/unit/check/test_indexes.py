"""Rules on the existence and validity of indexes, on hand-made pictures."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.indexes import invalid_index
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.activity import IndexBuild, Lock
from tests.making import fact, objects, picture, row, verdict
from tests.unit.check.indexing import index, table

TABLE = table()
BROKEN = index(2, "a", name="orders_total", is_valid=False)


def test_an_invalid_index_that_nobody_builds_is_found() -> None:
    seen = picture(relations=[TABLE], indexes=[BROKEN])
    assert objects(verdict(invalid_index, seen)) == {"public.orders_total"}


def test_an_index_being_built_is_not_reported() -> None:
    build = row(IndexBuild, relation_oid=1, index_oid=2)
    seen = picture(relations=[TABLE], indexes=[BROKEN, index(3, "b")], index_builds=[build])
    result = verdict(invalid_index, seen)
    assert result.kind is Kind.OK
    assert (result.examined, result.of) == (1, 2)


@pytest.mark.parametrize("on", [1, 2])
def test_an_index_being_dropped_is_not_reported(on: int) -> None:
    dropping = row(Lock, relation_oid=on, mode="ShareUpdateExclusiveLock", is_granted=True)
    seen = picture(relations=[TABLE], indexes=[BROKEN], locks=[dropping])
    assert verdict(invalid_index, seen).kind is Kind.UNKNOWN


def test_a_writer_that_waits_does_not_hide_an_invalid_index() -> None:
    writing = row(Lock, relation_oid=1, mode="RowExclusiveLock", is_granted=True)
    seen = picture(relations=[TABLE], indexes=[BROKEN], locks=[writing])
    assert verdict(invalid_index, seen).kind is Kind.FINDING


def test_a_partitioned_index_in_progress_is_not_reported() -> None:
    on_only = index(3, "a", is_partitioned=True, is_valid=False)
    seen = picture(relations=[TABLE], indexes=[on_only, index(4, "b")])
    assert verdict(invalid_index, seen).kind is Kind.OK


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("orders_total_ccnew", "new copy of a REINDEX"),
        ("orders_total_ccold1", "old copy of a REINDEX"),
        ("index_3", "copy of public.orders_b_idx left by a pg_repack"),
    ],
)
def test_leftovers_are_said_to_be_such_and_only_dropped(name: str, said: str) -> None:
    left = index(2, "a", name=name, is_valid=False)
    seen = picture(relations=[TABLE], indexes=[left, index(3, "b")])
    (finding,) = verdict(invalid_index, seen).findings
    assert said in finding.claim
    assert [remedy.operation for remedy in finding.remedies] == ["drop-index"]


def test_a_half_dropped_index_is_said_to_be_such() -> None:
    half = index(2, "a", is_valid=False, is_ready=False, is_live=False)
    (finding,) = verdict(invalid_index, picture(relations=[TABLE], indexes=[half])).findings
    assert "half dropped" in finding.claim
    assert "nothing maintains it" in finding.claim


def test_what_has_a_duty_can_only_be_rebuilt() -> None:
    attached = index(2, "a", is_valid=False, parent=9)
    (finding,) = verdict(invalid_index, picture(relations=[TABLE], indexes=[attached])).findings
    assert [remedy.operation for remedy in finding.remedies] == ["reindex"]


def test_without_indexes_the_rule_is_not_applicable() -> None:
    assert verdict(invalid_index, picture(relations=[TABLE])).kind is Kind.NOT_APPLICABLE


def test_without_sight_of_the_indexes_the_rule_is_unknown() -> None:
    result = verdict(invalid_index, picture(indexes=fact(status=Status.TIMEOUT, reason="5 s")))
    assert result.kind is Kind.UNKNOWN
    assert "5 s" in result.reason
