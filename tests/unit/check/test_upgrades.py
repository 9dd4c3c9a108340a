"""What stops an upgrade, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.model import Kind
from howdah.check.rules.upgrades import btree_gist_inet
from howdah.snapshot.facts.catalog import Index, Relation
from tests.making import objects, picture, row, verdict

TABLE = row(Relation, oid=1, schema="public", name="lease", kind="r")


def index(*classes: str, **more: Any) -> Index:
    values: dict[str, Any] = {
        "oid": 2,
        "relation": 1,
        "schema": "public",
        "name": "lease_ip",
        "method": "gist",
        "column_definitions": ("ip", "room", "note"),
        "key_count": len(classes),
        "operator_classes": classes,
        "definition": "CREATE INDEX lease_ip ON public.lease USING gist (ip)",
        "is_valid": True,
    }
    return row(Index, **(values | more))


@pytest.mark.parametrize("name", ["public.gist_inet_ops", "ext.gist_cidr_ops"])
def test_btree_gists_address_classes_are_found_and_replaced(name: str) -> None:
    given = index(name, "public.gist_int4_ops", predicate="(room > 3)")
    result = verdict(btree_gist_inet, picture(relations=[TABLE], indexes=[given]))
    assert objects(result) == {"public.lease_ip"}
    (remedy,) = result.findings[0].remedies
    assert remedy.sql == (
        'CREATE INDEX CONCURRENTLY "lease_ip_inet" ON "public"."lease" USING gist '
        '(ip "pg_catalog"."inet_ops", room "public"."gist_int4_ops") INCLUDE (note) '
        "WHERE (room > 3)",
        'DROP INDEX CONCURRENTLY "public"."lease_ip"',
    )
    assert remedy.inverse == (
        "CREATE INDEX CONCURRENTLY lease_ip ON public.lease USING gist (ip)",
        'DROP INDEX CONCURRENTLY "public"."lease_ip_inet"',
    )


def test_an_exclusion_constraint_is_for_a_person() -> None:
    given = index("public.gist_inet_ops", is_exclusion=True)
    (finding,) = verdict(btree_gist_inet, picture(relations=[TABLE], indexes=[given])).findings
    assert finding.remedies[0].manual


def test_partitions_are_reported_at_their_parent() -> None:
    parent = index("public.gist_inet_ops", oid=2, is_partitioned=True)
    leaf = index("public.gist_inet_ops", oid=3, name="leaf_ip", parent=2)
    result = verdict(btree_gist_inet, picture(relations=[TABLE], indexes=[parent, leaf]))
    assert objects(result) == {"public.lease_ip"}


def test_the_cores_class_is_ok() -> None:
    of = picture(relations=[TABLE], indexes=[index("pg_catalog.inet_ops")])
    assert verdict(btree_gist_inet, of).kind is Kind.OK


def test_without_gist_indexes_the_rule_is_not_applicable() -> None:
    of = picture(relations=[TABLE], indexes=[index("pg_catalog.inet_ops", method="spgist")])
    assert verdict(btree_gist_inet, of).kind is Kind.NOT_APPLICABLE
