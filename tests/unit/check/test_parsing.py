"""Statement texts as trees: levels, resolution, giving blanked constants back."""

from __future__ import annotations

import pytest

from howdah.check.knowledge.parsing import Resolver, deparsed, expression, parsed, pinned, unified
from howdah.snapshot.facts.catalog import Column, Relation
from tests.making import picture, row

RELATIONS = [
    row(Relation, oid=1, schema="public", name="job", kind="r"),
    row(Relation, oid=2, schema="public", name="event", kind="r"),
    row(Relation, oid=3, schema="other", name="event", kind="r"),
    row(Relation, oid=4, schema="hidden", name="alone", kind="r"),
]
COLUMNS = [
    row(Column, relation=oid, number=number, name=name, type="text")
    for oid in (1, 2, 3, 4)
    for number, name in enumerate(("id", "status", "payload" if oid == 1 else "body"), start=1)
]
RESOLVER = Resolver(picture(relations=RELATIONS, columns=COLUMNS))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("select * from job", [["public.job"]]),
        ("select * from event e join job j on j.id = e.id", [["public.event", "public.job"]]),
        ("select * from other.event", [["other.event"]]),
        ("select * from alone", [["hidden.alone"]]),
        ("select * from nowhere", [[]]),
        ("with job as (select 1) select * from job", [[], []]),
        (
            "delete from job where id in (select id from event)",
            [["public.job"], ["public.event"]],
        ),
        ("update job j set status = $1 from event where j.id = event.id", [["job", "event"]]),
    ],
)
def test_tables_of_each_level(text: str, names: list[list[str]]) -> None:
    found = [
        [f"{source.relation.schema}.{source.relation.name}" for source in level.sources]
        for level in RESOLVER.levels(text)
    ]
    wanted = [[n if "." in n else f"public.{n}" for n in level] for level in names]
    assert sorted(map(sorted, found)) == sorted(map(sorted, wanted))


def test_a_column_is_resolved_by_alias_and_by_uniqueness_and_never_guessed() -> None:
    text = "select 1 from job j, event e where j.id = $1 and payload = $2 and status = $3 and x.y"
    (level,) = RESOLVER.levels(text)
    found = [RESOLVER.references(level, condition) for condition in level.conditions]
    assert [[(r.name, c.name) for r, c in each] for each in found] == [
        [("job", "id")],
        [("job", "payload")],
        [],
        [],
    ]


def test_conditions_of_inner_joins_count_and_those_of_outer_joins_do_not() -> None:
    (inner,) = RESOLVER.levels("select 1 from job j join event e on j.id = e.id where j.id = $1")
    (outer,) = RESOLVER.levels("select 1 from job j left join event e on j.id = e.id")
    assert [deparsed(each) for each in inner.conditions] == ["j.id = $1", "j.id = e.id"]
    assert outer.conditions == ()


@pytest.mark.parametrize("text", ["select * from t where a =", "select ("])
def test_a_text_that_does_not_parse_says_so(text: str) -> None:
    assert "does not parse" in parsed(text).reason
    assert parsed(text).statements == ()
    assert RESOLVER.levels(text) == ()


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        ("a = $1 and b = $2", {1: "'x'"}, "a = 'x' and b = $1"),
        ("a = $1 and b = $2 and c = $1", {2: "7"}, "a = $1 and b = 7 and c = $1"),
        ('"é$1" = $3', {}, '"é$1" = $1'),
        ("a = $12", {12: "1"}, "a = 1"),
    ],
)
def test_pinning_renumbers_without_gaps(text: str, values: dict[int, str], wanted: str) -> None:
    assert pinned(text, values) == wanted


@pytest.mark.parametrize(
    ("pattern", "model", "wanted"),
    [
        ("d ->> $1", "(d ->> 'k'::text)", {1: "'k'"}),
        ("j.d ->> $4", "(d ->> 'k'::text)", {4: "'k'"}),
        ("d -> $1", "(d ->> 'k'::text)", None),
        ("e ->> $1", "(d ->> 'k'::text)", None),
        ("(d ->> $1)::bigint", "((d ->> 'n'::text))::bigint", {1: "'n'"}),
        ("(d ->> $1)::bigint", "((d ->> 'n'::text))::integer", None),
        ("cast(d ->> $1 as integer)", "((d ->> 'n'::text))::integer", {1: "'n'"}),
        ("status = $1", "(status = 'new'::text)", {1: "'new'"}),
        ("lower(email)", "lower(email)", {}),
        ("lower(email)", "upper(email)", None),
        ("status = $1", "(status > 'new'::text)", None),
        ("d #>> $1", "(d #>> '{a,b}'::text[])", {1: "'{a,b}'"}),
    ],
)
def test_unification_finds_the_blanked_constants(
    pattern: str, model: str, wanted: dict[int, str] | None
) -> None:
    assert unified(expression(pattern), expression(model)) == wanted


def test_an_explained_statement_has_no_levels() -> None:
    assert RESOLVER.levels("explain select * from job") == ()
