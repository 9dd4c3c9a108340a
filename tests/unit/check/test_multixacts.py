"""MultiXact members and the foreign keys that make them, on hand-made pictures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from howdah.check.model import Kind, Severity
from howdah.check.rules.multixacts import multixact_foreign_keys, multixact_members, severity_of
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Constraint, Inheritance, Relation
from howdah.snapshot.facts.counters import CounterSample, TableStatistics
from howdah.snapshot.facts.measured import MultixactSample
from howdah.snapshot.picture import Picture
from tests.making import NOW, fact, objects, picture, row, verdict
from tests.unit.check.fresh_settings import settings


def sample(members: int, count: int = 100_000_000) -> MultixactSample:
    return row(
        MultixactSample,
        count=count,
        sampled=4096,
        members=members,
        members_per_multixact=members / count,
        standard_error=0.005,
    )


def storm(per_second: float) -> list[CounterSample]:
    pages = round(per_second * 1000 / 1636)
    later = (NOW + timedelta(seconds=1000)).isoformat()
    return [
        row(CounterSample, at=NOW.isoformat(), member_pages_zeroed=0),
        row(CounterSample, at=later, member_pages_zeroed=pages),
    ]


def severity(members: int, **facts: Any) -> Severity | None:
    result = verdict(multixact_members, picture(multixacts=[sample(members)], **facts))
    return result.findings[0].severity if result.findings else None


def test_a_quarter_is_a_warning_and_a_half_critical() -> None:
    assert severity(2**30 - 1) is None
    assert severity(2**30) is Severity.WARNING
    assert severity(2**31) is Severity.CRITICAL


def test_a_storm_is_told_before_the_quarter() -> None:
    assert severity(2**28, counter_samples=storm(20_000)) is Severity.WARNING
    assert severity(2**28, counter_samples=storm(2_000)) is None
    assert severity(2**30, counter_samples=storm(20_000)) is Severity.CRITICAL


def test_a_burst_on_a_young_server_is_no_race() -> None:
    assert severity(100_000, counter_samples=storm(1_000_000)) is None


def test_the_estimate_comes_with_its_error_and_growth() -> None:
    of = picture(multixacts=[sample(2**31)], counter_samples=storm(1000), settings=settings())
    found = verdict(multixact_members, of).findings[0]
    evidence = found.evidence[0]
    assert evidence["relative_standard_error"] == 0.005
    assert 3_590_000 < evidence["members_per_hour"] < 3_610_000
    assert found.confidence.value == "estimated"
    # 400 million ids x 21 members is far over 2^31: the members bring autovacuum, not the age.
    assert evidence["members_when_autovacuum_begins"] == 2**31


def test_a_server_without_multixacts_and_one_that_was_not_sampled_differ() -> None:
    assert verdict(multixact_members, picture()).kind is Kind.NOT_APPLICABLE
    unsampled = picture(multixacts=fact(status=Status.SKIPPED, reason="not asked for"))
    assert verdict(multixact_members, unsampled).kind is Kind.UNKNOWN


@given(st.integers(0, 2**32), st.integers(0, 2**32), st.floats(0, 1e5))
def test_more_members_are_never_less_urgent(a: int, b: int, hours: float) -> None:
    order = [None, Severity.WARNING, Severity.CRITICAL]
    low, high = sorted((a, b))
    assert order.index(severity_of(low, hours)) <= order.index(severity_of(high, hours))


# --- foreign keys ---------------------------------------------------------------------------------


def table(oid: int, name: str, tuples: float, **given: Any) -> Relation:
    values = {"kind": "r", "persistence": "p", "mxid_age": 5000} | given
    return row(Relation, oid=oid, schema="public", name=name, tuples=tuples, **values)


def inserts(oid: int, count: int) -> TableStatistics:
    return row(TableStatistics, relation=oid, inserted=count, live=count)


def key(child: int, referenced: int, **given: Any) -> Constraint:
    values = {"is_enforced": True, "is_validated": True, "name": f"fk_{child}"} | given
    return row(
        Constraint, oid=child * 100, relation=child, foreign_relation=referenced, kind="f", **values
    )


def shop(*, count: int = 1_000_000, **given: Any) -> Picture:
    facts: dict[str, Any] = {
        "relations": [table(1, "warehouse", 10), table(2, "item", 1e6), table(3, "customer", 5e6)],
        "constraints": [key(2, 1), key(4, 3)],
        "table_statistics": [inserts(1, 0), inserts(2, 1_000_000), inserts(3, 0), inserts(4, 9)],
        "multixacts": [sample(count * 7, count)],
    }
    return picture(**(facts | given))


def test_the_small_parent_of_a_busy_child_is_found() -> None:
    result = verdict(multixact_foreign_keys, shop())
    assert objects(result) == {"public.warehouse"}
    assert result.findings[0].remedies[0].manual
    assert (result.examined, result.of) == (2, 2)


def test_without_multixacts_nobody_makes_them() -> None:
    assert verdict(multixact_foreign_keys, shop(count=10)).kind is Kind.OK


def test_a_parent_just_frozen_and_not_aged_is_not_it() -> None:
    frozen = [table(1, "warehouse", 10, mxid_age=0), table(2, "item", 1e6)]
    assert verdict(
        multixact_foreign_keys, shop(relations=frozen, constraints=[key(2, 1)])
    ).kind is (Kind.OK)


def test_inserts_into_partitions_count_for_the_parents_key() -> None:
    parts = [
        table(1, "warehouse", 10),
        table(2, "item", -1, kind="p"),
        table(5, "item_1", 5e5, is_partition=True),
        table(6, "item_2", 5e5, is_partition=True),
    ]
    of = shop(
        relations=parts,
        constraints=[key(2, 1), key(5, 1, parent=200), key(6, 1, parent=200)],
        inheritance=[row(Inheritance, parent=2, child=n, is_partition=True) for n in (5, 6)],
        table_statistics=[inserts(5, 600_000), inserts(6, 400_000)],
    )
    found = verdict(multixact_foreign_keys, of).findings[0]
    assert found.evidence[0]["child_inserts"] == 1_000_000
    assert [each.get("child") for each in found.evidence[1:]] == ["public.item"]


def test_a_parent_whose_children_are_not_counted_is_not_examined() -> None:
    of = shop(table_statistics=[inserts(2, 1_000_000)])
    result = verdict(multixact_foreign_keys, of)
    assert (result.examined, result.of) == (1, 2)
