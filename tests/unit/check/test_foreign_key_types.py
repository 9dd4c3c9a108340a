"""The rule on foreign key types, on hand-made pictures."""

from __future__ import annotations

from howdah.check.model import Kind, Severity
from howdah.check.rules.foreign_key_types import foreign_key_type_mismatch
from howdah.snapshot.facts.catalog import Sequence
from tests.making import picture, row, verdict
from tests.unit.check.test_schema import column, foreign, table


def mismatch(child: str, parent: str, *, last_value: int | None = None) -> object:
    feeding = row(
        Sequence, oid=5, fed_relations=(2,), fed_columns=(1,), increment=1, last_value=last_value
    )
    seen = picture(
        relations=[table(1, "child"), table(2, "parent")],
        columns=[column(1, 1, "pid", child), column(2, 1, "id", parent)],
        constraints=[foreign(1, 2)],
        sequences=[feeding],
    )
    result = verdict(foreign_key_type_mismatch, seen)
    return result.findings[0].severity if result.findings else result.kind


def test_a_narrower_child_is_urgent_when_its_parent_comes_near() -> None:
    assert mismatch("int4", "int8") is Severity.NOTICE
    assert mismatch("int4", "int8", last_value=2_000_000_000) is Severity.WARNING


def test_mismatches_that_cost_nothing_are_not_reported() -> None:
    for child, parent in (("int8", "int4"), ("varchar", "text"), ("date", "timestamptz")):
        assert mismatch(child, parent) is Kind.OK


def test_a_comparison_by_cast_is_reported() -> None:
    assert mismatch("int4", "numeric") is Severity.NOTICE
