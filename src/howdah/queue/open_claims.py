"""Which claims are open, as anyone can read it from the record beside a running dispatcher.

Owns the subtraction: claims minus what reports and settlements have ended. Must never read the jobs
themselves, and never more than a bounded number of claims and reports.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from howdah import query
from howdah.driver import Query, Statement, Steps, statement
from howdah.queue import desk, store
from howdah.queue.desk import Assignment
from howdah.queue.model import TAKEN, Ack, Draining, Left, Report

MOST_CLAIMS = 5_000
MOST_REPORTS = 20_000
_PAGE_ROWS = 5_000
_OPERATE = query.load("howdah.queue", "sql/operate.sql")
_REPORT = msgspec.json.Decoder(Report)

ClaimId = tuple[int, int]


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """One claim of which something is still running: the positions that are."""

    worker: str
    at: float
    assignment: Assignment
    positions: frozenset[int]


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """The open claims, when each worker was heard last, and whether a bound cut the reading."""

    now: float
    claims: Sequence[Open]
    heard: dict[str, float]
    draining: frozenset[str]
    left: frozenset[str]  # said goodbye; their rows go when a dispatcher has heard it
    finished: frozenset[int]  # rows that were reported done, or completed by the worker
    partial: bool

    @property
    def rows(self) -> frozenset[int]:
        """The rows that run."""
        return frozenset(
            claim.assignment.rows[position] for claim in self.claims for position in claim.positions
        )


def running(queue: str, ledger: store.Ledger) -> Steps[Running]:
    """What runs now."""
    rows = yield _halves("newest_claims", queue, ledger, most=MOST_CLAIMS + 1)
    settled = yield _halves("settlements", queue, ledger)
    looked = yield from store.look(queue, ledger.read, ledger.done)
    told, whole = yield from _told(queue, ledger.done, looked.upto)
    claims = {(row[0], row[1]): _claim(row) for row in rows[:MOST_CLAIMS]}
    gone = closed(claims, [report for report, _ in told], settled)
    done = closed(claims, [r for r, _ in told if isinstance(r, Ack)], settled, well=True)
    return Running(
        now=looked.now,
        claims=[
            msgspec.structs.replace(claim, positions=claim.positions - gone[claim_id])
            for claim_id, claim in sorted(claims.items())
            if claim.positions - gone[claim_id]
        ],
        heard={report.worker: at for report, at in told if hasattr(report, "worker")},
        left=frozenset(r.worker for r, _ in told if isinstance(r, Left)),
        draining=frozenset(r.worker for r, _ in told if isinstance(r, Draining)),
        finished=frozenset(
            claim.assignment.rows[position]
            for claim_id, claim in claims.items()
            for position in done[claim_id]
        ),
        partial=len(rows) > MOST_CLAIMS or not whole,
    )


def closed(
    claims: dict[ClaimId, Open],
    reports: Iterable[Report],
    settled: Iterable[Sequence[Any]],
    *,
    well: bool = False,
) -> dict[ClaimId, set[int]]:
    """The positions of each claim that ended: acknowledged, completed elsewhere, or taken away.

    `well`: only those that ended well, and not those that failed, were given back or taken away.
    """
    gone: dict[ClaimId, set[int]] = {claim_id: set() for claim_id in claims}
    for generation, ordinal, row, revoked in settled:
        claim = claims.get((generation, ordinal))
        if claim is not None and row != TAKEN and not (well and revoked):
            gone[generation, ordinal].add(list(claim.assignment.rows).index(row))
    for report in reports:
        if isinstance(report, Left):
            for claim_id, claim in claims.items():
                if claim.worker == report.worker:
                    gone[claim_id] |= claim.positions
        elif isinstance(report, Ack):
            claim = claims.get((report.generation, report.ordinal))
            if claim is not None and claim.worker == report.worker:
                gone[report.generation, report.ordinal] |= _ended(report, claim, well)
    return gone


def _ended(ack: Ack, claim: Open, well: bool) -> set[int]:
    badly = {*ack.released, *(failure.position for failure in ack.failed)}
    if ack.done is None:
        return set(claim.positions) - (badly if well else set())
    return set(ack.done) if well else {*ack.done, *badly}


def _claim(row: Sequence[Any]) -> Open:
    generation, ordinal, worker, at, *rest = row
    given = desk.assignment(generation, ordinal, *rest)
    positions = frozenset(range(len(given.rows)))
    return Open(worker=worker, at=at, assignment=given, positions=positions)


def _told(queue: str, seen: str, upto: str) -> Steps[tuple[list[tuple[Report, float]], bool]]:
    """Reports of a window, and whether all of them were read."""
    told: list[tuple[Report, float]] = []
    last_id = 0
    page = _statement("told", function=f"howdah.log_reports_{queue}$page")
    while len(told) < MOST_REPORTS:
        rows = yield page(seen=seen, upto=upto, last_id=last_id, max_rows=_PAGE_ROWS)
        told += [(_REPORT.decode(payload), at) for _, payload, at in rows]
        if len(rows) < _PAGE_ROWS:
            return told, True
        last_id = rows[-1][0]
    return told, False


def _halves(block: str, queue: str, ledger: store.Ledger, **values: int) -> Query:
    part, names = {
        "newest_claims": ("claim", ("claims", "other_claims")),
        "settlements": ("settled", ("settled", "other_settled")),
    }[block]
    first, second = (f"howdah.queue_{queue}${part}${half}" for half in (0, 1))
    asked = _statement(block, **{names[0]: first, names[1]: second})
    return asked(floor=ledger.floor, **values)


@functools.lru_cache(maxsize=256)
def _statement(block: str, **identifiers: str) -> Statement:
    return statement(_OPERATE, block, **identifiers)  # type: ignore[arg-type] # names of tables only
