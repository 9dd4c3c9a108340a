"""The worker's steps on the database: claims, payloads, reports, values.

Owns those statements. Must never decide who gets what.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from howdah import query
from howdah.driver import Row, Statement, Steps, statement
from howdah.log import Event
from howdah.queue import arrays
from howdah.queue.model import HALF, TAKEN, Claim, ClaimId, Registered, Report

_WORK = query.load("howdah.queue", "sql/work.sql")


class Assignment(msgspec.Struct, frozen=True):
    """A claim as its worker sees it: which rows, where they stand, which attempt each is."""

    generation: int
    ordinal: int
    rows: Sequence[int]
    segments: Sequence[int]
    tids: Sequence[str]
    attempts: Sequence[int]
    confirm: bool = False

    @property
    def claim(self) -> ClaimId:
        """Which claim it is."""
        return self.generation, self.ordinal


class Fetched(msgspec.Struct, frozen=True):
    """A claim that was read from the ledger, `age` seconds after it was written."""

    worker: str
    age: float
    assignment: Assignment


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A worker's right to one job: no other lease has the same numbers."""

    queue: str
    generation: int
    ordinal: int
    row: int


class JobRow(msgspec.Struct, frozen=True, gc=False):
    """One job with its payload, at its position in the claim."""

    position: int
    attempt: int
    row: int
    kind: str
    key: str | None
    headers: str | None
    payload: bytes
    at: float


def carried(claim: Claim) -> list[JobRow] | None:
    """The jobs of a claim with the payloads that came with them; None if one is missing."""
    rows = []
    for position, job in enumerate(claim.jobs):
        payload = job.payload
        if payload is None:
            return None
        rows.append(
            JobRow(
                position, job.attempt + 1, job.row, job.kind, job.key, job.headers, payload, job.at
            )
        )
    return rows


def assigned(claim: Claim) -> Assignment:
    """What a dispatcher in the same process hands over without a detour."""
    jobs = claim.jobs
    return Assignment(
        claim.generation,
        claim.ordinal,
        [job.row for job in jobs],
        [job.segment for job in jobs],
        [job.tid for job in jobs],
        [job.attempt + 1 for job in jobs],
        claim.confirm,
    )


def newest_generation(queue: str) -> Steps[int]:
    """After which generation a worker that registers now will find its claims."""
    ((generation,),) = yield _statement("newest_claim")(queue=queue)
    return int(generation)


def register(queue: str, told: Registered, host: str, pid: int) -> Steps[Registered]:
    """Make a worker known to every dispatcher to come; what is to be reported to this one.

    With the server's time as `since` when there was none: the same process keeps it.
    """
    policies = msgspec.json.encode(told.policies).decode()
    ((since,),) = yield _statement("register")(
        queue=queue,
        worker=told.worker,
        slots=told.slots,
        kinds=None if told.kinds is None else sorted(told.kinds),
        host=host,
        pid=pid,
        since=told.since or None,
        policies=policies,
        terms=None if told.terms is None else msgspec.json.encode(told.terms).decode(),
        confirms=told.confirms,
    )
    return msgspec.structs.replace(told, since=since)


def claims(queue: str, workers: Sequence[str], after: int) -> Steps[list[Fetched]]:
    """The claims of workers after a generation, in order.

    Of all workers of a process at once: `after` is one number for them all.
    """
    rows = yield _statement(
        "claims",
        claims=f"howdah.queue_{queue}$claim$0",
        other_claims=f"howdah.queue_{queue}$claim$1",
    )(workers=list(workers), after=after)
    return [Fetched(worker, age, assignment(*rest)) for worker, age, *rest in rows]


def take(queue: str, claims: Iterable[ClaimId]) -> Steps[set[ClaimId]]:
    """Say that these claims arrived, before anything of them runs; those that are still ours."""
    halves: dict[int, list[ClaimId]] = defaultdict(list)
    for generation, ordinal in claims:
        halves[(generation >> HALF) & 1].append((generation, ordinal))
    ours: set[ClaimId] = set()
    for half, some in halves.items():
        rows = yield _statement("take", settled=f"howdah.queue_{queue}$settled${half}")(
            generations=[claim[0] for claim in some], ordinals=[claim[1] for claim in some]
        )
        ours.update((generation, ordinal) for generation, ordinal in rows)
    return ours


def payloads(queue: str, assignment: Assignment) -> Steps[list[JobRow]]:
    """The jobs of a claim with their payloads, in the claim's order.

    A row that is nowhere any more is left out: its job ended by other means.
    """
    places: dict[int, list[int]] = defaultdict(list)
    for position, segment in enumerate(assignment.segments):
        places[segment].append(position)
    found: dict[int, Row] = {}
    for segment, positions in places.items():
        wanted = [assignment.rows[position] for position in positions]
        if segment < 0:
            rows = yield _statement("payloads_outside")(queue=queue, rows=wanted)
        else:
            rows = yield from _in_segment(queue, segment, assignment, positions, wanted)
        found.update((row[0], row) for row in rows)
    missing = [row for row in assignment.rows if row not in found]
    if missing:  # copied out of the log meanwhile, so that it could be reclaimed
        rows = yield _statement("payloads_outside")(queue=queue, rows=missing)
        found.update((row[0], row) for row in rows)
    return [
        JobRow(position, assignment.attempts[position], *found[row])
        for position, row in enumerate(assignment.rows)
        if row in found
    ]


def _in_segment(
    queue: str, segment: int, assignment: Assignment, positions: list[int], wanted: list[int]
) -> Steps[list[Row]]:
    table = f"howdah.log_jobs_{queue}${segment}"
    tids = arrays.of_tids(assignment.tids[position] for position in positions)
    rows = yield _statement("payloads", segment=table)(tids=tids)
    if not {row[0] for row in rows}.issuperset(wanted):
        numbers = arrays.of_numbers(wanted)
        rows = yield _statement("payloads_moved", segment=table)(rows=numbers)
    return rows


def taken_away(queue: str, claims: Sequence[ClaimId]) -> Steps[list[Lease]]:
    """Which rows of these claims were revoked."""
    if not claims:
        return []
    rows = yield _statement(
        "taken_away",
        settled=f"howdah.queue_{queue}$settled$0",
        other_settled=f"howdah.queue_{queue}$settled$1",
    )(generations=[claim[0] for claim in claims], ordinals=[claim[1] for claim in claims])
    return [Lease(queue, *row) for row in rows if row[2] != TAKEN]


def fence(lease: Lease) -> Steps[bool]:
    """Whether a job was completed in a transaction of its own; if not, it never will be.

    Waits for that transaction if it is still open; `TimedOut` if that takes long.
    """
    ((completed,),) = yield _statement("fence")(
        queue=lease.queue, generation=lease.generation, ordinal=lease.ordinal, row=lease.row
    )
    return bool(completed)


def keep_value(queue_id: int, job: int, *, final: bool, value: Any) -> Steps[None]:
    """Keep a result or progress for an hour or two."""
    yield _statement("keep_value")(
        queue_id=queue_id, job=job, final=final, value=msgspec.json.encode(value).decode()
    )


def value(queue_id: int, job: int) -> Steps[tuple[bool, Any, float] | None]:
    """The result of a job if it is there, else its newest progress: (final, value, at)."""
    rows = yield _statement("value")(queue_id=queue_id, job=job)
    if not rows:
        return None
    final, text, at = rows[0]
    return final, msgspec.json.decode(text), at


def events(reports: Iterable[Report]) -> list[Event]:
    """Reports as they are emitted; the server adds the time."""
    return [Event("report", msgspec.json.encode(report)) for report in reports]


def assignment(
    generation: int,
    ordinal: int,
    rows: list[int],
    segments: list[int],
    tids: list[str],
    attempts: list[int] | None,
) -> Assignment:
    """A claim from a row of its table; negative attempts say that it must be confirmed."""
    if len(segments) == 1:
        segments = segments * len(rows)
    if attempts is None:
        return Assignment(generation, ordinal, rows, segments, tids, [1] * len(rows))
    confirm = attempts[0] < 0
    counted = [abs(each) for each in attempts]
    return Assignment(generation, ordinal, rows, segments, tids, counted, confirm)


@functools.lru_cache(maxsize=256)
def _statement(block: str, **identifiers: str) -> Statement:
    return statement(_WORK, block, **identifiers)  # type: ignore[arg-type] # names of tables only
