"""Partial indexes that claims cannot use, on hand-made pictures and answers."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.evaluate import questions
from howdah.check.model import Answer, Answers, Confidence, Kind, PlanQuestion, Scan
from howdah.check.rules.partial_indexes import queue_partial_index_not_implied
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.facts.counters import IndexStatistics
from howdah.snapshot.picture import Picture
from tests.making import objects, row, verdict
from tests.making_queues import DONE, NEWS, READ, SENT, TAKE, WORK, used

ON_STATE = "(state = 'new'::text)"
WITH_BODY = "((state = 'new'::text) AND (body IS NOT NULL))"


def index(predicate: str | None, *, relation: int = WORK, **more: Any) -> Index:
    values: dict[str, Any] = {
        "oid": 20,
        "relation": relation,
        "schema": "public",
        "name": "work_new",
        "method": "btree",
        "columns": (1,),
        "column_definitions": ("id",),
        "column_options": (0,),
        "key_count": 1,
        "predicate": predicate,
        "is_valid": True,
        "is_live": True,
        "xid_age": 10_000,
    }
    return row(Index, **(values | more))


def seen(predicate: str | None, *, scans: int = 0, **more: Any) -> Picture:
    facts: dict[str, Any] = {
        "indexes": [index(predicate)],
        "index_statistics": [row(IndexStatistics, index=20, scans=scans)],
    }
    return used(TAKE, DONE, **(facts | more))


def asked(of: Picture) -> list[str]:
    found = questions(of, [queue_partial_index_not_implied])
    return [each.statement for each in found if isinstance(each, PlanQuestion)]


def answers(of: Picture, *using: int, other: str = "") -> Answers:
    """Plans that use the partial index for these questions, the primary key for the others."""
    return {
        PlanQuestion(statement=text): Answer(
            answered=True,
            scans=(
                Scan(
                    node="Index Scan",
                    relation="public.work",
                    index="public.work_new" if at in using else "public.work_pkey",
                    index_condition=other or None,
                    filter="(state = $2)",
                ),
            ),
        )
        for at, text in enumerate(asked(of))
    }


def test_three_texts_are_asked() -> None:
    plain, constant, added = asked(seen(WITH_BODY))
    assert plain == TAKE
    assert "where state = 'new' order by" in constant
    assert "body IS NOT NULL" in added


def test_a_predicate_that_the_claim_does_not_imply_is_found_and_weakened() -> None:
    of = seen(WITH_BODY)
    result = verdict(queue_partial_index_not_implied, of, answers(of, 2))
    assert objects(result) == {"public.work_new"}
    (finding,) = result.findings
    assert finding.confidence is Confidence.PROVEN
    (sql,) = finding.remedies[0].sql
    assert sql.endswith("USING btree (id) WHERE state = CAST('new' AS text)")


def test_constants_only_with_an_unscanned_index_is_found() -> None:
    of = seen(ON_STATE, scans=5)
    (finding,) = verdict(queue_partial_index_not_implied, of, answers(of, 1, 2)).findings
    assert finding.confidence is Confidence.MEASURED
    assert finding.remedies[0].sql[0].endswith('USING btree ("state", id)')


@pytest.mark.parametrize(
    ("predicate", "scans", "using", "other"),
    [
        pytest.param(ON_STATE, 1000, (1, 2), "", id="custom plans use it"),
        pytest.param(ON_STATE, 0, (0, 1, 2), "", id="implied as it is"),
        pytest.param(WITH_BODY, 0, (2,), "(state = $2)", id="served by another index"),
    ],
)
def test_a_claim_that_is_served_is_ok(
    predicate: str, scans: int, using: tuple[int, ...], other: str
) -> None:
    of = seen(predicate, scans=scans)
    found = verdict(queue_partial_index_not_implied, of, answers(of, *using, other=other))
    assert found.kind is Kind.OK


def test_where_no_variant_uses_the_index_nothing_is_known() -> None:
    of = seen(WITH_BODY)
    result = verdict(queue_partial_index_not_implied, of, answers(of))
    assert result.kind is Kind.UNKNOWN
    assert "prefers another" in result.reason


def test_without_a_planner_it_is_unknown() -> None:
    assert verdict(queue_partial_index_not_implied, seen(WITH_BODY)).kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(seen(None), id="whole index"),
        pytest.param(seen("(tries > 3)"), id="about another column"),
        pytest.param(used("select 1"), id="no queue"),
    ],
)
def test_without_a_partial_index_on_its_columns_it_is_not_applicable(of: Picture) -> None:
    assert verdict(queue_partial_index_not_implied, of).kind is Kind.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("condition", "predicate", "wanted"),
    [
        ("state in ($2, $3)", "(state = ANY (ARRAY['a'::text, 'b'::text]))", "state in ('a', 'b')"),
        (
            "state = any ($2)",
            "(state = ANY (ARRAY['a'::text, 'b'::text]))",
            "any (ARRAY[CAST('a' AS text), CAST('b' AS text)])",
        ),
        ("state = $2", "(state = ANY (ARRAY['a'::text, 'b'::text]))", "state = 'a'"),
    ],
)
def test_constants_of_a_list_are_given_back(condition: str, predicate: str, wanted: str) -> None:
    text = f"select id from work where {condition} order by id limit $1 for update skip locked"
    of = used(text, DONE, indexes=[index(predicate)])
    assert wanted in asked(of)[1]


def test_a_marker_without_constants_is_asked_twice_only() -> None:
    of = used(READ, SENT, indexes=[index("(sent_at IS NULL)", relation=NEWS)])
    assert asked(of)[0] == READ
    assert len(asked(of)) == 2


def test_a_condition_that_a_blanked_constant_might_imply_is_not_examined() -> None:
    of = seen("(state <> 'done'::text)")
    result = verdict(queue_partial_index_not_implied, of, answers(of, 1))
    assert result.kind is Kind.UNKNOWN


def test_an_index_younger_than_the_calls_is_given_time() -> None:
    of = seen(ON_STATE, indexes=[index(ON_STATE, xid_age=3)])
    assert verdict(queue_partial_index_not_implied, of, answers(of, 1, 2)).kind is Kind.OK


def test_an_index_beside_one_that_serves_is_not_reported() -> None:
    beside = index(ON_STATE, oid=21, name="work_claim", xid_age=3)
    of = seen(WITH_BODY, indexes=[index(WITH_BODY), beside])
    found = {
        question: Answer(
            answered=True,
            scans=(
                Scan(
                    node="Index Scan",
                    relation="public.work",
                    index="public.work_pkey" if at == 0 else "public.work_claim",
                    index_condition=None,
                    filter=None,
                ),
            ),
        )
        for at, question in enumerate(questions(of, [queue_partial_index_not_implied]))
    }
    assert verdict(queue_partial_index_not_implied, of, found).kind is Kind.OK
