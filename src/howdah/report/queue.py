"""How a queue and its jobs stand, on a terminal.

Owns layout only; the JSON is the values themselves. Must never round an estimate into a fact:
estimates carry a tilde.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from rich.console import Console
from rich.table import Table

from howdah.queue.standing import (
    COUNTED,
    Bounded,
    Jobs,
    Listed,
    Shown,
    Status,
    Timetable,
)

_ERROR_LETTERS = 60


def status(found: Status, console: Console) -> None:
    """A queue as a whole."""
    backlog, leader = found.backlog, found.dispatcher
    console.print(f"queue {found.queue} at {_time(found.at)}")
    lines = [
        (
            "backlog",
            f"~{backlog.jobs_estimated:,} jobs: {backlog.loaded:,} loaded, "
            f"{backlog.running:,} running, ~{backlog.unread_estimated:,} unread"
            f" ({backlog.unread_bytes / 1e6:,.1f} MB)",
        ),
        ("oldest", _ago(backlog.oldest_seconds, "nothing waits")),
        ("dispatcher", _dispatcher(found)),
        ("ledger", f"epoch {leader.epoch}, row {leader.generation:,}, {_ago(leader.age_seconds)}"),
        (
            "later",
            _bounded(found.later) + (f", next {_time(found.next_due)}" if found.next_due else ""),
        ),
        ("parked", f"{_bounded(found.parked)} of {_bounded(found.parked_keys)} keys"),
        ("dead", _bounded(found.dead)),
    ]
    for name, text in lines:
        console.print(f"  {name:<11}{text}", soft_wrap=True)
    for paused in found.paused:
        which = " ".join(filter(None, (paused.kind, paused.tenant))) or "everything"
        console.print(f"  {'paused':<11}{which} since {_time(paused.since)}")
    for held in found.held:
        by = "nothing runs" if held.job is None else f"job {held.job}"
        console.print(f"  {'held':<11}key {held.key}: {by}, {held.policy}, {_time(held.since)}")
    for problem in found.problems:
        console.print(f"  {'problem':<11}{problem}. Try: howdah queue reanchor {found.queue}")
    _rates(found, console)
    _workers(found, console)
    _segments(found, console)


def _dispatcher(found: Status) -> str:
    leader = found.dispatcher
    if leader.pid is None:
        return "none holds the lock"
    return f"session {leader.pid}" + (f" from {leader.address}" if leader.address else "")


def _rates(found: Status, console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in COUNTED:
        table.add_column(name, justify="right")
    rates = found.rates
    table.add_row("  1 min", *(f"{rates.one_minute[name]:,}" for name in COUNTED))
    table.add_row("  5 min", *(f"{rates.five_minutes[name]:,}" for name in COUNTED))
    console.print(table)


def _workers(found: Status, console: Console) -> None:
    if not found.workers:
        console.print("  no worker is registered")
        return
    table = Table(box=None, pad_edge=False)
    for name, justify in (("  worker", "left"), ("slots", "right"), ("claims", "right"),
                          ("jobs", "right"), ("heard", "right"), ("kinds", "left")):  # fmt: skip
        table.add_column(name, justify="right" if justify == "right" else "left")
    for crew in found.workers:
        kinds = "all" if crew.kinds is None else ", ".join(crew.kinds)
        heard = "" if crew.heard_seconds is None else _ago(crew.heard_seconds)
        drains = " (draining)" if crew.draining else ""
        table.add_row(
            f"  {crew.name}{drains}",
            str(crew.slots),
            str(crew.claims),
            str(crew.jobs),
            heard,
            kinds,
        )
    console.print(table)
    if found.partial:
        console.print("  claims and jobs are counted in part: too many are open")


def _segments(found: Status, console: Console) -> None:
    for segment in found.segments:
        notes = ["filled now"] if segment.current else []
        if segment.pinned_by:
            notes.append(f"pinned by {', '.join(segment.pinned_by)}")
        console.print(
            f"  {segment.table}: {segment.bytes / 1e6:,.1f} MB, ~{segment.rows_estimated:,} rows"
            + (f" ({'; '.join(notes)})" if notes else ""),
            soft_wrap=True,
        )


def jobs(found: Jobs, console: Console) -> None:
    """A list of jobs."""
    if not (found.jobs or found.held):
        console.print(f"queue {found.queue}: nothing but what waits or runs plainly")
    for job in found.jobs:
        console.print(_job_line(job), soft_wrap=True)
        if job.error:
            console.print(f"    {job.error.splitlines()[0][:_ERROR_LETTERS]}", soft_wrap=True)
    for held in found.held:
        by = "nothing runs" if held.job is None else f"job {held.job}"
        console.print(f"held  key {held.key}  {by}  {held.policy}  since {_time(held.since)}")
    if found.more:
        console.print("and more. Try: --limit, --kind, --state")


def _job_line(job: Listed) -> str:
    parts = [str(job.job), job.state, job.kind]
    if job.key is not None:
        parts.append(f"key {job.key}")
    if job.tenant is not None:
        parts.append(f"tenant {job.tenant}")
    parts.append(f"attempt {job.attempt}")
    if job.due is not None:
        parts.append(f"due {_time(job.due)}")
    if job.worker is not None:
        parts.append(f"by {job.worker}")
    if job.since is not None:
        parts.append(f"since {_time(job.since)}")
    if job.reason is not None:
        parts.append(job.reason)
    return "  ".join(parts)


def show(found: Shown, console: Console) -> None:
    """One job."""
    console.print(f"job {found.job} of queue {found.queue}: {found.where}", soft_wrap=True)
    facts = {
        "kind": found.kind,
        "key": found.key,
        "tenant": found.tenant,
        "attempt": found.attempt,
        "enqueued": None if found.enqueued_at is None else _time(found.enqueued_at),
        "error": found.error,
        "headers": msgspec.json.encode(found.headers).decode() if found.headers else None,
        "payload": found.payload,
    }
    if found.value is not None:
        name = "result" if found.value.final else "progress"
        facts[name] = (
            f"{msgspec.json.encode(found.value.value).decode()} at {_time(found.value.at)}"
        )
    for name, value in facts.items():
        if value is not None:
            console.print(f"  {name:<9} {value}", soft_wrap=True, markup=False)


def timetable(found: Timetable, console: Console) -> None:
    """The schedules of a queue."""
    for each in found.schedules:
        fired = (
            "never" if each.fired_at is None else f"{_time(each.fired_at)} (job {each.fired_job})"
        )
        upcoming = "never" if each.next_at is None else _time(each.next_at)
        console.print(
            f"{each.name}  {each.expression}  {each.zone}  runs {each.kind}  next {upcoming}"
            f"  fired {fired}  catch-up {each.catch_up}",
            soft_wrap=True,
        )
    if not found.schedules:
        console.print(f"queue {found.queue} has no schedule")


def _bounded(count: Bounded) -> str:
    return f"{count.count:,}" + (" and more" if count.more else "")


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _ago(seconds: float | None, otherwise: str = "") -> str:
    if seconds is None:
        return otherwise
    if seconds < 120:
        return f"{seconds:.1f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.1f} h ago"
