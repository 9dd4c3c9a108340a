"""Redundant indexes on hand-made pictures: what is examined, who is reported, what is claimed."""

from __future__ import annotations

from typing import Any

import msgspec

from howdah.check.model import Kind, Severity
from howdah.check.rules.redundancy import redundant_index
from tests.making import fact, objects, picture, verdict
from tests.unit.check.indexing import index, scanned, table, writes


def test_the_claim_names_the_survivor() -> None:
    seen = picture(relations=[table()], indexes=[index(2, "a"), index(3, "ab")])
    (finding,) = verdict(redundant_index, seen).findings
    assert finding.object == "public.orders_a_idx"
    assert "public.orders_a_b_idx" in finding.claim
    assert finding.severity is Severity.NOTICE


def test_exactly_one_twin_is_reported_and_louder_than_a_prefix() -> None:
    twins = [index(2, "a", name="one"), index(3, "a", name="two")]
    (finding,) = verdict(redundant_index, picture(relations=[table()], indexes=twins)).findings
    assert finding.object == "public.two"
    assert finding.severity is Severity.WARNING


def test_the_remedy_drops_it_and_its_inverse_builds_it() -> None:
    seen = picture(relations=[table()], indexes=[index(2, "a"), index(3, "ab")])
    (remedy,) = verdict(redundant_index, seen).findings[0].remedies
    assert remedy.sql == ('DROP INDEX CONCURRENTLY "public"."orders_a_idx"',)
    assert remedy.inverse == ("CREATE INDEX CONCURRENTLY i2 ON public.orders (a)",)


def test_a_partitioned_index_is_reported_once_and_its_inverse_builds_the_parts() -> None:
    parent, leaf = table(1, kind="p"), table(10, "orders_1", is_partition=True)
    above: dict[str, Any] = {
        "is_partitioned": True,
        "definition": 'CREATE INDEX "an ON ONLY index" ON ONLY public.orders (a)',
    }
    indexes = [
        index(2, "a", name="an ON ONLY index", **above),
        index(3, "ab", is_partitioned=True),
        index(12, "a", name="leaf_a", relation=10, parent=2),
        index(13, "ab", name="leaf_ab", relation=10, parent=3),
    ]
    result = verdict(redundant_index, picture(relations=[parent, leaf], indexes=indexes))
    assert objects(result) == {"public.an ON ONLY index"}
    (remedy,) = result.findings[0].remedies
    assert remedy.inverse == ('CREATE INDEX "an ON ONLY index" ON public.orders (a)',)
    assert not any("CONCURRENTLY" in statement for statement in remedy.sql)


def test_a_part_with_a_duty_keeps_the_whole_partitioned_index() -> None:
    parent, leaf = table(1, kind="p"), table(10, "orders_1", is_partition=True)
    indexes = [
        index(2, "a", is_partitioned=True),
        index(3, "ab", is_partitioned=True),
        index(12, "a", name="leaf_a", relation=10, parent=2, is_replica_identity=True),
        index(13, "ab", name="leaf_ab", relation=10, parent=3),
    ]
    result = verdict(redundant_index, picture(relations=[parent, leaf], indexes=indexes))
    assert result.kind is Kind.OK


def test_the_twin_whose_parts_are_free_goes() -> None:
    parent, leaf = table(1, kind="p"), table(10, "orders_1", is_partition=True)
    indexes = [
        index(2, "a", name="long_name", is_partitioned=True),
        index(3, "a", name="free", is_partitioned=True),
        index(12, "a", name="leaf_a", relation=10, parent=2, is_replica_identity=True),
        index(13, "a", name="leaf_b", relation=10, parent=3),
    ]
    result = verdict(redundant_index, picture(relations=[parent, leaf], indexes=indexes))
    assert objects(result) == {"public.free"}


def test_a_partitions_own_index_is_redundant_to_an_attached_one() -> None:
    parent, leaf = table(1, kind="p"), table(10, "orders_1", is_partition=True)
    indexes = [
        index(2, "a", is_partitioned=True),
        index(12, "a", name="zzz_attached", relation=10, parent=2),
        index(13, "a", name="own", relation=10),
    ]
    result = verdict(redundant_index, picture(relations=[parent, leaf], indexes=indexes))
    assert objects(result) == {"public.own"}


def test_a_busy_tables_index_does_more_harm_than_a_quiet_ones() -> None:
    tables = [table(1), table(5, "quiet")]
    pairs = [index(2, "a"), index(3, "ab"), index(6, "a", relation=5, name="q")]
    pairs.append(msgspec.structs.replace(index(7, "ab", name="q_long"), relation=5))
    seen = picture(relations=tables, indexes=pairs, table_statistics=[writes(1, inserted=10**6)])
    findings = verdict(redundant_index, seen).findings
    assert [finding.object for finding in findings] == ["public.orders_a_idx", "public.q"]


def test_temporary_tables_and_system_catalogs_are_not_examined() -> None:
    tables = [table(1, persistence="t")]
    seen = picture(relations=tables, indexes=[index(2, "a"), index(3, "ab")])
    assert verdict(redundant_index, seen).kind is Kind.NOT_APPLICABLE


def test_indexes_that_could_not_be_read_are_not_called_examined() -> None:
    unread = fact(index(2, "a"), left_out=1, reason="1 locked")
    result = verdict(redundant_index, picture(relations=[table()], indexes=unread))
    assert (result.examined, result.of) == (1, 2)
    assert "1 locked" in result.reason


def test_scans_and_writes_are_in_the_evidence() -> None:
    seen = picture(
        relations=[table()],
        indexes=[index(2, "a"), index(3, "ab")],
        index_statistics=[scanned(2, 7)],
        table_statistics=[writes(inserted=168, updated=336, hot_updated=168)],
    )
    (finding,) = verdict(redundant_index, seen).findings
    assert finding.evidence[0]["scans"] == 7
    assert finding.evidence[0]["entries_written_per_hour"] == 2.0
