"""Freezing that does not happen, on hand-made pictures."""

from __future__ import annotations

from typing import Any

from howdah.check.model import Confidence, Kind, Severity
from howdah.check.rules.freezing import anti_wraparound_starved, temp_table_age
from howdah.snapshot.facts.activity import Blocking, Lock, Session, VacuumProgress
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.picture import Picture
from tests.making import fact, objects, picture, row, server, verdict
from tests.unit.check.fresh_settings import settings

AGED = 300_000_000  # the limit is 200 million


def table(oid: int = 1, name: str = "orders", **given: Any) -> Relation:
    values = {"kind": "r", "persistence": "p", "xid_age": AGED, "mxid_age": 0} | given
    return row(Relation, oid=oid, schema="public", name=name, **values)


def session(pid: int, **given: Any) -> Session:
    return row(Session, pid=pid, database="shop", is_visible=True, **given)


def seen(*tables: Relation, **facts: Any) -> Picture:
    return picture(settings=settings(), relations=list(tables), **facts)


RUNNING = row(VacuumProgress, pid=7, database="shop", relation_oid=1)


def test_a_table_far_beyond_its_limit_without_a_vacuum_is_starved() -> None:
    result = verdict(anti_wraparound_starved, seen(table()))
    assert objects(result) == {"public.orders"}
    assert "3 workers are free" in result.findings[0].claim


def test_busy_workers_are_told() -> None:
    workers = [session(pid, backend_type="autovacuum worker") for pid in (1, 2, 3)]
    result = verdict(anti_wraparound_starved, seen(table(), sessions=workers))
    assert "all 3 autovacuum workers are busy" in result.findings[0].claim


def test_a_vacuum_at_work_is_enough() -> None:
    working = session(7, backend_type="autovacuum worker")
    of = seen(table(), sessions=[working], vacuum_progress=[RUNNING])
    assert verdict(anti_wraparound_starved, of).kind is Kind.OK


def test_a_vacuum_of_another_databases_table_with_that_oid_is_not() -> None:
    elsewhere = row(VacuumProgress, pid=7, database="archive", relation_oid=1)
    of = seen(table(), vacuum_progress=[elsewhere])
    assert objects(verdict(anti_wraparound_starved, of)) == {"public.orders"}


def test_a_vacuum_that_the_role_may_not_see_could_be_its() -> None:
    result = verdict(anti_wraparound_starved, seen(table(), vacuum_progress=fact(left_out=1)))
    assert result.kind is Kind.UNKNOWN
    assert "may not see" in result.reason


def test_a_vacuum_that_waits_for_a_page_is_starved() -> None:
    pinned = session(7, backend_type="autovacuum worker", wait_type="BufferPin")
    of = seen(table(), sessions=[pinned], vacuum_progress=[RUNNING])
    assert "BufferPin" in verdict(anti_wraparound_starved, of).findings[0].claim


def test_a_vacuum_that_waits_for_a_lock_names_who_holds_it() -> None:
    waiting = session(7, backend_type="autovacuum worker", wait_type="Lock")
    holder = session(8, role="etl", application="loader")
    of = seen(
        table(),
        sessions=[waiting, holder],
        locks=[row(Lock, pid=7, kind="relation", relation_oid=1, is_granted=False)],
        blocking=[row(Blocking, pid=7, blockers=(8,))],
    )
    found = verdict(anti_wraparound_starved, of).findings[0]
    assert found.evidence[1]["blocker_application"] == "loader"
    assert found.remedies[0].manual
    assert found.remedies[0].sql == ("SELECT pg_catalog.pg_terminate_backend(8)",)


def test_a_table_just_over_its_limit_is_left_to_autovacuum() -> None:
    assert verdict(anti_wraparound_starved, seen(table(xid_age=210_000_000))).kind is Kind.OK


def test_a_tables_own_limit_counts() -> None:
    own = table(xid_age=250_000, options=("autovacuum_freeze_max_age=100000",))
    assert objects(verdict(anti_wraparound_starved, seen(own))) == {"public.orders"}


def test_many_starved_tables_are_told_once() -> None:
    many = [table(n, f"t{n:03}", xid_age=AGED + n) for n in range(1, 31)]
    result = verdict(anti_wraparound_starved, seen(*many))
    assert len(result.findings) == 21
    assert "database shop" in objects(result)


def test_beyond_the_failsafe_it_is_critical() -> None:
    result = verdict(anti_wraparound_starved, seen(table(xid_age=1_700_000_000)))
    assert result.findings[0].severity is Severity.CRITICAL


def temporary(alive: bool | None, age: int = AGED) -> Relation:
    return table(persistence="t", temp_session_alive=alive, xid_age=age)


def test_an_old_temporary_table_of_a_live_session_is_found() -> None:
    assert objects(verdict(temp_table_age, seen(temporary(True)))) == {"public.orders"}


def test_an_orphan_is_autovacuums_to_drop_and_a_young_one_nobodys() -> None:
    of = seen(temporary(False), temporary(True, age=1000))
    assert verdict(temp_table_age, of).kind is Kind.OK


def test_before_16_autovacuum_that_did_not_drop_it_speaks_for_a_session() -> None:
    (found,) = verdict(temp_table_age, seen(temporary(None))).findings
    assert found.confidence is Confidence.ESTIMATED
    off = picture(settings=settings(autovacuum="off"), relations=[temporary(None)])
    assert verdict(temp_table_age, off).kind is Kind.UNKNOWN
    young = picture(settings=settings(autovacuum="off"), relations=[temporary(None, age=9)])
    assert verdict(temp_table_age, young).kind is Kind.OK


def test_workers_are_not_counted_by_a_role_that_cannot_see_them() -> None:
    blind = seen(table(), of=server(is_monitor=False))
    claim = verdict(anti_wraparound_starved, blind).findings[0].claim
    assert "no vacuum of it is running" in claim
    assert "free" not in claim
