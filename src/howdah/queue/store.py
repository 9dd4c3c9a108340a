"""The dispatcher's only steps on the database.

Owns the statements that read jobs and reports and append to the ledger, and what their rows mean.
Must never decide: that is `decide.py`'s.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from howdah import query
from howdah.driver import Batch, Query, Row, Statement, Steps, statement
from howdah.errors import Moved
from howdah.queue import arrays
from howdah.queue.cron import Schedule
from howdah.queue.model import (
    HALF,
    LATER,
    Claim,
    Job,
    Report,
    Settlement,
    Step,
)

_DISPATCH = query.load("howdah.queue", "sql/dispatch.sql")
_PAGE_ROWS = 5_000
_REPORT = msgspec.json.Decoder(Report)


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The newest row of the ledger: who owns the queue, and how far it has come.

    Every job row visible in `done` is finished. Jobs are read up to the snapshot `read`, and inside
    the window from there to `upto` up to `last_id`; reports are heard up to `heard`.
    """

    generation: int
    epoch: int
    done: str
    read: str
    upto: str | None
    last_id: int
    heard: str
    floor: int
    age_seconds: float = 0.0
    now: float = 0.0


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look at both logs: the server's time, and what could be read."""

    now: float
    upto: str
    window: str  # where a window of jobs should end: earlier than `upto` when the backlog is long
    jobs: bool
    reports: bool


class Headers(msgspec.Struct, frozen=True):
    """The options of a job that travel in the headers of its row."""

    job: int = 0
    attempt: int = 0
    priority: int = 0
    tenant: str | None = None
    max_attempts: int = 0
    expires: float | None = None
    unique: str | None = None
    expires_in: float | None = None  # seconds from when it was enqueued, by the server's clock


_HEADERS = msgspec.json.Decoder(Headers)


def open_queue(queue: str) -> Steps[int]:
    """The queue's id; `BadInput` when there is none."""
    ((queue_id,),) = yield plain("open_queue")(queue=queue)
    return int(queue_id)


def at_home(queue: str) -> Steps[None]:
    """`PositionLost` for a queue that was restored or copied here from another database."""
    yield plain("at_home")(queue=queue)


def newest(queue: str) -> Steps[Ledger]:
    """The newest row of the ledger."""
    (row,) = yield plain("newest")(queue=queue)
    return Ledger(**dict(zip(Ledger.__struct_fields__, row, strict=True)))


def elect(queue: str) -> Steps[bool]:
    """Ask to be the queue's dispatcher as far as sessions go; it is a hint, not a right."""
    ((elected,),) = yield plain("elect")(queue=queue)
    return bool(elected)


def resign(queue: str) -> Steps[None]:
    """Let another session be the dispatcher."""
    yield plain("resign")(queue=queue)


def look(queue: str, read: str, heard: str) -> Steps[Look]:
    """Look at both logs at once; takes no transaction id."""
    asked = named(
        "look", jobs=f"howdah.log_jobs_{queue}$peek", reports=f"howdah.log_reports_{queue}$peek"
    )(jobs_seen=read, heard=heard)
    rows = yield from _unmoved(asked)
    now, upto, window, jobs, reports = rows[0]
    return Look(now=now, upto=upto, window=window, jobs=jobs, reports=reports)


def jobs_page(
    queue: str,
    window: int,
    seen: str,
    upto: str,
    last_id: int,
    max_rows: int,
    carried_bytes: int = 0,
) -> Steps[list[Job]]:
    """The next jobs of a window, in order; with payloads of up to `carried_bytes`."""
    rows = yield from _unmoved(
        named("jobs_page", function=f"howdah.log_jobs_{queue}$page")(
            seen=seen, upto=upto, last_id=last_id, max_rows=max_rows, carried_bytes=carried_bytes
        )
    )
    return [
        Job(row, segment, tid, window, kind, at, key, None, payload)
        if headers is None
        else _job(row, segment, tid, window, kind, at, key, headers, payload)
        for row, segment, tid, kind, key, headers, at, payload in rows
    ]


def jobs_of(rows: Iterable[Row], window: int) -> list[Job]:
    """Jobs from rows of (row, segment, tid, kind, key, headers, at, and maybe enqueued at)."""
    return [
        Job(row, segment, tid, window, kind, at, key)
        if headers is None
        else _job(row, segment, tid, window, kind, at, key, headers, None, *enqueued_at)
        for row, segment, tid, kind, key, headers, at, *enqueued_at in rows
    ]


def _job(
    row: int,
    segment: int,
    tid: str,
    window: int,
    kind: str,
    at: float,
    key: str | None,
    headers: str,
    payload: bytes | None,
    enqueued_at: float | None = None,
) -> Job:
    """A job with options."""
    options = _HEADERS.decode(headers)
    return Job(
        row,
        segment,
        tid,
        window,
        kind,
        at,
        key,
        headers,
        payload,
        options.tenant,
        options.priority,
        options.attempt,
        options.max_attempts,
        _expires(options, at if enqueued_at is None else enqueued_at),
        options.unique,
        options.job,
    )


def _expires(headers: Headers, enqueued_at: float) -> float | None:
    if headers.expires_in is None:
        return headers.expires
    return enqueued_at + headers.expires_in


def reports(queue: str, heard: str, upto: str) -> Steps[list[Report]]:
    """Every report of a window, in order, each with the server's time at which it was written."""
    told: list[Report] = []
    last_id = 0
    while True:
        rows = yield from _unmoved(
            named("reports_page", function=f"howdah.log_reports_{queue}$page")(
                seen=heard, upto=upto, last_id=last_id, max_rows=_PAGE_ROWS
            )
        )
        told += [msgspec.structs.replace(_REPORT.decode(payload), at=at) for _, payload, at in rows]
        if len(rows) < _PAGE_ROWS:
            return told
        last_id = rows[-1][0]


class Due(msgspec.Struct, frozen=True):
    """A place among the rows of the later tables: when they are due, and there by their numbers."""

    at: float = 0.0
    row: int = 0


def due(queue: str, after: Due, upto: float, max_rows: int) -> Steps[tuple[list[Job], Due]]:
    """Jobs of the later tables whose time has come, in order, and the place of the last of them.

    They count from when they were due: one scheduled long ago must not outrank every priority.
    """
    rows = yield plain("due")(
        queue=queue, since=after.at, after=after.row, upto=upto, max_rows=max_rows
    )
    jobs = jobs_of(
        (
            (row, LATER, bucket, kind, key, _with_job(headers, job), due_at, enqueued_at)
            for row, bucket, job, kind, key, headers, enqueued_at, due_at in rows
        ),
        0,
    )
    return jobs, Due(rows[-1][7], rows[-1][0]) if rows else after


def next_due(queue: str) -> Steps[float | None]:
    """When the oldest row of the later tables is due, or was."""
    ((at,),) = yield plain("next_due")(queue=queue)
    return None if at is None else float(at)


def parked(queue_id: int, key: str, max_rows: int) -> Steps[list[Job]]:
    """The parked jobs of a key, in order."""
    rows = yield plain("parked_rows")(queue_id=queue_id, key=key, max_rows=max_rows)
    return jobs_of(rows, 0)


def append(queue: str, ledger: Ledger, step: Step, *, lease_seconds: float) -> Steps[Applied]:
    """Append one step, whole; `Superseded` when another dispatcher owns the queue.

    A transaction of several statements ends by itself, at the latest after a lease: else a
    dispatcher that is stopped inside it would keep everybody from taking over.
    """
    appended = _appending(queue, ledger, step)
    parts = exceptional(step)
    if parts is None:
        yield appended
        return Applied()
    limit = plain("not_for_long")(milliseconds=str(int(lease_seconds * 1000)))
    rows = yield Batch((limit, appended, plain("apply")(queue=queue, parts=parts)))
    settled, dropped, busy = rows[0]
    return Applied(settled=_settlements(settled), dropped=tuple(dropped), busy=_settlements(busy))


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What the database answered to a step: rows that workers settled before their revocation,
    jobs that purges deleted, rows that a transaction which is still open is settling."""

    settled: frozenset[Settlement] = frozenset()
    dropped: tuple[int, ...] = ()
    busy: frozenset[Settlement] = frozenset()


def _settlements(text: str) -> frozenset[Settlement]:
    return frozenset(msgspec.json.decode(text, type=list[Settlement]))


def take_over(queue: str, ledger: Ledger) -> Steps[Ledger]:
    """Own the queue from now on: the same place under the next epoch, as the next generation."""
    mine = msgspec.structs.replace(ledger, generation=ledger.generation + 1, epoch=ledger.epoch + 1)
    empty = Step(generation=mine.generation, at=mine.now, urgent=False, floor=mine.floor)
    yield _appending(queue, mine, empty)
    return mine


def exceptional(step: Step) -> str | None:
    """What of a step goes to `howdah.queue_apply`, as JSON; None when there is nothing."""
    parts: dict[str, Any] = {
        "later": [_placed(each.job) | {"due": each.due, "attempt": each.attempt,
                                       "error": each.error} for each in step.later],
        "dead": [_placed(each.job) | {"attempt": each.attempt, "reason": each.reason,
                                      "error": each.error, "at": each.at} for each in step.dead],
        "parks": [_placed(job) for job in step.parks],
        "removed": [_placed(job) for job in step.removed],
        "revokes": step.revokes,
        "holds": step.holds,
        "lifted": step.lifted,
        "cancelled": step.cancelled,
        "purges": step.purges,
        "replays": step.replays,
        "discards": step.discards,
        "gone": step.gone,
        "freed": step.freed,
        "spared": step.spared,
    }  # fmt: skip
    found = {name: value for name, value in parts.items() if value}
    if step.paused is not None:
        found["paused"] = step.paused
    return msgspec.json.encode(found).decode() if found else None


def _placed(job: Job) -> dict[str, Any]:
    return {
        "row": job.row,
        "segment": job.segment,
        "tid": job.tid,
        "job": job.identity,
        "kind": job.kind,
        "key": job.key,
    }


def _appending(queue: str, ledger: Ledger, step: Step) -> Query:
    half = (ledger.generation >> HALF) & 1
    rates = msgspec.json.encode(step.rates).decode() if step.rates else None
    return named(
        "append",
        ledger=f"howdah.queue_{queue}$ledger${half}",
        other=f"howdah.queue_{queue}$ledger${half ^ 1}",
        claims=f"howdah.queue_{queue}$claim${half}",
    )(
        generation=ledger.generation,
        epoch=ledger.epoch,
        done=ledger.done,
        read=ledger.read,
        upto=ledger.upto,
        last_id=ledger.last_id,
        heard=ledger.heard,
        floor=step.floor,
        moved=list(step.moved) or None,
        rates=rates,
        rates_whole=step.rates_whole,
        **_flat(step.claims),
    )


def _flat(claims: Sequence[Claim]) -> dict[str, list[Any]]:
    """Claims as arrays with one element each; what a claim has of each job is an array's text."""
    return {
        "ordinals": [claim.ordinal for claim in claims],
        "workers": [claim.worker for claim in claims],
        "rows": [arrays.of_numbers([job.row for job in claim.jobs]) for claim in claims],
        "segments": [_segments(claim) for claim in claims],
        "tids": ["|".join([job.tid for job in claim.jobs]) for claim in claims],
        "attempts": [_attempts(claim) for claim in claims],
    }


def _segments(claim: Claim) -> str:
    """One segment if it is the same for all."""
    segments = [job.segment for job in claim.jobs]
    different = set(segments)
    return arrays.of_numbers(different if len(different) == 1 else segments)


def _attempts(claim: Claim) -> str | None:
    """None if it is the first of each; negative if the claim must be confirmed."""
    used = [job.attempt for job in claim.jobs]
    if claim.confirm:
        return arrays.of_numbers(-each - 1 for each in used)
    return arrays.of_numbers(each + 1 for each in used) if any(used) else None


# Schedules, counts, maintenance.


class Planned(msgspec.Struct, frozen=True):
    """A schedule by its name, and up to when it is dealt with."""

    name: str
    schedule: Schedule
    dealt_upto: float


def schedules(queue_id: int) -> Steps[list[Planned]]:
    """The schedules of a queue."""
    rows = yield plain("schedules")(queue_id=queue_id)
    return [
        Planned(name, Schedule(expression=expression, zone=zone, catch_up=catch_up), upto)
        for name, expression, zone, catch_up, upto in rows
    ]


def fire(queue: str, schedule: str, fire_at: float) -> Steps[int | None]:
    """Fire a schedule once: its job, or None when it has fired already."""
    ((job,),) = yield plain("fire")(queue=queue, schedule=schedule, fire_at=fire_at)
    return None if job is None else int(job)


def dealt(queue_id: int, schedule: str, upto: float) -> Steps[None]:
    """Remember up to when a schedule is dealt with."""
    yield plain("dealt")(queue_id=queue_id, schedule=schedule, upto=upto)


def count(queue_id: int, counts: dict[str, Any]) -> Steps[None]:
    """Append what was counted."""
    yield plain("count")(queue_id=queue_id, counts=msgspec.json.encode(counts).decode())


def maintain(queue: str) -> Steps[list[Row]]:
    """Empty what is over."""
    return (yield plain("maintain_queue")(queue=queue))


def _with_job(headers: str | None, job: int) -> str:
    if headers is None:
        return f'{{"job":{job}}}'
    return headers


def _unmoved(asked: Query) -> Steps[list[Row]]:
    """Ask again when the log's tables were replaced at that moment; it happens rarely."""
    try:
        return (yield asked)
    except Moved:
        return (yield asked)


@functools.lru_cache(maxsize=64)
def plain(block: str) -> Statement:
    """A block of dispatch.sql as it stands."""
    return statement(_DISPATCH, block)


@functools.lru_cache(maxsize=256)
def named(block: str, **identifiers: str) -> Statement:
    """A block of dispatch.sql with its tables and functions."""
    return statement(_DISPATCH, block, **identifiers)  # type: ignore[arg-type] # names of tables only
