"""Rules on memory, temporary files and connections, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.memory import (
    budget,
    connections,
    memory_budget,
    spills,
    temporary_files,
)
from howdah.snapshot.facts.activity import Session
from howdah.snapshot.facts.catalog import Database, Setting
from howdah.snapshot.facts.counters import CounterSample, Statement
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, verdict

MB = 1024 * 1024


def setting(name: str, value: str, unit: str | None = None) -> Setting:
    return row(Setting, name=name, value=value, unit=unit)


MEMORY = [
    setting("shared_buffers", "16384", "8kB"),  # 128 MB
    setting("work_mem", "4096", "kB"),
    setting("hash_mem_multiplier", "2"),
    setting("autovacuum_max_workers", "3"),
    setting("autovacuum_work_mem", "-1", "kB"),
    setting("maintenance_work_mem", "65536", "kB"),
]
SHOP = row(Database, name="shop", is_current=True, allows_connections=True)


def busy(sessions: int, **given: Any) -> Picture:
    sample = row(CounterSample, at="2026-01-15T12:00:00+00:00", active_sessions=sessions)
    values: dict[str, Any] = {"settings": MEMORY, "databases": [SHOP], "counter_samples": [sample]}
    return picture(**(values | given))


def test_the_budget_is_made_at_the_observed_concurrency() -> None:
    assert budget(busy(10)) == {
        "shared_buffers": 128 * MB,
        "autovacuum": 3 * 64 * MB,
        "statements": 10 * 2 * 4 * MB * 2,
    }


def test_the_multiplier_of_14_is_taken_from_the_settings() -> None:
    fourteen = [s for s in MEMORY if s.name != "hash_mem_multiplier"]
    parts = budget(busy(10, settings=[*fourteen, setting("hash_mem_multiplier", "1")]))
    assert parts is not None
    assert parts["statements"] == 10 * 2 * 4 * MB


def test_without_the_hosts_memory_the_verdict_is_unknown_but_shows_the_budget() -> None:
    result = verdict(memory_budget, busy(10))
    assert result.kind is Kind.UNKNOWN
    assert "480 MB" in result.reason


@pytest.mark.parametrize(("told", "kind"), [(16 * 1024 * MB, Kind.OK), (512 * MB, Kind.FINDING)])
def test_what_was_told_decides(told: int, kind: Kind) -> None:
    seen = busy(10)
    knowing = Picture(msgspec.structs.replace(seen.snapshot, host_memory_bytes=told))
    assert verdict(memory_budget, knowing).kind is kind


def said(**given: Any) -> Statement:
    return row(Statement, **({"text": "SELECT a FROM t", "role": "app", "calls": 10} | given))


def spilling(blocks: int, *, calls: int = 10, hours: float | None = 1.0) -> Kind:
    statement = said(temp_blocks_written=blocks, calls=calls)
    return verdict(spills, picture(statements=[statement], window_hours=hours)).kind


def test_a_statement_that_spills_much_is_found() -> None:
    assert spilling(20_000) is Kind.FINDING
    assert spilling(100) is Kind.OK
    assert spilling(20_000, calls=1) is Kind.OK


def test_without_a_window_only_the_sum_counts() -> None:
    assert spilling(20_000, hours=None) is Kind.OK
    assert spilling(200_000, hours=None) is Kind.FINDING


def test_hidden_statements_are_not_examined() -> None:
    hidden = said(text="<insufficient privilege>", temp_blocks_written=10**6)
    assert verdict(spills, picture(statements=[hidden])).kind is Kind.UNKNOWN


def test_a_database_with_many_temporary_files_is_found() -> None:
    full = row(Database, name="shop", is_current=True, temp_bytes=3 * 1024 * MB)
    of = picture(databases=[full], window_hours=1)
    assert objects(verdict(temporary_files, of)) == {"database shop"}
    assert verdict(temporary_files, picture(databases=[full], window_hours=24)).kind is Kind.OK
    blind = verdict(temporary_files, picture(databases=[full], window_hours=None))
    assert blind.kind is Kind.UNKNOWN


# --- connections ----------------------------------------------------------------------------------

LIMITS = [setting("max_connections", "100"), setting("superuser_reserved_connections", "10")]


def crowd(count: int) -> Picture:
    clients = [row(Session, pid=n, backend_type="client backend") for n in range(count)]
    others = [row(Session, pid=n, backend_type="walsender") for n in range(500, 520)]
    return picture(settings=LIMITS, databases=[SHOP], sessions=[*clients, *others])


def test_connections_are_counted_against_what_ordinary_roles_may_open() -> None:
    assert verdict(connections, crowd(60)).kind is Kind.OK
    assert verdict(connections, crowd(75)).findings[0].severity is Severity.WARNING
    assert verdict(connections, crowd(88)).findings[0].severity is Severity.CRITICAL


def test_where_types_are_hidden_the_databases_count() -> None:
    full = row(Database, name="shop", connections=80)
    view = picture(settings=LIMITS, databases=[full], sessions=[row(Session, pid=1)])
    assert verdict(connections, view).kind is Kind.FINDING
