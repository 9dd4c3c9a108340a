"""Foreign keys without an index: who is asked about, what an answer means, how they are ranked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from howdah.check.evaluate import questions
from howdah.check.model import Answer, Answers, Kind, Question, Result, ServesQuestion, Severity
from howdah.check.rules.foreign_keys import foreign_key_without_index
from howdah.snapshot.facts.catalog import Constraint, Inheritance
from howdah.snapshot.picture import Picture
from tests.making import picture, row, verdict
from tests.unit.check.indexing import columns, index, table, writes

PARENT = 7


def foreign_key(oid: int = 30, on: str = "a", **given: Any) -> Constraint:
    numbers = tuple("abcdefgh".index(letter) + 1 for letter in on)
    values = {
        "relation": 1,
        "name": f"orders_{on}_fkey",
        "kind": "f",
        "columns": numbers,
        "foreign_relation": PARENT,
        "foreign_columns": numbers,
        "is_enforced": True,
        "on_delete": "a",
        "definition": f"FOREIGN KEY ({', '.join(on)}) REFERENCES parents({', '.join(on)})",
    }
    return row(Constraint, oid=oid, **(values | given))


def schema(*indexes: Any, **given: Any) -> Picture:
    """A child `orders` with these indexes and a key (a) to `parents`."""
    values = {
        "relations": [table(), table(PARENT, "parents")],
        "columns": columns() + columns(PARENT),
        "indexes": list(indexes),
        "constraints": [foreign_key()],
    }
    return picture(**(values | given))


def asked(seen: Picture) -> tuple[Question, ...]:
    return questions(seen, [foreign_key_without_index])


def answered(questions_: Iterable[Question], *, serves: bool) -> Answers:
    return {each: Answer(answered=True, serves=serves, planner="a test") for each in questions_}


def judged(seen: Picture, *, serves: bool) -> Result:
    return verdict(foreign_key_without_index, seen, answered(asked(seen), serves=serves))


def test_the_question_is_the_checks_predicate_with_the_parents_type() -> None:
    parents = columns(PARENT, type="bigint", base_type="int8")
    seen = schema(index(2, "a"), columns=columns() + parents)
    assert asked(seen) == (
        ServesQuestion(
            table='"public"."orders"', predicate='"a" = $1', parameter_types=("bigint",)
        ),
    )


def test_the_certain_case_is_not_asked_and_is_ok() -> None:
    seen = schema(index(2, "ab"))
    assert asked(seen) == ()
    assert judged(seen, serves=False).kind is Kind.OK


def test_a_composite_key_is_certainly_served_in_any_order() -> None:
    seen = schema(index(2, "bac"), constraints=[foreign_key(on="ab")])
    assert asked(seen) == ()


@pytest.mark.parametrize(
    "given",
    [
        {"predicate": "(b > 0)"},
        {"is_valid": False},
        {"is_ready": False},
        {"method": "brin"},
        {"method": "hash"},
        {"collations": (950,)},
        {"operator_classes": ("public.my_ops",)},
        {"operator_classes": ("pg_catalog.record_image_ops",)},
        {"columns": (0,)},
    ],
)
def test_whatever_is_not_certain_is_asked(given: dict[str, Any]) -> None:
    assert len(asked(schema(index(2, "a", **given)))) == 1


def test_an_index_led_by_another_column_is_asked_about() -> None:
    assert len(asked(schema(index(2, "ba")))) == 1


def test_what_the_planner_serves_is_ok() -> None:
    assert judged(schema(index(2, "a", method="hash")), serves=True).kind is Kind.OK


@pytest.mark.parametrize("method", ["brin", "bloom"])
def test_an_index_that_finds_only_pages_does_not_serve(method: str) -> None:
    seen = schema(index(2, "a", method=method))
    said = {each: Answer(answered=True, serves=True, method=method) for each in asked(seen)}
    (finding,) = verdict(foreign_key_without_index, seen, said).findings
    assert finding.evidence[1]["because"] == f"{method} finds pages, not rows"


def test_what_the_planner_does_not_serve_is_found_with_its_near_misses() -> None:
    (finding,) = judged(schema(index(2, "ba"), index(3, "c")), serves=False).findings
    assert finding.object == "public.orders.orders_a_fkey"
    near = [each["index_that_does_not_serve"] for each in finding.evidence[1:]]
    assert near == ["public.orders_b_a_idx"]


def test_an_unanswered_question_leaves_its_key_unexamined() -> None:
    keys = [foreign_key(), foreign_key(31, "b")]
    seen = schema(index(2, "a"), constraints=keys)
    result = verdict(foreign_key_without_index, seen, {})
    assert (result.kind, result.examined, result.of) == (Kind.OK, 1, 2)
    failed = {each: Answer(answered=False, reason="no sandbox") for each in asked(seen)}
    assert "no sandbox" in verdict(foreign_key_without_index, seen, failed).reason


def test_no_answer_at_all_is_unknown() -> None:
    assert verdict(foreign_key_without_index, schema(), {}).kind is Kind.UNKNOWN


def test_keys_that_are_not_enforced_have_no_checks() -> None:
    seen = schema(constraints=[foreign_key(is_enforced=False)])
    assert judged(seen, serves=False).kind is Kind.NOT_APPLICABLE


def test_deletes_of_parents_rank_before_all_else() -> None:
    tables = [
        table(1, pages=100),
        table(5, "huge", pages=10**6),
        table(PARENT, "parents"),
        table(8, "lookups"),
    ]
    keys = [foreign_key(31, relation=5, foreign_relation=8), foreign_key(30)]
    seen = schema(
        relations=tables,
        columns=[*columns(), *columns(5), *columns(PARENT), *columns(8)],
        constraints=keys,
        table_statistics=[writes(PARENT, deleted=168), writes(8)],
    )
    findings = judged(seen, serves=False).findings
    assert [each.object for each in findings] == [
        "public.orders.orders_a_fkey",
        "public.huge.orders_a_fkey",
    ]
    assert [each.severity for each in findings] == [Severity.WARNING, Severity.NOTICE]
    assert findings[0].evidence[0]["parent_deletes_per_hour"] == 1.0


def partitioned(*indexes: Any) -> Picture:
    """A partitioned child with two leaves, the key inherited by both."""
    names = {1: "orders", 10: "orders_1", 11: "orders_2", PARENT: "parents"}
    tables = [table(oid, name, kind="p" if oid == 1 else "r") for oid, name in names.items()]
    return schema(
        *indexes,
        relations=tables,
        columns=[column for oid in names for column in columns(oid)],
        inheritance=[row(Inheritance, parent=1, child=c, is_partition=True) for c in (10, 11)],
        constraints=[
            foreign_key(),
            foreign_key(31, relation=10, parent=30),
            foreign_key(32, relation=11, parent=30),
        ],
    )


def test_a_partitioned_table_is_reported_once_and_asked_by_leaf() -> None:
    seen = partitioned(index(2, "a", relation=10, name="o1"))
    assert [each.table for each in asked(seen) if isinstance(each, ServesQuestion)] == [
        '"public"."orders_2"'
    ]
    (finding,) = judged(seen, serves=False).findings
    assert finding.object == "public.orders.orders_a_fkey"
    assert finding.evidence[0]["partitions_without"] == 1


def test_a_partitioned_index_serves_every_leaf() -> None:
    assert asked(partitioned(index(2, "a", is_partitioned=True))) == ()


def test_an_invalid_partitioned_index_serves_none() -> None:
    assert len(asked(partitioned(index(2, "a", is_partitioned=True, is_valid=False)))) == 2


def test_the_remedy_of_a_partitioned_table_blocks_no_writer() -> None:
    (finding,) = judged(partitioned(), serves=False).findings
    assert finding.remedies[0].sql == (
        'CREATE INDEX "orders_a_idx" ON ONLY "public"."orders" ("a")',
        'CREATE INDEX CONCURRENTLY "orders_1_a_idx" ON "public"."orders_1" ("a")',
        'ALTER INDEX "public"."orders_a_idx" ATTACH PARTITION "public"."orders_1_a_idx"',
        'CREATE INDEX CONCURRENTLY "orders_2_a_idx" ON "public"."orders_2" ("a")',
        'ALTER INDEX "public"."orders_a_idx" ATTACH PARTITION "public"."orders_2_a_idx"',
    )


def test_the_new_index_takes_no_name_that_is_taken_and_none_too_long() -> None:
    taken = index(2, "b", name="orders_a_idx")
    (finding,) = judged(schema(taken), serves=False).findings
    assert finding.remedies[0].arguments["index"] == "orders_a_idx1"
    long = schema(relations=[table(name="ä" * 31), table(PARENT, "parents")])
    (finding,) = judged(long, serves=False).findings
    name = finding.remedies[0].arguments["index"]
    assert len(name.encode()) <= 63
    assert name.endswith("_a_idx")


def test_a_temporal_key_is_asked_by_overlap() -> None:
    text = "FOREIGN KEY (a, PERIOD b) REFERENCES parents(a, PERIOD b)"
    seen = schema(index(2, "ab"), constraints=[foreign_key(on="ab", definition=text)])
    (question,) = asked(seen)
    assert isinstance(question, ServesQuestion)
    assert question.predicate == '"a" = $1 AND "b" && $2'
