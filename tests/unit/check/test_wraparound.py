"""Ages of transaction ids and MultiXact ids, on hand-made pictures."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from howdah.check.knowledge import pace
from howdah.check.knowledge.ages import severity_of
from howdah.check.model import Kind, Severity
from howdah.check.rules.wraparound import mxid_age, xid_age
from howdah.snapshot.facts.catalog import Database, Relation
from howdah.snapshot.facts.counters import CounterSample
from howdah.snapshot.picture import Picture
from tests.making import NOW, fact, objects, picture, row, verdict
from tests.unit.check.fresh_settings import settings

OLD = 1_000_000_000  # over 60 % of the failsafe age of 1.6 billion
NORMAL = 250_000_000  # over autovacuum_freeze_max_age, as it is meant to be


def database(name: str = "shop", *, current: bool = True, **ages: int) -> Database:
    return row(Database, name=name, is_current=current, allows_connections=True, **(AGES | ages))


def table(name: str = "orders", **given: object) -> Relation:
    values = {"oid": abs(hash(name)), "kind": "r", "persistence": "p"} | AGES | given
    return row(Relation, schema="public", name=name, **values)


AGES = {"xid_age": NORMAL, "mxid_age": NORMAL}


def seen(*rows: Relation | Database, **facts: object) -> Picture:
    return picture(
        settings=settings(),
        databases=[each for each in rows if isinstance(each, Database)],
        relations=[each for each in rows if isinstance(each, Relation)],
        **facts,
    )


def rate(per_second: float) -> list[CounterSample]:
    later = (NOW + timedelta(seconds=10)).isoformat()
    return [
        row(CounterSample, at=NOW.isoformat(), next_xid=0),
        row(CounterSample, at=later, next_xid=round(per_second * 10)),
    ]


def test_ages_just_over_the_freeze_limit_are_how_it_is_meant() -> None:
    result = verdict(xid_age, seen(database(), table()))
    assert result.kind is Kind.OK
    assert (result.examined, result.of) == (2, 2)


def test_an_old_database_is_found_even_if_it_is_another() -> None:
    other = database("archive", current=False, xid_age=OLD)
    result = verdict(xid_age, seen(database(), other, table()))
    assert objects(result) == {"database archive"}
    assert result.findings[0].remedies[0].manual


def test_old_tables_materialised_views_and_toast_tables_are_found() -> None:
    toast = table("documents", toast_oid=99, toast_xid_age=OLD, toast_mxid_age=0)
    view = table("summary", kind="m", xid_age=OLD)
    result = verdict(xid_age, seen(database(), table(), toast, view))
    assert objects(result) == {"public.documents", "public.summary"}


def test_a_partitioned_table_has_no_age() -> None:
    parent = table("events", kind="p", xid_age=None, mxid_age=None)
    result = verdict(xid_age, seen(database(), parent))
    assert (result.kind, result.of) == (Kind.OK, 1)


def test_each_kind_of_age_has_its_own_rule() -> None:
    multi = table("parent", mxid_age=OLD)
    assert verdict(xid_age, seen(database(), multi)).kind is Kind.OK
    assert objects(verdict(mxid_age, seen(database(), multi))) == {"public.parent"}
    whole = database(mxid_age=OLD)
    assert verdict(xid_age, seen(whole)).kind is Kind.OK
    assert verdict(mxid_age, seen(whole)).kind is Kind.FINDING


def test_the_rate_decides_how_urgent_it_is() -> None:
    def severity(per_second: float) -> Severity:
        of = seen(database(xid_age=OLD), counter_samples=rate(per_second))
        return verdict(xid_age, of).findings[0].severity

    assert severity(10_000) is Severity.CRITICAL  # 1.1 billion left, 32 hours
    assert severity(1_000) is Severity.WARNING
    assert severity(10) is Severity.NOTICE  # 3.6 years


def test_a_young_table_in_a_race_is_reported() -> None:
    racing = seen(database(), counter_samples=rate(30_000))
    assert objects(verdict(xid_age, racing)) == {"database shop"}


def test_a_burst_on_a_young_server_is_no_race() -> None:
    young = seen(database(xid_age=50_000_000), counter_samples=rate(100_000))
    assert verdict(xid_age, young).kind is Kind.OK


def test_the_database_counts_what_is_not_told_singly() -> None:
    many = [table(f"t{n:03}", xid_age=OLD + n) for n in range(50)]
    result = verdict(xid_age, seen(database(xid_age=OLD + 49), *many))
    assert len(result.findings) == 21
    whole = next(found for found in result.findings if found.object == "database shop")
    assert whole.evidence[0]["tables"] == 50


def test_the_catalogs_go_with_their_database() -> None:
    catalog = table("pg_class", xid_age=OLD)
    catalog = msgspec.structs.replace(catalog, schema="pg_catalog")
    result = verdict(xid_age, seen(database(xid_age=OLD), catalog))
    assert objects(result) == {"database shop"}
    assert result.findings[0].evidence[0]["tables"] == 1
    assert result.findings[0].remedies[0].sql == ("VACUUM (FREEZE)",)


def test_without_the_settings_it_is_unknown() -> None:
    blind = picture(databases=[database(xid_age=OLD)], relations=[], settings=[])
    assert verdict(xid_age, blind).kind is Kind.UNKNOWN


def test_relations_that_were_not_seen_are_not_examined() -> None:
    partial = picture(
        settings=settings(),
        databases=[database()],
        relations=fact(table(), left_out=3, reason="over the budget"),
    )
    result = verdict(xid_age, partial)
    assert (result.examined, result.of) == (2, 5)
    assert "over the budget" in result.reason


ORDER = [None, Severity.NOTICE, Severity.WARNING, Severity.CRITICAL]
ages = st.integers(0, pace.STOP_AGE)


@given(ages, ages, st.one_of(st.none(), st.floats(0.1, 1e6)))
def test_an_older_age_is_never_less_urgent(a: int, b: int, per_hour: float | None) -> None:
    def urgency(age: int) -> int:
        return ORDER.index(severity_of(age, 1.6e9, pace.hours_until(pace.STOP_AGE - age, per_hour)))

    low, high = sorted((a, b))
    assert urgency(low) <= urgency(high)


@given(ages)
def test_near_the_stop_nothing_comforts(age: int) -> None:
    assert (severity_of(age, 1.6e9, 1e9) is Severity.CRITICAL) == (age >= 0.9 * pace.STOP_AGE)
