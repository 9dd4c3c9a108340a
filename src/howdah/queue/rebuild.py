"""A new dispatcher in the place of one that was lost.

Owns how the durable record becomes a dispatcher's memory. Must never invent: what the record does
not show as finished runs again, what it shows as running still runs.

A row of the record is, in this order: moved (finished by a step), finished by an accepted ack,
settled by its worker, revoked but not yet dealt with, running in an open claim, or to be run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from howdah.queue.decide import Dispatcher, OpenClaim
from howdah.queue.declared import applied, merged, of_kinds
from howdah.queue.model import (
    PARKED,
    TAKEN,
    Ack,
    Cancel,
    ClaimId,
    ClaimRow,
    Draining,
    Failure,
    Job,
    Left,
    Purge,
    Record,
    Registered,
    Report,
)
from howdah.queue.policy import QueuePolicy

Standing = Literal["open", "closed", "done", "settled", "revoked"]


def rebuild(
    policy: QueuePolicy, record: Record, now: float, here: Collection[str] = ()
) -> Dispatcher:
    """The dispatcher that the record describes; every worker with a claim gets a whole lease.

    `here`: the workers of the dispatcher's own process. What the registered workers declare for
    the whole queue holds beside the `policy` of the dispatcher's own program.
    """
    terms = merged(policy.terms, record.workers)
    return _Rebuild(applied(policy, terms), record, now, here).run()


class _Rebuild:
    """One rebuild."""

    def __init__(
        self, policy: QueuePolicy, record: Record, now: float, here: Collection[str]
    ) -> None:
        self._record = record
        self._now = now
        self._dispatcher = Dispatcher(
            policy,
            generation=record.generation,
            done=record.done,
            now=now,
            kinds=record.kinds,
            here=here,
        )
        self._claims = {(claim.generation, claim.ordinal): claim for claim in record.claims}
        self._standing: dict[ClaimId, list[Standing]] = {}
        self._where: dict[int, tuple[ClaimId, int]] = {}
        self._revoked: list[tuple[ClaimId, int, Job]] = []
        self._settled: list[Job] = []

    def run(self) -> Dispatcher:
        dispatcher, record = self._dispatcher, self._record
        dispatcher.heard = record.heard
        dispatcher.paused = list(record.paused)
        dispatcher.rates_at = record.floor
        dispatcher.board.limits.restore(record.rates)
        dispatcher.board.lanes.suspend(record.holds, record.parked_keys)
        for worker in record.workers:
            dispatcher.roster.register(worker)
        self._read_claims()
        self._read_reports(record.reports)
        self._index()
        self._read_jobs()
        self._finish()
        return dispatcher

    def _read_claims(self) -> None:
        for claim_id, claim in sorted(self._claims.items()):
            self._standing[claim_id] = [self._before_reports(claim, row) for row in claim.rows]
            opened = OpenClaim(claim.worker, [None] * len(claim.rows), confirm=claim.confirm)
            self._dispatcher.open[claim_id] = opened

    def _before_reports(self, claim: ClaimRow, row: int) -> Standing:
        settlement = (claim.generation, claim.ordinal, row)
        if settlement in self._record.settled:
            return "settled"
        if settlement not in self._record.revoked:
            return "open"
        # Lost before the worker took it: ready again, as if it had not been given.
        never = (claim.generation, claim.ordinal, TAKEN) in self._record.revoked
        return "closed" if never else "revoked"

    def _read_reports(self, reports: Iterable[Report]) -> None:
        """What was heard: its consequences are durable, except which positions it closed."""
        board, roster = self._dispatcher.board, self._dispatcher.roster
        for told in reports:
            match told:
                case Ack():
                    self._read_ack(told)
                case Registered():
                    roster.register(told)
                    board.told(of_kinds(told), told.at)
                case Draining():
                    roster.draining(told.worker)
                case Left():
                    roster.left(told)
                    self._read_left(told)
                case Cancel():
                    board.remember_cancel(told.job)
                case Purge():
                    board.remember_purge(told)
                case _:
                    continue

    def _read_ack(self, ack: Ack) -> None:
        claim = self._claims.get((ack.generation, ack.ordinal))
        if claim is None or claim.worker != ack.worker:
            return
        standing = self._standing[ack.generation, ack.ordinal]
        for failure in ack.failed:
            self._close(standing, failure.position, "closed")
        for position in ack.released:
            self._close(standing, position, "closed")
        for position in range(len(claim.rows)) if ack.done is None else ack.done:
            self._close(standing, position, "done")

    def _read_left(self, told: Left) -> None:
        for claim_id, claim in self._claims.items():
            if told.released and claim.worker == told.worker:
                for position in range(len(claim.rows)):
                    self._close(self._standing[claim_id], position, "closed")

    def _close(self, standing: list[Standing], position: int, how: Standing) -> None:
        """Only what is open: an ack after a revocation was not accepted."""
        if 0 <= position < len(standing) and standing[position] == "open":
            standing[position] = how

    def _index(self) -> None:
        for claim_id, claim in sorted(self._claims.items()):
            for position, row in enumerate(claim.rows):
                if self._standing[claim_id][position] != "closed":
                    self._where[row] = (claim_id, position)

    def _read_jobs(self) -> None:
        board = self._dispatcher.board
        for page in self._record.jobs:
            alive = [job for job in page.jobs if self._alive(job)]
            board.windows.see(page.window, len(alive), complete=page.complete)
            board.see([job for job in alive if not self._place(job)])
        for job in self._record.outside:
            if job.row in self._where:
                if self._alive(job):
                    self._place(board.pull_claimed(job))
            elif job.segment == PARKED and job.key is None:
                # Copied out of the log while it ran, then released: no key will ask for it.
                for fresh in board.pull([job]):
                    board.admit(fresh)
        if self._record.moved or self._record.claims:
            board.windows.named(self._record.floor)

    def _alive(self, job: Job) -> bool:
        if job.segment >= 0 and job.row in self._record.moved:
            return False
        where = self._where.get(job.row)
        return where is None or self._standing[where[0]][where[1]] != "done"

    def _place(self, job: Job) -> bool:
        """Whether the job runs in a claim; then it is counted as running."""
        where = self._where.get(job.row)
        if where is None:
            return False
        claim_id, position = where
        self._dispatcher.board.occupy(job)
        match self._standing[claim_id][position]:
            case "settled":
                self._settled.append(job)
            case "revoked":
                self._revoked.append((claim_id, position, job))
            case _:
                claim = self._dispatcher.open[claim_id]
                claim.jobs[position] = job
                claim.left += 1
        return True

    def _finish(self) -> None:
        dispatcher = self._dispatcher
        dispatcher.open = {key: claim for key, claim in dispatcher.open.items() if claim.left}
        for claim in dispatcher.open.values():
            dispatcher.roster.holds(claim.worker, self._now)
        dispatcher.board.all_done(self._settled)
        for claim_id, position, job in self._revoked:
            self._deal_with(claim_id, position, job)
        dispatcher.board.resume()
        workers = {claim.worker for claim in dispatcher.open.values()}
        dispatcher.revoke_all({name for name in workers if not dispatcher.roster.known(name)})

    def _deal_with(self, claim_id: ClaimId, position: int, job: Job) -> None:
        """Revoked, and the dispatcher was lost before it dealt with the job."""
        board = self._dispatcher.board
        if board.is_cancelled(job):
            board.cancelled(job, running=True)
            return
        error = f"worker {self._claims[claim_id].worker} was lost"
        board.failed(job, Failure(position, error), "lost", self._now)
