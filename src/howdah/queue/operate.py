"""How a queue stands, read beside its dispatcher: status, lists, schedules.

Owns these readings. Must never change anything, and never scan a log: counters, estimates, index
probes and bounded lists only.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from howdah import query
from howdah.driver import Row, Statement, Steps, statement
from howdah.queue import cron, desk, open_claims, store
from howdah.queue.cron import Schedule
from howdah.queue.open_claims import Running
from howdah.queue.standing import (
    COUNTED,
    Backlog,
    Bounded,
    Crew,
    Held,
    Jobs,
    Leader,
    Listed,
    Paused,
    Rates,
    Segment,
    State,
    Status,
    Timed,
    Timetable,
    moment,
)

COUNT_MOST = 10_000
BUCKETS = ("0", "1", "2", "3", "4", "5", "6", "7", "far")
_OPERATE = query.load("howdah.queue", "sql/operate.sql")


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs of a list are wanted; None: any."""

    kind: str | None = None
    key: str | None = None
    tenant: str | None = None
    limit: int = 50


def queues() -> Steps[list[str]]:
    """The names of the queues in the database."""
    return [name for (name,) in (yield plain("queues")())]


# The whole


def status(queue: str) -> Steps[Status]:
    """One queue at this moment; `BadInput` when there is none."""
    queue_id = yield from store.open_queue(queue)
    ledger = yield from store.newest(queue)
    now = yield from open_claims.running(queue, ledger)
    later, next_due = yield from _later_count(queue_id)
    ((parked, keys),) = yield plain("few_parked")(queue_id=queue_id, most=COUNT_MOST)
    ((dead,),) = yield plain("few_dead")(queue_id=queue_id, most=COUNT_MOST)
    paused = yield plain("paused")(queue_id=queue_id)
    return Status(
        queue=queue,
        at=moment(ledger.now),
        dispatcher=(yield from _leader(queue, ledger)),
        backlog=(yield from _backlog(queue, queue_id, ledger)),
        rates=(yield from _rates(queue_id)),
        workers=(yield from _workers(queue_id, now)),
        partial=now.partial,
        later=later,
        next_due=None if next_due is None else moment(next_due),
        parked=Bounded(parked, parked == COUNT_MOST),
        parked_keys=Bounded(keys, parked == COUNT_MOST),
        held=(yield from held(queue_id, None, 100)),
        dead=Bounded(dead, dead == COUNT_MOST),
        paused=[Paused(kind, tenant, moment(since)) for kind, tenant, since in paused],
        segments=(yield from _segments(queue)),
        problems=(yield from _problems(queue)),
    )


def _leader(queue: str, ledger: store.Ledger) -> Steps[Leader]:
    rows = yield plain("leader")(queue=queue)
    pid, application, address = rows[0] if rows else (None, None, None)
    return Leader(
        epoch=ledger.epoch,
        generation=ledger.generation,
        age_seconds=ledger.age_seconds,
        pid=pid,
        application=application or None,
        address=address,
    )


def _backlog(queue: str, queue_id: int, ledger: store.Ledger) -> Steps[Backlog]:
    rows = yield plain("counted")(queue_id=queue_id)
    counts = msgspec.json.decode(rows[0][0]) if rows else {}
    loaded, running = counts.get("loaded", 0), counts.get("running", 0)
    log = f"jobs_{queue}"
    ((unread_bytes, _, unread),) = yield plain("lag")(log=log, behind=ledger.read)
    ((unfinished_bytes, oldest, _),) = yield plain("lag")(log=log, behind=ledger.done)
    # Inside a window what is loaded of it stands behind `read` too.
    both = max(loaded, unread) if ledger.upto is not None else loaded + unread
    return Backlog(
        jobs_estimated=both,
        loaded=loaded,
        running=running,
        unread_estimated=unread,
        unread_bytes=unread_bytes,
        oldest_seconds=oldest if unfinished_bytes else None,
        counted_seconds=rows[0][2] if rows else None,
    )


def _rates(queue_id: int) -> Steps[Rates]:
    rows = yield plain("rates")(queue_id=queue_id)
    one: dict[str, int] = dict.fromkeys(COUNTED, 0)
    five: dict[str, int] = dict.fromkeys(COUNTED, 0)
    one |= {name: count for name, count, _ in rows}
    five |= {name: count for name, _, count in rows}
    return Rates(one_minute=one, five_minutes=five)


def _workers(queue_id: int, now: Running) -> Steps[list[Crew]]:
    rows = yield plain("registered")(queue_id=queue_id)
    claims: dict[str, list[int]] = defaultdict(list)
    for claim in now.claims:
        claims[claim.worker].append(len(claim.positions))
    return [
        Crew(
            name=name,
            host=host,
            pid=pid,
            slots=slots,
            kinds=kinds,
            registered_at=moment(at),
            claims=len(claims[name]),
            jobs=sum(claims[name]),
            heard_seconds=now.now - now.heard[name] if name in now.heard else None,
            draining=name in now.draining,
        )
        for name, slots, kinds, host, pid, at in rows
        if name not in now.left
    ]


def _later_count(queue_id: int) -> Steps[tuple[Bounded, float | None]]:
    total, soonest = 0, []
    for bucket in BUCKETS:
        counted = in_bucket("few_later", bucket)
        ((count, due),) = yield counted(queue_id=queue_id, most=COUNT_MOST)
        total += count
        if due is not None:
            soonest.append(due)
    return Bounded(min(total, COUNT_MOST), total >= COUNT_MOST), min(soonest, default=None)


def _segments(queue: str) -> Steps[list[Segment]]:
    rows = yield plain("ring")(log=f"jobs_{queue}")
    return [Segment(*row) for row in rows]


def _problems(queue: str) -> Steps[list[str]]:
    found: set[str] = set()
    for log in (f"jobs_{queue}", f"reports_{queue}"):
        found |= {problem for (problem,) in (yield plain("trouble")(log=log))}
    words = {
        "foreign": "the queue was restored or copied from another database",
        "future": "the server went back in time behind the dispatcher's position",
        "dropped": "the dispatcher's position was dropped",
    }
    return sorted(words.get(each, each) for each in found)


# Lists


def jobs(queue: str, states: Iterable[State], wanted: Filter) -> Steps[Jobs]:
    """Jobs that are not plain: running, put off, parked, dead; and keys that are held."""
    queue_id = yield from store.open_queue(queue)
    ledger = yield from store.newest(queue)
    now = yield from open_claims.running(queue, ledger)
    found: list[Listed] = []
    asked = set(states)
    if "running" in asked:
        found += yield from _running(queue, now, wanted)
    if "later" in asked:
        found += yield from _later(queue_id, now.rows, wanted)
    if "parked" in asked:
        found += yield from _parked(queue_id, now.rows, wanted)
    if "dead" in asked:
        found += yield from _dead(queue_id, wanted)
    holds = yield from held(queue_id, wanted.key, wanted.limit)
    more = len(found) > wanted.limit
    return Jobs(queue=queue, jobs=found[: wanted.limit], held=holds, more=more)


def held(queue_id: int, key: str | None, most: int) -> Steps[list[Held]]:
    """The keys that are held, the oldest first."""
    rows = yield plain("held")(queue_id=queue_id, key=key, most=most)
    return [Held(name, job, policy, moment(since)) for name, job, policy, since in rows]


def _running(queue: str, now: Running, wanted: Filter) -> Steps[list[Listed]]:
    found: list[Listed] = []
    for claim in now.claims:
        if len(found) > wanted.limit:
            break
        for row in (yield from desk.payloads(queue, claim.assignment)):
            headers = decoded(row.headers)
            if row.position not in claim.positions or not _fits(wanted, row.kind, row.key, headers):
                continue
            found.append(
                Listed(
                    job=headers.get("job") or row.row,
                    state="running",
                    kind=row.kind,
                    key=row.key,
                    tenant=headers.get("tenant"),
                    attempt=row.attempt,
                    enqueued_at=moment(row.at),
                    worker=claim.worker,
                    since=moment(claim.at),
                )
            )
    return found


def _fits(wanted: Filter, kind: str, key: str | None, headers: Mapping[str, Any]) -> bool:
    return (
        wanted.kind in (None, kind)
        and wanted.key in (None, key)
        and wanted.tenant in (None, headers.get("tenant"))
    )


def _later(queue_id: int, running: frozenset[int], wanted: Filter) -> Steps[list[Listed]]:
    rows: list[Row] = []
    for bucket in BUCKETS:
        rows += yield in_bucket("later_jobs", bucket)(**_asked(queue_id, wanted))
    rows.sort(key=lambda row: row[2])
    found = [
        Listed(
            job=job,
            state="later",
            kind=kind,
            key=key,
            tenant=decoded(headers).get("tenant"),
            attempt=decoded(headers).get("attempt", 0),
            enqueued_at=moment(at),
            due=moment(due),
            error=decoded(headers).get("error"),
        )
        for row, job, due, kind, key, headers, at in rows
        if row not in running
    ]
    return found[: wanted.limit + 1]


def _parked(queue_id: int, running: frozenset[int], wanted: Filter) -> Steps[list[Listed]]:
    rows = yield plain("parked_jobs")(**_asked(queue_id, wanted))
    return [
        Listed(
            job=job,
            state="parked",
            kind=kind,
            key=key,
            tenant=decoded(headers).get("tenant"),
            attempt=decoded(headers).get("attempt", 0),
            enqueued_at=moment(at),
        )
        for row, job, kind, key, headers, at in rows
        if row not in running
    ]


def _dead(queue_id: int, wanted: Filter) -> Steps[list[Listed]]:
    rows = yield plain("dead_jobs")(**_asked(queue_id, wanted))
    return [
        Listed(
            job=job,
            state="dead",
            kind=kind,
            key=key,
            tenant=decoded(headers).get("tenant"),
            attempt=attempt,
            enqueued_at=moment(at),
            since=moment(died_at),
            reason=reason,
            error=error,
        )
        for _, job, kind, key, headers, at, attempt, reason, error, died_at in rows
    ]


def _asked(queue_id: int, wanted: Filter) -> dict[str, Any]:
    return {
        "queue_id": queue_id,
        "kind": wanted.kind,
        "key": wanted.key,
        "tenant": wanted.tenant,
        "most": wanted.limit + 1,
    }


# Schedules


def timetable(queue: str) -> Steps[Timetable]:
    """The schedules of a queue, and when each fires next."""
    queue_id = yield from store.open_queue(queue)
    rows = yield plain("timetable")(queue_id=queue_id)
    return Timetable(queue=queue, schedules=[_timed(row) for row in rows])


def _timed(row: Sequence[Any]) -> Timed:
    name, expression, zone, catch_up, kind, key, dealt_upto, fired_at, fired_job = row
    schedule = Schedule(expression=expression, zone=zone, catch_up=catch_up)
    upcoming = cron.next_fire(schedule, dealt_upto)
    return Timed(
        name=name,
        expression=expression,
        zone=zone,
        catch_up=catch_up,
        kind=kind,
        key=key,
        next_at=None if upcoming is None else moment(upcoming),
        fired_at=None if fired_at is None else moment(fired_at),
        fired_job=fired_job,
    )


def decoded(headers: str | None) -> dict[str, Any]:
    """The headers of a job row."""
    return {} if headers is None else dict(msgspec.json.decode(headers))


def in_bucket(block: str, bucket: str) -> Statement:
    """A statement on one of the later tables."""
    return _named(block, bucket=f"howdah.queue_later_{bucket}")


@functools.lru_cache(maxsize=64)
def plain(block: str) -> Statement:
    """A statement of this folder's operation."""
    return statement(_OPERATE, block)


@functools.lru_cache(maxsize=256)
def _named(block: str, **identifiers: str) -> Statement:
    return statement(_OPERATE, block, **identifiers)  # type: ignore[arg-type] # names of tables only
