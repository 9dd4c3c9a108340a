"""A fact that is missing, or empty for want of traffic: what that hides and what it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from howdah.check.model import Kind, Rule
from howdah.check.rules.bitmaps import lossy_bitmaps
from howdah.check.rules.memory import spills
from howdah.check.rules.pending_lists import gin_pending_list
from howdah.check.rules.space import index_bloat, table_bloat
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Index, Relation
from tests.making import fact, picture, row, verdict

GONE = fact(status=Status.UNSUPPORTED, reason="the extension is not installed here")
TABLE = row(Relation, oid=1, schema="public", name="t", kind="r")
BTREE = row(Index, oid=2, relation=1, schema="public", name="t_pkey", method="btree")


@pytest.mark.parametrize(
    ("rule", "missing", "reason"),
    [
        (table_bloat, "table_space", "there are no tables"),
        (lossy_bitmaps, "statements", "there are no tables"),
        (index_bloat, "index_space", "there are no B-tree indexes"),
        (gin_pending_list, "pending_lists", "there are no GIN indexes"),
    ],
)
def test_a_missing_fact_hides_nothing_where_there_is_nothing(
    rule: Rule, missing: str, reason: str
) -> None:
    result = verdict(rule, picture(**{missing: GONE}))
    assert (result.kind, result.reason) == (Kind.NOT_APPLICABLE, reason)


@pytest.mark.parametrize(
    ("rule", "missing", "present"),
    [
        (table_bloat, "table_space", {"relations": [TABLE]}),
        (lossy_bitmaps, "statements", {"relations": [TABLE]}),
        (index_bloat, "index_space", {"relations": [TABLE], "indexes": [BTREE]}),
        (gin_pending_list, "pending_lists", {"indexes": fact(left_out=1)}),
        (spills, "statements", {}),  # a statement spills without a table, too
    ],
)
def test_it_is_unknown_where_there_may_be_something(
    rule: Rule, missing: str, present: Mapping[str, Any]
) -> None:
    result = verdict(rule, picture(**{missing: GONE}, **present))
    assert result.kind is Kind.UNKNOWN
    assert "not installed" in result.reason


def test_no_statement_recorded_yet_is_no_absence_of_statements() -> None:
    result = verdict(spills, picture())
    assert result.kind is Kind.UNKNOWN
    assert "look again after the usual traffic" in result.reason
    assert verdict(lossy_bitmaps, picture(relations=[TABLE])).kind is Kind.UNKNOWN
