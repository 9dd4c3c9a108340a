"""Random UUID keys, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.model import Kind
from howdah.check.rules.keys import random_uuid_key
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Column, Index, Relation
from howdah.snapshot.facts.counters import Statement, TableStatistics
from howdah.snapshot.facts.measured import IndexSpace
from howdah.snapshot.picture import Picture
from tests.making import fact, objects, picture, row, server, verdict

TABLE = row(Relation, oid=1, schema="public", name="orders", kind="r")
KEY = row(
    Index,
    oid=2,
    relation=1,
    schema="public",
    name="orders_pkey",
    method="btree",
    columns=(1,),
    key_count=1,
    is_valid=True,
)
BUSY = row(TableStatistics, relation=1, inserted=120_000)
RANDOM = {"leaf_density": 0.714, "fragmentation": 0.5, "leaf_pages": 600}
ORDERED = {"leaf_density": 0.899, "fragmentation": 0.0, "leaf_pages": 480}


def column(default: str | None = "gen_random_uuid()", base_type: str = "uuid") -> Column:
    return row(
        Column, relation=1, number=1, name="id", type="uuid", base_type=base_type, default=default
    )


def seen(space: dict[str, Any] | None = None, **more: Any) -> Picture:
    facts: dict[str, Any] = {
        "relations": [TABLE],
        "columns": [column()],
        "indexes": [KEY],
        "table_statistics": [BUSY],
        "index_space": [row(IndexSpace, index=2, **(space or RANDOM))],
    }
    return picture(**(facts | more))


def test_a_sparse_and_fragmented_uuid_index_is_found_with_a_new_default() -> None:
    result = verdict(random_uuid_key, seen())
    assert objects(result) == {"public.orders_pkey"}
    (remedy,) = result.findings[0].remedies
    assert remedy.sql[0].endswith('ALTER COLUMN "id" SET DEFAULT pg_catalog.uuidv7()')
    assert remedy.inverse == (
        'ALTER TABLE "public"."orders" ALTER COLUMN "id" SET DEFAULT gen_random_uuid()',
    )


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"of": server(version_num=170000)}, id="before uuidv7"),
        pytest.param({"columns": [column(default=None)]}, id="made by the application"),
    ],
)
def test_where_no_default_can_be_set_the_remedy_is_for_a_person(given: dict[str, Any]) -> None:
    (finding,) = verdict(random_uuid_key, seen(**given)).findings
    assert [remedy.manual for remedy in finding.remedies] == [True]


def test_the_share_of_full_page_images_is_evidence() -> None:
    insert = row(
        Statement,
        text="insert into orders (total) values ($1)",
        calls=100,
        rows=100,
        wal_records=300,
        wal_full_page_images=150,
    )
    (finding,) = verdict(random_uuid_key, seen(statements=[insert])).findings
    assert finding.evidence[0]["full_page_images_per_inserted_row"] == 1.5
    assert finding.evidence[0]["full_page_image_share_of_wal_records"] == 0.5


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(seen(ORDERED), id="ordered"),
        pytest.param(seen(RANDOM | {"fragmentation": 0.02}), id="thinned by deletes"),
        pytest.param(seen(RANDOM | {"leaf_pages": 5}), id="tiny"),
        pytest.param(
            seen(table_statistics=[row(TableStatistics, relation=1, inserted=3)]), id="quiet"
        ),
    ],
)
def test_a_healthy_key_is_ok(of: Picture) -> None:
    assert verdict(random_uuid_key, of).kind is Kind.OK


def test_an_index_that_was_not_measured_is_unknown() -> None:
    result = verdict(random_uuid_key, seen(index_space=fact(reason="budget of 1 s", left_out=1)))
    assert result.kind is Kind.UNKNOWN
    assert "budget" in result.reason


def test_without_measurements_the_rule_is_unknown() -> None:
    denied = fact(status=Status.UNSUPPORTED, reason="pgstattuple is not installed")
    assert verdict(random_uuid_key, seen(index_space=denied)).kind is Kind.UNKNOWN


def test_without_uuid_keys_the_rule_is_not_applicable() -> None:
    of = seen(columns=[column(base_type="int8")])
    assert verdict(random_uuid_key, of).kind is Kind.NOT_APPLICABLE
