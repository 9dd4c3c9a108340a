"""Rules on the existence and validity of indexes, on hand-made pictures."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.indexes import invalid_index
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.activity import IndexBuild
from howdah.snapshot.facts.catalog import Index, Relation
from tests.making import fact, objects, picture, row, verdict

TABLE = row(Relation, oid=1, schema="public", name="orders", kind="r", tuples=100.0)
BROKEN = row(
    Index, oid=2, relation=1, schema="public", name="orders_total", is_valid=False, is_live=True
)


def test_an_invalid_index_that_nobody_builds_is_found() -> None:
    seen = picture(relations=[TABLE], indexes=[BROKEN])
    assert objects(verdict(invalid_index, seen)) == {"public.orders_total"}


def test_an_index_being_built_is_not_reported() -> None:
    build = row(IndexBuild, relation_oid=1, index_oid=2)
    seen = picture(relations=[TABLE], indexes=[BROKEN], index_builds=[build])
    assert verdict(invalid_index, seen).kind is Kind.OK


def test_without_indexes_the_rule_is_not_applicable() -> None:
    assert verdict(invalid_index, picture(relations=[TABLE])).kind is Kind.NOT_APPLICABLE


def test_without_sight_of_the_indexes_the_rule_is_unknown() -> None:
    result = verdict(invalid_index, picture(indexes=fact(status=Status.TIMEOUT, reason="5 s")))
    assert result.kind is Kind.UNKNOWN
    assert "5 s" in result.reason
