"""The rule on foreign tables in hot statements, on hand-made pictures."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.foreign_tables import foreign_table_in_hot_query
from howdah.snapshot.facts.catalog import ForeignTable, Inheritance, Relation
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture
from tests.making import picture, row, verdict

HERE = row(Relation, oid=1, schema="public", name="orders", kind="r")
THERE = row(Relation, oid=2, schema="public", name="rates", kind="f")
REMOTE = row(ForeignTable, relation=2, server="bank", wrapper="postgres_fdw")


def said(text: str, *, milliseconds: float = 1000.0, calls: int = 10) -> Statement:
    return row(Statement, text=text, calls=calls, total_milliseconds=milliseconds)


def seen(*statements: Statement, **given: object) -> Picture:
    values: dict[str, object] = {"relations": [HERE, THERE], "foreign_tables": [REMOTE]}
    return picture(statements=list(statements), **(values | given))


def kind(*statements: Statement, **given: object) -> Kind:
    return verdict(foreign_table_in_hot_query, seen(*statements, **given)).kind


JOIN = "SELECT * FROM orders JOIN rates USING (currency) WHERE orders.id = $1"


def test_a_hot_statement_with_a_foreign_table_is_found() -> None:
    (finding,) = verdict(foreign_table_in_hot_query, seen(said(JOIN))).findings
    assert finding.evidence[0]["foreign_tables"] == ["public.rates"]
    assert finding.object.startswith("SELECT * FROM orders JOIN rates")


def test_a_cold_or_fast_one_is_not() -> None:
    busy = said("SELECT * FROM orders", milliseconds=1e6)
    assert kind(busy, said(JOIN)) is Kind.OK
    assert kind(said(JOIN, milliseconds=10, calls=100)) is Kind.OK


def test_a_common_table_expression_of_that_name_is_not_the_table() -> None:
    assert kind(said("WITH rates AS (SELECT 1 AS a) SELECT a FROM rates")) is Kind.OK


def test_a_foreign_partition_counts() -> None:
    parent = row(Relation, oid=3, schema="public", name="history", kind="p")
    below = row(Inheritance, parent=3, child=2, is_partition=True)
    text = said("SELECT count(*) FROM history")
    assert kind(text, relations=[HERE, THERE, parent], inheritance=[below]) is Kind.FINDING


def test_a_text_that_does_not_parse_is_not_examined() -> None:
    assert kind(said("SELECT * FROM rates WHERE (")) is Kind.UNKNOWN


def test_without_foreign_tables_nothing_applies() -> None:
    assert kind(said(JOIN), foreign_tables=[]) is Kind.NOT_APPLICABLE
