"""Collation drift, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.collations import collation_drift
from howdah.snapshot.facts.catalog import Collation, Database, Index, Relation
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, server, verdict

TABLE = row(Relation, oid=1, schema="public", name="person", kind="r")


def index(oid: int, *collations: int, method: str = "btree", unique: bool = False) -> Index:
    return row(
        Index,
        oid=oid,
        relation=1,
        schema="public",
        name=f"i{oid}",
        method=method,
        collations=collations,
        is_unique=unique,
    )


def database(recorded: str | None, actual: str | None, provider: str = "c") -> Database:
    return row(
        Database,
        oid=5,
        name="shop",
        is_current=True,
        collation_provider=provider,
        collation_version=recorded,
        collation_version_actual=actual,
    )


def seen(given: Database | None = None, **more: Any) -> Picture:
    facts: dict[str, Any] = {
        "relations": [TABLE],
        "indexes": [index(2, 100), index(3, 12345), index(4, 0), index(5, 950)],
        "databases": [given or database("2.36", "2.36")],
    }
    return picture(**(facts | more))


def test_a_moved_database_collation_lists_its_indexes_and_rebuilds_before_the_refresh() -> None:
    result = verdict(collation_drift, seen(database("2.31", "2.36")))
    assert objects(result) == {"database shop"}
    (finding,) = result.findings
    assert finding.severity is Severity.WARNING
    assert [row.get("index") for row in finding.evidence[1:]] == ["public.i2"]
    (remedy,) = finding.remedies
    assert remedy.sql == (
        'REINDEX INDEX CONCURRENTLY "public"."i2"',
        'ALTER DATABASE "shop" REFRESH COLLATION VERSION',
    )


def test_a_moved_collation_lists_its_indexes() -> None:
    moved = row(
        Collation, oid=12345, schema="public", name="de", version="153.1", version_actual="153.120"
    )
    result = verdict(collation_drift, seen(collations=[moved]))
    assert objects(result) == {"collation public.de"}
    assert result.findings[0].remedies[0].sql == (
        'REINDEX INDEX CONCURRENTLY "public"."i3"',
        'ALTER COLLATION "public"."de" REFRESH VERSION',
    )


def test_a_unique_index_makes_it_critical() -> None:
    of = seen(database("1", "2"), indexes=[index(2, 100, unique=True)])
    assert verdict(collation_drift, of).findings[0].severity is Severity.CRITICAL


def test_without_indexes_on_it_a_drift_is_a_notice() -> None:
    of = seen(database("1", "2"), indexes=[index(3, 12345)])
    assert verdict(collation_drift, of).findings[0].severity is Severity.NOTICE


def test_equal_versions_are_ok() -> None:
    result = verdict(collation_drift, seen())
    assert (result.kind, result.examined, result.of) == (Kind.OK, 2, 2)


def test_before_15_the_databases_own_collation_is_not_examined() -> None:
    of = seen(database(None, None), of=server(version_num=140023))
    result = verdict(collation_drift, of)
    assert (result.kind, result.examined, result.of) == (Kind.OK, 1, 2)
    assert "before 15" in result.reason


def test_a_version_that_was_never_recorded_is_unknown() -> None:
    result = verdict(collation_drift, seen(database(None, "2.36"), indexes=[index(2, 100)]))
    assert result.kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(seen(indexes=[index(4, 0), index(5, 950)]), id="bytes"),
        pytest.param(seen(indexes=[index(2, 100, method="hash")]), id="unordered method"),
        pytest.param(
            seen(database(None, None, provider="b"), indexes=[index(2, 100)]), id="builtin provider"
        ),
    ],
)
def test_indexes_without_a_foreign_order_are_not_applicable(of: Picture) -> None:
    assert verdict(collation_drift, of).kind is Kind.NOT_APPLICABLE
