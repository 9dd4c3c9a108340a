"""Autovacuum switched off, or with thresholds that do not suit, on hand-made pictures."""

from __future__ import annotations

from typing import Any

from howdah.check.model import Kind, Severity
from howdah.check.rules.autovacuum_options import autovacuum_off, vacuum_thresholds
from howdah.snapshot.facts.catalog import Inheritance, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, verdict
from tests.unit.check.fresh_settings import settings


def table(oid: int = 1, name: str = "orders", **given: Any) -> Relation:
    values = {"kind": "r", "persistence": "p", "tuples": 1000.0, "xid_age": 5, "mxid_age": 5}
    return row(Relation, oid=oid, schema="public", name=name, **(values | given))


def seen(*tables: Relation, **facts: Any) -> Picture:
    return picture(relations=list(tables), **({"settings": settings()} | facts))


OFF = ("autovacuum_enabled=false",)


def test_the_server_and_its_tables_are_examined() -> None:
    result = verdict(autovacuum_off, seen(table()))
    assert (result.kind, result.examined, result.of) == (Kind.OK, 2, 2)


def test_autovacuum_or_its_counters_off_on_the_server_is_critical() -> None:
    for name in ("autovacuum", "track_counts"):
        result = verdict(autovacuum_off, seen(table(), settings=settings(**{name: "off"})))
        assert objects(result) == {"server"}
        assert result.findings[0].severity is Severity.CRITICAL
        assert name in result.findings[0].remedies[0].sql[0]


def test_a_staging_table_is_only_a_notice() -> None:
    found = verdict(autovacuum_off, seen(table(options=OFF))).findings[0]
    assert found.severity is Severity.NOTICE
    assert found.remedies[0].sql == ('ALTER TABLE "public"."orders" RESET ("autovacuum_enabled")',)
    assert found.remedies[0].inverse == (
        'ALTER TABLE "public"."orders" SET ("autovacuum_enabled" = false)',
    )


def test_dead_rows_or_age_make_it_a_warning() -> None:
    dead = row(TableStatistics, relation=1, dead=5000, live=1000)
    for of in (
        seen(table(options=OFF), table_statistics=[dead]),
        seen(table(options=OFF, xid_age=150_000_000)),
    ):
        assert verdict(autovacuum_off, of).findings[0].severity is Severity.WARNING


def test_toast_tables_and_materialised_views_have_switches_too() -> None:
    toast = table(toast_oid=9, toast_options=OFF, toast_xid_age=1, toast_mxid_age=1)
    sql = verdict(autovacuum_off, seen(toast)).findings[0].remedies[0].sql
    assert sql == ('ALTER TABLE "public"."orders" RESET ("toast"."autovacuum_enabled")',)
    view = table(kind="m", options=OFF)
    sql = verdict(autovacuum_off, seen(view)).findings[0].remedies[0].sql
    assert sql[0].startswith("ALTER MATERIALIZED VIEW ")


def test_partitions_are_told_at_their_parent() -> None:
    parts = [table(n, f"events_{n}", options=OFF, is_partition=True) for n in (2, 3)]
    links = [row(Inheritance, parent=1, child=n, is_partition=True) for n in (2, 3)]
    of = seen(table(1, "events", kind="p"), *parts, inheritance=links)
    result = verdict(autovacuum_off, of)
    assert objects(result) == {"public.events"}
    assert len(result.findings[0].remedies) == 2


# --- thresholds -----------------------------------------------------------------------------------

BIG = table(tuples=1e8, pages=1_000_000)
WEEK = 7  # days in the hand-made window


def changed(per_day: int, **given: Any) -> TableStatistics:
    return row(TableStatistics, relation=1, updated=per_day * WEEK, live=10**8, **given)


def test_a_huge_trigger_days_away_is_found() -> None:
    of = seen(BIG, table_statistics=[changed(2_000_000)])
    found = verdict(vacuum_thresholds, of).findings[0]
    assert "every 10 d" in found.claim
    assert "'2000000'" in found.remedies[0].sql[0]


def test_a_huge_trigger_met_daily_or_never_is_not() -> None:
    busy = seen(BIG, table_statistics=[changed(50_000_000)])
    still = seen(BIG, table_statistics=[row(TableStatistics, relation=1, live=10**8)])
    own = table(tuples=1e8, pages=10**6, options=("autovacuum_vacuum_scale_factor=0.001",))
    tuned = seen(own, table_statistics=[changed(2_000_000)])
    visible = table(tuples=1e8, pages=100, all_visible_pages=100)
    assert verdict(vacuum_thresholds, busy).kind is Kind.OK
    assert verdict(vacuum_thresholds, tuned).kind is Kind.OK
    assert (
        verdict(
            vacuum_thresholds, seen(visible, table_statistics=still.snapshot.table_statistics)
        ).kind
        is Kind.OK
    )


def test_an_insert_only_table_that_no_vacuum_reaches_is_found() -> None:
    grown = row(TableStatistics, relation=1, inserted=70_000, live=10**8)
    of = seen(BIG, table_statistics=[grown])
    assert "takes inserts only" in verdict(vacuum_thresholds, of).findings[0].claim
    off = table(tuples=1e6, pages=1000, options=("autovacuum_vacuum_insert_threshold=-1",))
    busy = row(TableStatistics, relation=1, inserted=9_000_000, live=10**6)
    never = verdict(vacuum_thresholds, seen(off, table_statistics=[busy])).findings[0]
    assert "comes never" in never.claim


def test_rates_need_a_window() -> None:
    of = seen(BIG, table_statistics=[changed(2_000_000)], window_hours=None)
    assert verdict(vacuum_thresholds, of).kind is Kind.UNKNOWN


def test_small_tables_do_not_apply() -> None:
    small = seen(table(), table_statistics=[changed(10)])
    assert verdict(vacuum_thresholds, small).kind is Kind.NOT_APPLICABLE
