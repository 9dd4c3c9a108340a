"""From ticks of the sampler to one screen of `howdah watch`.

Owns the arithmetic of shares over the last ticks. Must never sample, and must never count a session
whose state is hidden as one that runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from howdah.report.live import Blocker, HorizonHolder, QueueDepth, WaitShare, WatchView
from howdah.snapshot.sampler import Tick, WaitCount

# Waiting for a client, or for work, is no database time. Source: PostgreSQL documentation,
# "Wait Event Types"; VacuumDelay and its kin are of class Timeout and are pauses, too.
_NOT_DATABASE_TIME = frozenset({"Client", "Activity", "Timeout", "Extension"})
_CPU = "on CPU"


def view(ticks: Sequence[Tick], *, server: str, database: str, recording: str = "") -> WatchView:
    """The screen for these ticks, the last one newest; at least one tick."""
    newest, oldest = ticks[-1], ticks[0]
    at, began = datetime.fromisoformat(newest.at), datetime.fromisoformat(oldest.at)
    waits = _busy(ticks)
    return WatchView(
        server=server,
        database=database,
        at=at,
        samples=len(ticks),
        seconds=(at - began).total_seconds(),
        active=sum(waits.values()) / len(ticks),
        waits=_shares(waits, len(ticks)),
        blockers=_blockers(newest),
        holder=_holder(newest),
        queues=_queues(oldest, newest, (at - began).total_seconds()),
        missing=_missing(newest),
        recording=recording,
    )


def _busy(ticks: Sequence[Tick]) -> Counter[tuple[str, str]]:
    """Sessions by wait over all ticks, those in database time only."""
    found: Counter[tuple[str, str]] = Counter()
    for tick in ticks:
        for wait in tick.waits:
            if _is_busy(wait):
                found[wait.type or _CPU, wait.event] += wait.sessions
    return found


def _is_busy(wait: WaitCount) -> bool:
    return wait.type not in _NOT_DATABASE_TIME


def _shares(waits: Mapping[tuple[str, str], int], samples: int) -> tuple[WaitShare, ...]:
    total = sum(waits.values())
    ranked = sorted(waits.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        WaitShare(kind=kind, event=event, share=count / total, sessions=count / samples)
        for (kind, event), count in ranked
    )


def _blockers(tick: Tick) -> tuple[Blocker, ...]:
    """Sessions that others wait for and that wait for none, by how many wait behind them."""
    waits_for = {each.pid: each.blockers for each in tick.blocking}
    seen = {each.pid: each for each in tick.blockers}
    behind: Counter[int] = Counter()
    for pid in waits_for:
        behind.update(_roots(pid, waits_for, frozenset()))
    return tuple(
        Blocker(
            pid=pid,
            who=seen[pid].who if pid in seen else "prepared transaction" if pid == 0 else "?",
            state=seen[pid].state if pid in seen else "",
            seconds=seen[pid].seconds if pid in seen else None,
            waiters=count,
            statement=seen[pid].statement if pid in seen else "",
        )
        for pid, count in behind.most_common()
    )


def _roots(
    pid: int, waits_for: Mapping[int, Sequence[int]], seen: frozenset[int]
) -> frozenset[int]:
    """The sessions at the end of every chain; a cycle, which is a deadlock, has none."""
    if pid in seen:
        return frozenset()
    if pid not in waits_for:
        return frozenset({pid})
    ends = (_roots(blocker, waits_for, seen | {pid}) for blocker in waits_for[pid])
    return frozenset().union(*ends)


def _holder(tick: Tick) -> HorizonHolder | None:
    held = tick.horizon
    if held is None:
        return None
    return HorizonHolder(kind=held.kind, name=held.name, age=held.age, seconds=None)


def _queues(oldest: Tick, newest: Tick, seconds: float) -> tuple[QueueDepth, ...]:
    before = {depth.table: depth.live for depth in oldest.queues}
    return tuple(
        QueueDepth(
            name=depth.table,
            depth=depth.live,
            dead=depth.dead,
            per_minute=(depth.live - before[depth.table]) * 60 / seconds
            if seconds > 0 and depth.table in before
            else None,
        )
        for depth in sorted(newest.queues, key=lambda depth: -depth.live)
    )


def _missing(tick: Tick) -> tuple[str, ...]:
    if not tick.hidden:
        return ()
    return (f"the state of {tick.hidden} sessions is hidden (needs pg_monitor)",)
