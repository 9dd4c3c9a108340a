"""The rule on lossy bitmaps, on hand-made pictures: 64 kB of work_mem hold 1,024 pages exactly."""

from __future__ import annotations

from typing import Any

from howdah.check.model import Answer, Kind, PlanQuestion, Scan
from howdah.check.rules.bitmaps import lossy_bitmaps
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import Statement
from tests.making import picture, row, verdict
from tests.unit.check.test_memory import setting


def said(**given: Any) -> Statement:
    return row(Statement, **({"text": "SELECT a FROM t", "role": "app", "calls": 10} | given))


SMALL = [setting("work_mem", "64", "kB")]
LARGE = row(Relation, oid=1, schema="public", name="t", kind="r", pages=4000)
WIDE = said(blocks_hit=40_000)
QUESTION = PlanQuestion(statement="SELECT a FROM t")


def plan(node: str) -> Answer:
    scan = Scan(node=node, relation="public.t", index=None, index_condition=None, filter=None)
    return Answer(answered=True, planner="PostgreSQL 18", scans=(scan,))


def test_what_stays_below_the_limit_cannot_be_lossy() -> None:
    view = picture(settings=SMALL, relations=[LARGE], statements=[said(blocks_hit=5_000)])
    assert lossy_bitmaps.ask(view) == []
    assert verdict(lossy_bitmaps, view).kind is Kind.OK


def test_above_the_limit_a_plan_is_needed() -> None:
    view = picture(settings=SMALL, relations=[LARGE], statements=[WIDE])
    assert lossy_bitmaps.ask(view) == [QUESTION]
    assert verdict(lossy_bitmaps, view).kind is Kind.UNKNOWN
    heap = verdict(lossy_bitmaps, view, {QUESTION: plan("Bitmap Heap Scan")})
    assert heap.kind is Kind.FINDING
    assert verdict(lossy_bitmaps, view, {QUESTION: plan("Seq Scan")}).kind is Kind.OK


def test_statements_on_the_catalogs_are_not_asked_about() -> None:
    for text in ("SELECT oid FROM pg_class", "SELECT oid FROM pg_catalog.pg_type"):
        own = said(text=text, blocks_hit=40_000)
        view = picture(settings=SMALL, relations=[LARGE], statements=[own])
        assert lossy_bitmaps.ask(view) == []


def test_small_tables_cannot_be_lossy() -> None:
    small = row(Relation, oid=1, schema="public", name="t", kind="r", pages=10)
    view = picture(settings=SMALL, relations=[small], statements=[WIDE])
    assert verdict(lossy_bitmaps, view).kind is Kind.OK
