"""What a plan says, and what it only seems to say."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.sandbox import plan
from howdah.sandbox.serving import Index, judge, mentions

T = "public.t"


def index(name: str, key: str, method: str = "btree", root: str | None = None) -> Index:
    return Index(oid=1, name=name, root=root or name, method=method, leading_key=key)


INDEXES = {
    each.name: each
    for each in (
        index("public.t_a", "a"),
        index("public.t_b", "b"),
        index("public.t_g", "j", "gin"),
        index("public.t_r", "at", "brin"),
        index("public.t1_a", "a", root="public.t_a"),
    )
}


def node(kind: str, *plans: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = {key.replace("_", " "): value for key, value in more.items()}
    return {"Node Type": kind, "Plans": list(plans), **named}


def heap(kind: str, *plans: dict[str, Any], **more: Any) -> dict[str, Any]:
    return node(kind, *plans, Schema="public", Relation_Name="t", **more)


def entry(name: str, condition: str | None) -> dict[str, Any]:
    given = {"Index_Cond": condition} if condition else {}
    return node("Bitmap Index Scan", Index_Name=name, **given)


@pytest.mark.parametrize(
    ("raw", "serving"),
    [
        (heap("Index Scan", Index_Name="t_a", Index_Cond="(t.a = $1)"), {"public.t_a"}),
        (heap("Index Only Scan", Index_Name="t_a", Index_Cond="(t.a = $1)"), {"public.t_a"}),
        (heap("Bitmap Heap Scan", entry("t_g", "(t.j @> $1)")), {"public.t_g"}),
        (
            heap(
                "Bitmap Heap Scan",
                node("BitmapAnd", entry("t_a", "(t.a = $1)"), entry("t_b", None)),
            ),
            {"public.t_a"},
        ),
        (
            heap(
                "Bitmap Heap Scan",
                node("BitmapOr", entry("t_a", "(t.a = $1)"), entry("t_b", "(t.b = $1)")),
            ),
            {"public.t_a", "public.t_b"},
        ),
    ],
)
def test_served(raw: dict[str, Any], serving: set[str]) -> None:
    found = judge(plan.parse({"Plan": raw}), {T}, INDEXES)
    assert found.served
    assert {each.index for each in found.serving} == serving


@pytest.mark.parametrize(
    ("raw", "because"),
    [
        (heap("Seq Scan"), "Seq Scan"),
        (heap("Index Scan", Index_Name="t_a"), "end to end"),
        (heap("Index Scan", Index_Name="t_a", Index_Cond="(t.b = $1)"), "leading key"),
        (heap("Index Scan", Index_Name="other", Index_Cond="(t.a = $1)"), "not an index"),
        (
            heap(
                "Bitmap Heap Scan", node("BitmapOr", entry("t_a", "(t.a = $1)"), entry("t_b", None))
            ),
            "end to end",
        ),
        (
            node(
                "Append",
                heap("Index Scan", Index_Name="t_a", Index_Cond="(t.a = $1)"),
                heap("Seq Scan"),
            ),
            "Seq Scan",
        ),
    ],
)
def test_not_served(raw: dict[str, Any], because: str) -> None:
    found = judge(plan.parse({"Plan": raw}), {T}, INDEXES)
    assert not found.served
    assert because in found.against


def test_nothing_read_is_not_served() -> None:
    found = judge(plan.parse({"Plan": node("Result")}), {T}, INDEXES)
    assert found.scans == 0
    assert not found.served


@pytest.mark.parametrize(
    ("condition", "key", "expected"),
    [
        ("(t.a = $1)", "a", True),
        ("(t.ab = $1)", "a", False),
        ("((t.c)::text = $1)", "c", True),
        ("((t.c)::text = 'a'::text)", "a", False),
        ('(t."Odd" = $1)', '"Odd"', True),
        ("((t.j ->> 'k'::text) = $1)", "(j ->> 'k'::text)", True),
        ("((t.j ->> 'other'::text) = $1)", "(j ->> 'k'::text)", False),
        ("(lower((t.c)::text) = $1)", "lower((c)::text)", True),
        ("(upper((t.c)::text) = $1)", "lower((c)::text)", False),
        ("(ROW(t.a, t.b) > ROW($1, $2))", "a", True),
        ("(t.a = ANY ($1))", "a", True),
        ("(t.a = (InitPlan 1).col1)", "a", True),
        ("(t.b = (InitPlan 1).col1)", "a", False),
    ],
)
def test_an_index_condition_holds_its_key(condition: str, key: str, expected: bool) -> None:
    assert mentions(condition, key) is expected


def test_disabled_nodes_of_old_and_new_servers() -> None:
    old = node("Aggregate", heap("Seq Scan", Total_Cost=1e10 + 5), Total_Cost=1e10 + 9)
    assert [each.node for each in plan.parse({"Plan": old}).walk() if each.disabled] == ["Seq Scan"]
    new = node("Aggregate", heap("Seq Scan", Disabled=True, Total_Cost=5.0), Total_Cost=9.0)
    assert [each.node for each in plan.parse({"Plan": new}).walk() if each.disabled] == ["Seq Scan"]
