"""The live screen, at two sizes, full and empty."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from howdah.report.live import (
    Blocker,
    HorizonHolder,
    QueueDepth,
    WaitShare,
    WatchView,
    screen,
)
from tests.golden.compare import same_as_golden
from tests.making import NOW

BUSY = WatchView(
    server="PostgreSQL 18.6",
    database="shop",
    at=NOW,
    samples=1_200,
    seconds=120.0,
    active=14.3,
    waits=(
        WaitShare(kind="LWLock", event="MultiXactMemberSLRU", share=0.46, sessions=6.6),
        WaitShare(kind="on CPU", event="", share=0.31, sessions=4.4),
        WaitShare(kind="Lock", event="transactionid", share=0.12, sessions=1.7),
        WaitShare(kind="IO", event="DataFileRead", share=0.06, sessions=0.9),
        WaitShare(kind="IO", event="WALSync", share=0.03, sessions=0.4),
        WaitShare(kind="IPC", event="BgWorkerShutdown", share=0.01, sessions=0.2),
        WaitShare(kind="Client", event="ClientRead", share=0.006, sessions=0.1),
        WaitShare(kind="Timeout", event="VacuumDelay", share=0.004, sessions=0.05),
    ),
    blockers=(
        Blocker(
            pid=4242,
            who="nightly-export",
            state="idle in transaction",
            seconds=11_520.0,
            waiters=37,
            statement="SELECT * FROM public.orders WHERE \x1b[31m",
        ),
        Blocker(
            pid=88, who="app", state="active", seconds=None, waiters=1, statement="ALTER TABLE t"
        ),
    ),
    holder=HorizonHolder(
        kind="session", name="4242 nightly-export", age=1_204_558, seconds=11_520.0
    ),
    queues=tuple(
        QueueDepth(
            name=f"public.outbox_{n}", depth=48_211 * (n + 1), dead=900_000, per_minute=512.0
        )
        for n in range(6)
    ),
    missing=("statements: unsupported (pg_stat_statements is not installed)",),
    recording="night.watch",
)
IDLE = WatchView(
    server="PostgreSQL 15.18", database="shop", at=NOW, samples=10, seconds=1.0, active=0.0
)


def drawn(view: WatchView, width: int, height: int) -> str:
    out = StringIO()
    console = Console(file=out, width=width, height=height, _environ={})
    console.print(screen(view, width, height), height=height)
    return out.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_a_busy_database(width: int, height: int) -> None:
    same_as_golden(f"watch_{width}x{height}.txt", drawn(BUSY, width, height))


def test_an_idle_database() -> None:
    same_as_golden("watch_idle.txt", drawn(IDLE, 80, 24))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 20), (200, 60)])
def test_the_screen_is_exactly_as_large_as_asked(width: int, height: int) -> None:
    lines = drawn(BUSY, width, height).rstrip("\n").split("\n")
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert "MultiXactMemberSLRU" in "\n".join(lines)
    assert "\x1b" not in "\n".join(lines)


def test_what_does_not_fit_is_summed() -> None:
    text = drawn(BUSY, 80, 24)
    assert " more" in text
