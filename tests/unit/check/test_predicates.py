"""Predicates that pass by an index: forms, readings, answers, remedies, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.evaluate import questions
from howdah.check.knowledge.forms import Form, equivalent, predicates
from howdah.check.knowledge.parsing import Resolver
from howdah.check.model import (
    Answer,
    Answers,
    Confidence,
    Kind,
    PlanQuestion,
    Question,
    Scan,
    ServesQuestion,
    Severity,
)
from howdah.check.rules.predicates import predicate_misses_index, shadowed_operator
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Column, Extension, Index, OperatorOverlap, Relation
from howdah.snapshot.facts.counters import IndexStatistics, Statement
from howdah.snapshot.picture import Picture
from tests.making import fact, objects, picture, row, verdict

TABLE = row(Relation, oid=1, schema="public", name="doc", kind="r", pages=1000, tuples=50000.0)
TYPES = {
    "id": "int4",
    "email": "text",
    "d": "jsonb",
    "tags": "_int4",
    "created_at": "timestamptz",
}
COLUMNS = [
    row(
        Column,
        relation=1,
        number=number,
        name=name,
        type={"_int4": "integer[]"}.get(base, base),
        base_type=base,
        collation=100 if base == "text" else 0,
    )
    for number, (name, base) in enumerate(TYPES.items(), start=1)
]
NUMBERS = {column.name: column.number for column in COLUMNS}


def index(name: str, key: str, *, method: str = "btree", **more: Any) -> Index:
    given = {
        "oid": 100 + len(name),
        "relation": 1,
        "schema": "public",
        "name": name,
        "method": method,
        "columns": (NUMBERS.get(key, 0),),
        "column_definitions": (key,),
        "key_count": 1,
        "operator_classes": ("pg_catalog.x_ops",),
        "collations": (100 if key == "email" else 0,),
        "is_valid": True,
        "is_live": True,
        "definition": f"CREATE INDEX {name} ON public.doc USING {method} ({key})",
    }
    return row(Index, **(given | more))


def statement(text: str, *, calls: int = 10, pages: int = 1000, **more: Any) -> Statement:
    return row(
        Statement,
        query_id=hash(text),
        text=text,
        calls=calls,
        total_milliseconds=100.0,
        blocks_hit=calls * pages,
        **more,
    )


def seen(text: str, *indexes: Index, **more: Any) -> Picture:
    facts: dict[str, Any] = {"relations": [TABLE], "columns": COLUMNS, "indexes": list(indexes)}
    facts |= {"statements": [statement(text)]} | more
    return picture(**facts)


def asked(of: Picture) -> list[str]:
    return [q.statement for q in questions(of, [predicate_misses_index]) if hasattr(q, "statement")]


def answers(of: Picture, *, served: str = "") -> Answers:
    """Every question read in full, but for texts that contain `served`."""
    found: dict[Question, Answer] = {}
    for text in asked(of):
        condition = "(yes)" if served and served in text else None
        scan = Scan(
            node="Index Scan" if condition else "Seq Scan",
            relation="public.doc",
            index="some" if condition else None,
            index_condition=condition,
            filter="((doc.d ->> 'k'::text) = $1) and email and tags and created_at and id",
        )
        found[PlanQuestion(statement=text)] = Answer(answered=True, scans=(scan,), planner="18")
    return found


RESOLVER = Resolver(picture(relations=[TABLE], columns=COLUMNS))


@pytest.mark.parametrize(
    ("condition", "form"),
    [
        ("email = $1", Form.PLAIN),
        ("email IN ($1, $2)", Form.PLAIN),
        ("lower(email) = $1", Form.FUNCTION),
        ("created_at::date = $1", Form.CAST),
        ("id + $1 = $2", Form.ARITHMETIC),
        ("d ->> $1 = $2", Form.JSON_TEXT),
        ("d #>> $1 = $2", Form.JSON_TEXT),
        ("jsonb_extract_path_text(d, $1) = $2", Form.JSON_TEXT),
        ("d -> $1 = $2", Form.JSON_VALUE),
        ("d[$1] = $2", Form.JSON_VALUE),
        ("(d ->> $1)::int = $2", Form.CAST),
        ("jsonb_path_exists(d, $1)", Form.OPERATOR_FUNCTION),
        ("$1 = ANY (tags)", Form.ELEMENT),
        ("tags @> $1", Form.CONTAINMENT),
        ("d ? $1", Form.CONTAINMENT),
        ("email LIKE $1", Form.PATTERN),
        ("email ILIKE $1", Form.PATTERN),
        ("email ~ $1", Form.PATTERN),
        ('email COLLATE "C" = $1', Form.COLLATION),
        ("id = $1::numeric", Form.VALUE_CAST),
        ("$1 = lower(email)", Form.FUNCTION),
    ],
)
def test_the_form_of_a_condition(condition: str, form: Form) -> None:
    (level,) = RESOLVER.levels(f"select 1 from doc where {condition}")
    assert [each.form for each in predicates(RESOLVER, level)] == [form]


@pytest.mark.parametrize(
    "condition",
    [
        "email <> $1",
        "email NOT LIKE $1",
        "email NOT IN ($1)",
        "lower(email) = $1 OR id = $2",
        "email IS NULL",
        "lower(email) = id::text || email",
        "$1 = $2",
    ],
)
def test_what_no_index_form_serves_is_no_suspect(condition: str) -> None:
    (level,) = RESOLVER.levels(f"select 1 from doc where {condition}")
    assert list(predicates(RESOLVER, level)) == []


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (
            "d ->> $1 = $2",
            "d @> jsonb_build_object(CAST($1 AS text), CAST($2 AS text))",
        ),
        (
            "x.d -> $1 ->> $2 = $3",
            "x.d @> jsonb_build_object(CAST($1 AS text), "
            "jsonb_build_object(CAST($2 AS text), CAST($3 AS text)))",
        ),
        ("d[$1] = $2", "d @> jsonb_build_object(CAST($1 AS text), CAST($2 AS jsonb))"),
        ("d ->> $1 > $2", ""),
        ("jsonb_path_exists(d, $1)", "d @? $1"),
        ("jsonb_path_exists(d, $1, $2)", ""),
        ("$1 = ANY (tags)", "tags @> CAST(ARRAY[$1] AS integer[])"),
        (
            "created_at::date = $1",
            "created_at >= CAST($1 AS date) AND created_at < CAST($1 AS date) + 1",
        ),
        ("id = $1::numeric", "id = CAST($1 AS int4)"),
        ("lower(email) = $1", ""),
    ],
)
def test_the_equivalent_form(condition: str, wanted: str) -> None:
    (level,) = RESOLVER.levels(f"select 1 from doc x where {condition}")
    (predicate,) = predicates(RESOLVER, level)
    assert equivalent(predicate) == wanted


def test_a_function_around_an_indexed_column_is_found_with_an_index_for_it() -> None:
    of = seen("select * from doc where lower(email) = $1", index("doc_email", "email"))
    result = verdict(predicate_misses_index, of, answers(of))
    assert objects(result) == {"public.doc: lower(email) ="}
    (finding,) = result.findings
    assert finding.confidence is Confidence.PROVEN
    assert "1,000 pages each" in finding.claim
    (remedy,) = finding.remedies
    assert remedy.sql == (
        'CREATE INDEX CONCURRENTLY "doc_lower_email_ix" ON "public"."doc" '
        "USING btree ((lower(email)))",
    )


def test_a_statement_that_the_planner_serves_is_ok() -> None:
    of = seen("select * from doc where lower(email) = $1", index("doc_lower", "lower(email)"))
    result = verdict(predicate_misses_index, of, answers(of, served="lower"))
    assert (result.kind, result.examined) == (Kind.OK, 1)


def test_without_a_planner_the_rule_is_unknown() -> None:
    of = seen("select * from doc where lower(email) = $1", index("doc_email", "email"))
    assert verdict(predicate_misses_index, of).kind is Kind.UNKNOWN


def test_an_unanswered_question_is_unknown_and_says_why() -> None:
    of = seen("select * from doc where lower(email) = $1", index("doc_email", "email"))
    refusal = Answer(answered=False, reason="42804")
    refused: Answers = {PlanQuestion(statement=text): refusal for text in asked(of)}
    result = verdict(predicate_misses_index, of, refused)
    assert result.kind is Kind.UNKNOWN
    assert "42804" in result.reason


def test_the_blanked_key_is_given_back_from_the_index_before_asking() -> None:
    of = seen("select * from doc where d ->> $1 = $2", index("doc_k", "(d ->> 'k'::text)"))
    assert "select * from doc where d ->> 'k' = $1" in asked(of)
    assert verdict(predicate_misses_index, of, answers(of, served="'k'")).kind is Kind.OK


def test_another_cast_than_the_indexs_is_estimated_because_the_key_is_blanked() -> None:
    of = seen(
        "select * from doc where (d ->> $1)::bigint = $2",
        index("doc_n", "((d ->> 'n'::text))::integer"),
    )
    assert asked(of) == ["select * from doc where (d ->> 'n')::bigint = $1"]
    (finding,) = verdict(predicate_misses_index, of, answers(of)).findings
    assert finding.confidence is Confidence.ESTIMATED
    assert "CAST(d ->> 'n' AS bigint)" in finding.remedies[0].sql[0]


def test_a_document_index_does_not_serve_an_extracted_value_but_containment() -> None:
    of = seen("select * from doc where d ->> $1 = $2", index("doc_d", "d", method="gin"))
    (finding,) = verdict(predicate_misses_index, of, answers(of, served="@>")).findings
    rewrite = next(r for r in finding.remedies if r.operation == "rewrite-predicate")
    assert rewrite.manual
    assert "d @> jsonb_build_object" in rewrite.sql[0]
    assert "served by an index" in rewrite.note
    build = next(r for r in finding.remedies if r.operation == "create-index")
    assert build.manual
    assert "'KEY'" in build.sql[0]


def test_a_rewrite_that_would_not_help_is_not_offered() -> None:
    of = seen("select * from doc where $1 = any (tags)", index("doc_tags", "tags", method="gin"))
    (finding,) = verdict(predicate_misses_index, of, answers(of)).findings
    assert finding.remedies == ()


def test_a_pattern_is_asked_with_an_anchor() -> None:
    of = seen("select * from doc where email like $1", index("doc_email", "email"))
    assert asked(of) == ["select * from doc where email like 'abc%'"]
    (finding,) = verdict(predicate_misses_index, of, answers(of)).findings
    assert '("email" text_pattern_ops)' in finding.remedies[0].sql[0]


def test_an_index_of_another_collation_is_found() -> None:
    of = seen("select * from doc where email = $1", index("doc_email", "email", collations=(950,)))
    (finding,) = verdict(predicate_misses_index, of, answers(of)).findings
    assert "another collation" in finding.claim


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(index("doc_email", "email", is_valid=False), id="invalid"),
        pytest.param(index("doc_email", "email", predicate="(id > 5)"), id="partial"),
        pytest.param(
            index("x", "id", columns=(1, 2), column_definitions=("id", "email"), key_count=2),
            id="not leading",
        ),
        pytest.param(index("doc_id", "id"), id="another column"),
    ],
)
def test_without_a_usable_index_on_the_column_there_is_nothing_to_examine(given: Index) -> None:
    of = seen("select * from doc where lower(email) = $1", given)
    assert verdict(predicate_misses_index, of).kind is Kind.NOT_APPLICABLE


def test_a_small_table_is_left_alone() -> None:
    small = row(Relation, oid=1, schema="public", name="doc", kind="r", pages=10)
    text = "select * from doc where lower(email) = $1"
    of = seen(text, index("doc_email", "email"), relations=[small])
    assert verdict(predicate_misses_index, of).kind is Kind.NOT_APPLICABLE


def test_a_statement_that_touches_few_pages_is_not_reported() -> None:
    text = "select * from doc where lower(email) = $1 limit $2"
    of = seen(text, index("doc_email", "email"), statements=[statement(text, pages=3)])
    assert verdict(predicate_misses_index, of, answers(of)).kind is Kind.OK


def test_a_text_that_does_not_parse_is_not_examined() -> None:
    text = "select * from doc where lower(email) = $1"
    cut = statement("select * from doc where lower(")
    savepoint = statement("SAVEPOINT $1")  # blanked since 17, and no condition in it
    given = [statement(text), cut, savepoint]
    of = seen(text, index("doc_e", "lower(email)"), statements=given)
    result = verdict(predicate_misses_index, of, answers(of, served="lower"))
    assert (result.examined, result.of) == (1, 2)
    assert "do not parse" in result.reason


def test_a_shadowed_operator_is_left_to_its_own_rule() -> None:
    overlap = row(
        OperatorOverlap, name="@>", left_type="_int4", extension="intarray", is_visible=True
    )
    text = "select * from doc where tags @> $1"
    given = index("doc_tags", "tags", method="gin")
    assert asked(seen(text, given)) == [text]
    assert asked(seen(text, given, operator_overlaps=[overlap])) == []


def test_without_statements_the_rule_is_unknown() -> None:
    of = picture(
        relations=[TABLE], statements=fact(status=Status.UNSUPPORTED, reason="not installed")
    )
    assert verdict(predicate_misses_index, of).kind is Kind.UNKNOWN


def test_hidden_statements_are_not_examined() -> None:
    hidden = verdict(predicate_misses_index, seen("<insufficient privilege>"))
    assert hidden.kind is Kind.UNKNOWN
    assert "hidden" in hidden.reason


@pytest.mark.parametrize(("entries", "kind"), [(30 * 50_000, Kind.FINDING), (30 * 100, Kind.OK)])
def test_an_inverted_index_that_returns_the_table_is_found(entries: int, kind: Kind) -> None:
    gin = index("doc_d", "d", method="gin", operator_classes=("pg_catalog.jsonb_ops",))
    counters = row(IndexStatistics, index=gin.oid, scans=30, entries_read=entries)
    of = seen("select 1", gin, index_statistics=[counters])
    assert verdict(predicate_misses_index, of).kind is kind


# --- shadowed operators ---------------------------------------------------------------------------

ARRAY = index("doc_tags", "tags", method="gin", operator_classes=("pg_catalog.array_ops",))
OVERLAP = row(
    OperatorOverlap,
    name="@>",
    left_type="integer[]",
    right_type="integer[]",
    schema="public",
    extension="intarray",
    is_visible=True,
)
EXTENSION = row(Extension, name="intarray", schema="public")


def shadowed(text: str = "select 1 from doc where tags @> $1", **more: Any) -> Picture:
    facts: dict[str, Any] = {"operator_overlaps": [OVERLAP], "extensions": [EXTENSION]}
    return seen(text, *more.pop("given", [ARRAY]), **(facts | more))


def test_an_array_index_under_intarray_is_found() -> None:
    result = verdict(shadowed_operator, shadowed())
    assert objects(result) == {"public.doc_tags"}
    (finding,) = result.findings
    assert (finding.severity, finding.confidence) == (Severity.WARNING, Confidence.ESTIMATED)
    assert '"public"."gin__int_ops"' in finding.remedies[0].sql[0]


def test_the_planner_proves_it_or_refutes_it() -> None:
    of = shadowed()
    (question,) = questions(of, [shadowed_operator])
    assert isinstance(question, ServesQuestion)
    lost = verdict(shadowed_operator, of, {question: Answer(answered=True, planner="18")})
    assert lost.findings[0].confidence is Confidence.PROVEN
    served = verdict(shadowed_operator, of, {question: Answer(answered=True, serves=True)})
    assert served.kind is Kind.OK


def test_an_index_that_is_scanned_though_no_statement_is_known_is_a_notice() -> None:
    used = row(IndexStatistics, index=ARRAY.oid, scans=7)
    result = verdict(shadowed_operator, shadowed("select 1", index_statistics=[used]))
    assert result.findings[0].severity is Severity.NOTICE


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(
            shadowed("select 1 from doc where tags operator(pg_catalog.@>) $1"), id="qualified"
        ),
        pytest.param(
            shadowed(
                given=[
                    ARRAY,
                    index(
                        "doc_own", "tags", method="gin", operator_classes=("public.gin__int_ops",)
                    ),
                ]
            ),
            id="own class beside",
        ),
        pytest.param(
            shadowed(operator_overlaps=[row(OperatorOverlap, name="@>", left_type="integer[]")]),
            id="not visible",
        ),
        pytest.param(
            shadowed(
                operator_overlaps=[
                    row(OperatorOverlap, name="@>", left_type="bigint[]", is_visible=True)
                ]
            ),
            id="another type",
        ),
    ],
)
def test_a_healthy_array_index_is_ok(of: Picture) -> None:
    assert verdict(shadowed_operator, of).kind is Kind.OK


def test_without_array_indexes_the_rule_is_not_applicable() -> None:
    assert verdict(shadowed_operator, shadowed(given=[])).kind is Kind.NOT_APPLICABLE


@pytest.mark.parametrize(("condition", "kind"), [(None, Kind.FINDING), ("(x)", Kind.OK)])
def test_a_bitmap_of_the_whole_index_is_no_use_of_it(condition: str | None, kind: Kind) -> None:
    of = seen("select * from doc where lower(email) = $1", index("doc_email", "email"))
    heap = Scan(
        node="Bitmap Heap Scan",
        relation="public.doc",
        index=None,
        index_condition=None,
        filter="(lower(doc.email) = $1)",
    )
    below = Scan(
        node="Bitmap Index Scan",
        relation="public.doc",
        index="public.doc_email",
        index_condition=condition,
        filter=None,
    )
    given: Answers = {
        PlanQuestion(statement=text): Answer(answered=True, scans=(heap, below))
        for text in asked(of)
    }
    assert verdict(predicate_misses_index, of, given).kind is kind
