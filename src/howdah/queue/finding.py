"""Where one job is, by its number.

Owns the search: the small tables by their indexes, the open claims, then the log. Must never read
more of a log than it says.

A waiting job's row stands in the log, which has no index on numbers. But numbers are drawn in order
and rows are appended, so a table of the log is nearly sorted: the block is found by bisection, two
blocks a probe are enough, and `AROUND` blocks on either side are searched, because several sessions
append to blocks of their own at once. What is not there is finished, or never was.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from howdah import query
from howdah.driver import Row, Statement, Steps, statement
from howdah.queue import desk, open_claims, store
from howdah.queue.open_claims import Open, Running
from howdah.queue.operate import BUCKETS, decoded, in_bucket, plain
from howdah.queue.standing import Shown, Value, moment

AROUND = 256  # blocks of 8 kB
PAYLOAD_LETTERS = 2_000
_OPERATE = query.load("howdah.queue", "sql/operate.sql")


def show(queue: str, job: int, *, whole: bool = False) -> Steps[Shown]:
    """One job: where it is, and everything known of it; `whole` for the payload in full."""
    queue_id = yield from store.open_queue(queue)
    ledger = yield from store.newest(queue)
    now = yield from open_claims.running(queue, ledger)
    shown = (
        (yield from _dead(queue, queue_id, job))
        or (yield from _parked(queue, queue_id, job, now))
        or (yield from _later(queue, queue_id, job, now))
        or (yield from _claimed(queue, job, now))
        or (yield from _in_log(queue, job, ledger, now))
        or Shown(
            queue=queue,
            job=job,
            state="unknown",
            where="neither waiting nor kept: finished long ago, or never there",
        )
    )
    found = yield from desk.value(queue_id, job)
    if found is not None:
        final, value, at = found
        shown = msgspec.structs.replace(shown, value=Value(final, value, moment(at)))
        if final and shown.state == "unknown":
            shown = msgspec.structs.replace(shown, state="finished", where="finished")
    return shown if whole else _shortened(shown)


def _shortened(shown: Shown) -> Shown:
    if shown.payload is None or len(shown.payload) <= PAYLOAD_LETTERS:
        return shown
    return msgspec.structs.replace(shown, payload=shown.payload[:PAYLOAD_LETTERS] + " ...")


def _described(
    queue: str, job: int, kind: str, key: str | None, headers: str | None, payload: bytes, at: float
) -> Shown:
    options: Mapping[str, Any] = decoded(headers)
    return Shown(
        queue=queue,
        job=job,
        state="waiting",
        where="",
        kind=kind,
        key=key,
        tenant=options.get("tenant"),
        attempt=options.get("attempt", 0),
        enqueued_at=moment(at),
        error=options.get("error"),
        headers=options,
        payload=payload.decode("utf-8", "replace"),
        payload_bytes=len(payload),
    )


# By index


def _dead(queue: str, queue_id: int, job: int) -> Steps[Shown | None]:
    rows = yield plain("one_dead")(queue_id=queue_id, job=job)
    if not rows:
        return None
    _, kind, key, headers, payload, at, attempt, reason, error, died_at = rows[0]
    return msgspec.structs.replace(
        _described(queue, job, kind, key, headers, payload, at),
        state="dead",
        where=f"a dead letter after {_attempts(attempt)}: {reason}",
        attempt=attempt,
        reason=reason,
        error=error,
        since=moment(died_at),
    )


def _parked(queue: str, queue_id: int, job: int, now: Running) -> Steps[Shown | None]:
    rows = yield plain("one_parked")(queue_id=queue_id, job=job)
    if not rows:
        return None
    row, kind, key, headers, payload, at = rows[0]
    shown = _described(queue, job, kind, key, headers, payload, at)
    running = _running(shown, row, now)
    if running is not None:
        return running
    return msgspec.structs.replace(shown, state="parked", where=f"parked behind the key {key!r}")


def _later(queue: str, queue_id: int, job: int, now: Running) -> Steps[Shown | None]:
    for bucket in BUCKETS:
        rows = yield in_bucket("one_later", bucket)(queue_id=queue_id, job=job)
        if rows:
            row, kind, key, headers, payload, at, due = rows[0]
            shown = _described(queue, job, kind, key, headers, payload, at)
            running = _running(shown, row, now)
            if running is not None:
                return running
            return msgspec.structs.replace(
                shown, state="later", where=_when(due, now.now), due=moment(due)
            )
    return None


def _when(due: float, now: float) -> str:
    return f"put off until {moment(due)}" if due > now else f"due since {moment(due)}"


def _running(shown: Shown, row: int, now: Running) -> Shown | None:
    for claim in now.claims:
        for position in claim.positions:
            if claim.assignment.rows[position] == row:
                return _held_by(shown, claim, position)
    return None


def _held_by(shown: Shown, claim: Open, position: int) -> Shown:
    return msgspec.structs.replace(
        shown,
        state="running",
        where=f"given to {claim.worker} at {moment(claim.at)}",
        attempt=claim.assignment.attempts[position],
        worker=claim.worker,
        since=moment(claim.at),
    )


def _claimed(queue: str, job: int, now: Running) -> Steps[Shown | None]:
    """A row of the log that runs; a dead letter run again has another row than number."""
    for claim in now.claims:
        for row in (yield from desk.payloads(queue, _only(claim, job))):
            shown = _described(queue, job, row.kind, row.key, row.headers, row.payload, row.at)
            return _held_by(shown, claim, list(claim.assignment.rows).index(job))
    return None


def _only(claim: Open, job: int) -> desk.Assignment:
    given = claim.assignment
    chosen = [p for p in claim.positions if given.rows[p] == job]
    return desk.Assignment(
        given.generation,
        given.ordinal,
        [given.rows[p] for p in chosen],
        [given.segments[p] for p in chosen],
        [given.tids[p] for p in chosen],
        [given.attempts[p] for p in chosen],
    )


# In the log


def _in_log(queue: str, job: int, ledger: store.Ledger, now: Running) -> Steps[Shown | None]:
    segments = yield plain("blocks")(log=f"jobs_{queue}")
    for segment, blocks in segments:
        if not blocks:
            continue
        near = yield from _bisected(queue, segment, blocks, job)
        rows = yield _on_segment("in_blocks", queue, segment)(
            first=_place(near - AROUND),
            after=_place(near + AROUND + 1),
            row=job,
            done=ledger.done,
            read=ledger.read,
        )
        if rows:
            return (yield from _judged(queue, job, ledger, now, rows[0]))
    return None


def _bisected(queue: str, segment: int, blocks: int, job: int) -> Steps[int]:
    """The block of a segment in which a row number stands, or next to which it should."""
    numbers = _on_segment("numbers", queue, segment)
    low, high = 0, blocks - 1
    while low < high:
        middle = (low + high) // 2
        ((least, most),) = yield numbers(first=_place(middle), after=_place(middle + 2))
        if most is None or most >= job:
            high = middle
        else:
            low = middle + 1
        if least is not None and least <= job <= most:
            return middle
    return low


def _judged(
    queue: str, job: int, ledger: store.Ledger, now: Running, row: Row
) -> Steps[Shown | None]:
    number, kind, key, headers, payload, at, is_done, is_read = row
    shown = _described(queue, job, kind, key, headers, payload, at)
    finished = is_done or number in now.finished
    if not finished:
        finished = yield from _moved(queue, ledger, number)
    if finished:
        return msgspec.structs.replace(shown, state="finished", where="finished")
    where = "waiting, read by the dispatcher" if is_read else "waiting in the log"
    return msgspec.structs.replace(shown, where=where)


def _moved(queue: str, ledger: store.Ledger, row: int) -> Steps[bool]:
    halves = {
        "ledger": f"howdah.queue_{queue}$ledger$0",
        "other": f"howdah.queue_{queue}$ledger$1",
    }
    ((moved,),) = yield _statement("moved", **halves)(floor=ledger.floor, row=row)
    return bool(moved)


def _place(block: int) -> str:
    return f"({max(0, block)},0)"


def _attempts(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"


def _on_segment(block: str, queue: str, segment: int) -> Statement:
    return _statement(block, segment=f"howdah.log_jobs_{queue}${segment}")


@functools.lru_cache(maxsize=256)
def _statement(block: str, **identifiers: str) -> Statement:
    return statement(_OPERATE, block, **identifiers)  # type: ignore[arg-type] # names of tables only
