"""The wait profile, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.waits import wait_profile
from howdah.snapshot.facts.activity import Blocking, LockCount, Session, WaitSample
from howdah.snapshot.facts.catalog import Database
from howdah.snapshot.facts.counters import CounterSample, Slru, Statement
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, verdict

TICKS = 20


def sampled(waits: dict[tuple[str, str], int], *, ticks: int = TICKS) -> list[WaitSample]:
    """The same sessions at every tick."""
    return [
        row(
            WaitSample,
            tick=tick,
            at_seconds=tick / 10,
            wait_type=kind,
            wait_event=event,
            sessions=sessions,
        )
        for tick in range(ticks)
        for (kind, event), sessions in waits.items()
    ]


def seen(waits: dict[tuple[str, str], int], *, ticks: int = TICKS, **given: object) -> Picture:
    return picture(wait_samples=sampled(waits, ticks=ticks), **given)


def test_a_wait_with_half_of_the_time_is_a_warning() -> None:
    result = verdict(wait_profile, seen({("Lock", "transactionid"): 3, ("", ""): 2}))
    assert objects(result) == {"Lock:transactionid"}
    assert result.findings[0].severity is Severity.WARNING
    assert result.findings[0].evidence[0]["share_of_database_time"] == 0.6


def test_waiting_for_clients_and_for_work_is_not_the_databases_time() -> None:
    idle = {("Client", "ClientRead"): 500, ("Activity", "AutovacuumMain"): 5}
    assert verdict(wait_profile, seen(idle)).kind is Kind.OK
    mixed = idle | {("Lock", "tuple"): 1, ("", ""): 1}
    assert objects(verdict(wait_profile, seen(mixed))) == {"Lock:tuple"}


def test_vacuum_delay_is_counted() -> None:
    assert verdict(wait_profile, seen({("Timeout", "VacuumDelay"): 1})).kind is Kind.FINDING
    assert verdict(wait_profile, seen({("Timeout", "PgSleep"): 9})).kind is Kind.OK


def test_running_on_a_processor_is_no_wait() -> None:
    assert verdict(wait_profile, seen({("", ""): 50})).kind is Kind.OK


def test_half_a_session_on_average_is_not_worth_a_word() -> None:
    few = picture(
        wait_samples=[
            *sampled({("Client", "ClientRead"): 1}),
            *sampled({("IO", "WalSync"): 1}, ticks=5),
        ]
    )
    assert verdict(wait_profile, few).kind is Kind.OK


def test_too_few_samples_are_unknown() -> None:
    assert verdict(wait_profile, seen({("Lock", "tuple"): 9}, ticks=3)).kind is Kind.UNKNOWN
    assert verdict(wait_profile, picture()).kind is Kind.UNKNOWN


def slrus(**read: int) -> list[Slru]:
    return [row(Slru, name=name, blocks_read=blocks) for name, blocks in read.items()]


def commits(per_second: float) -> list[CounterSample]:
    return [
        row(CounterSample, at="2026-01-15T12:00:00+00:00"),
        row(CounterSample, at="2026-01-15T12:00:10+00:00", commits=int(per_second * 10)),
    ]


SAVE = row(Statement, text="SAVEPOINT s", calls=99_000)
HOT = [row(Session, pid=n, wait_event="BufferContent", query="UPDATE q") for n in (1, 2)]


@pytest.mark.parametrize(
    ("wait", "proof", "words"),
    [
        (
            ("LWLock", "MultiXactMemberSLRU"),
            {"slrus": slrus(multixact_member=9)},
            "rows that several",
        ),
        (
            ("LWLock", "MultiXactOffsetBuffer"),
            {"slrus": slrus(multixact_offset=9)},
            "rows that several",
        ),
        (
            ("LWLock", "SubtransSLRU"),
            {"slrus": slrus(subtransaction=9), "statements": [SAVE]},
            "subtransactions",
        ),
        (("LWLock", "XactSLRU"), {"slrus": slrus(transaction=9)}, "hint bits"),
        (("IO", "WalSync"), {"counter_samples": commits(2000)}, "many commits"),
        (("LWLock", "WALWrite"), {"counter_samples": commits(5)}, "slow flushes"),
        (("LWLock", "BufferContent"), {"sessions": HOT}, "same pages"),
        (
            ("LWLock", "LockManager"),
            {"lock_counts": [row(LockCount, mode="AccessShareLock", is_granted=True, count=900)]},
            "fast path",
        ),
        (("Lock", "tuple"), {"blocking": [row(Blocking, pid=1, blockers=(2,))]}, "hold locked"),
        (
            ("IO", "DataFileRead"),
            {"databases": [row(Database, is_current=True, blocks_read=5, blocks_hit=5)]},
            "working set",
        ),
        (
            ("IO", "BuffileWrite"),
            {"statements": [row(Statement, text="SELECT 1", temp_blocks_written=9)]},
            "spill",
        ),
    ],
)
def test_a_cause_is_named_only_with_its_evidence(
    wait: tuple[str, str], proof: dict[str, Any], words: str
) -> None:
    (proven,) = verdict(wait_profile, seen({wait: 2}, **proof)).findings
    (bare,) = verdict(wait_profile, seen({wait: 2})).findings
    assert words in proven.claim
    assert "does not show the cause" in bare.claim
    assert bare.remedies == ()
