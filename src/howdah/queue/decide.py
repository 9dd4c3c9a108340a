"""The dispatcher: what was seen and heard goes in, the next step comes out.

Owns the open claims and the order of events. Must never read a clock, a socket or a table: every
fact is told to it, and what it decides holds only when its step was appended.

One step at a time: tell what is new, `plan`, append, `appended`. If an append fails in any way,
throw the dispatcher away and rebuild one (`rebuild`): its memory has run ahead of the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf
from typing import Any

from howdah.errors import BadInput
from howdah.queue.board import Board
from howdah.queue.claiming import Claiming
from howdah.queue.declared import of_kinds
from howdah.queue.model import (
    TAKEN,
    Ack,
    Cancel,
    ClaimId,
    Discard,
    Draining,
    Failure,
    Heartbeat,
    Job,
    KindTold,
    Left,
    Pause,
    Purge,
    RateState,
    Registered,
    Release,
    Replay,
    Report,
    Resume,
    Revoke,
    Settlement,
    Step,
)
from howdah.queue.policy import QueuePolicy
from howdah.queue.roster import Roster
from howdah.queue.sizing import Durations

RATES_EVERY = 256  # steps from one whole copy of the rates to the next


class OpenClaim:
    """A claim with jobs whose end is not known; closed positions are None."""

    __slots__ = ("confirm", "jobs", "left", "revoking", "worker")

    def __init__(self, worker: str, jobs: Sequence[Job | None], *, confirm: bool = False) -> None:
        self.worker = worker
        self.confirm = confirm
        self.jobs: list[Job | None] = list(jobs)
        self.left = sum(job is not None for job in jobs)
        self.revoking: set[int] = set()


class Dispatcher:
    """The single writer of a queue: events in, steps out."""

    def __init__(
        self,
        policy: QueuePolicy,
        *,
        generation: int = 0,
        done: int = 0,
        now: float = 0.0,
        kinds: Sequence[KindTold] = (),
        here: Collection[str] = (),
    ) -> None:
        """`kinds`: as they were registered; `here`: the workers of the dispatcher's process."""
        self.policy = policy
        self.board = Board(policy, done, now, kinds)
        self.roster = Roster(policy.lease_seconds, here)
        self.durations = Durations()
        self.open: dict[ClaimId, OpenClaim] = {}
        self.paused: list[Pause] = []
        self.generation = generation
        self.heard = 0
        self.rates_at = generation
        self._outstanding: Step | None = None
        self._claiming = Claiming(self.board, self.roster, self.durations, self._is_paused)
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            Ack: self._ack,
            Registered: self._register,
            Heartbeat: lambda told: self.roster.alive(told.worker, told.at),
            Draining: lambda told: self.roster.draining(told.worker),
            Left: self._left,
            Pause: self._pause,
            Resume: self._resume,
            Purge: self._purge,
            Discard: self._discard,
            Replay: lambda told: self.board.draft.replays.append(told.job),
            Release: lambda told: self.board.lift(told.key),
        }

    # Events

    @property
    def room(self) -> int:
        """How many more jobs may be told: memory is bounded by `loaded_max`."""
        return max(0, self.policy.loaded_max - self.board.loaded)

    def see(self, window: int, jobs: Sequence[Job], *, complete: bool) -> None:
        """A page of the jobs log, in order; `complete` if it ends the window.

        Windows come in the order of their numbers, the first is 1; empty ones count too.
        """
        self.board.windows.see(window, len(jobs), complete=complete)
        self.board.see(jobs)

    def due(self, jobs: Iterable[Job]) -> None:
        """Rows of the later tables whose time has come; those known already are passed over."""
        for job in self.board.pull(jobs):
            self.board.admit(job)

    def unparked(self, key: str, jobs: Sequence[Job], *, more: bool) -> None:
        """The answer to an `Unpark`, in order of the rows; `more` if others are left behind."""
        self.board.unparked(key, jobs, more=more)

    def hear(self, reports: Iterable[Report], upto: int) -> None:
        """Reports in order, as far as position `upto` of the reports log."""
        handlers = self._handlers
        cancels: set[int] = set()
        for report in reports:
            if type(report) is Cancel:  # each looks at every job in memory: together
                cancels.add(report.job)
                continue
            if cancels:
                self._cancel(cancels)
                cancels = set()
            handlers[type(report)](report)
        if cancels:
            self._cancel(cancels)
        self.heard = upto

    def dropped(self, jobs: Iterable[int]) -> None:
        """Jobs that the store deleted from the later, parked or dead rows for a purge."""
        self._unhold(set(jobs))

    def plan(self, now: float, *, claiming: bool = True) -> Step:
        """What to append next. An urgent step must be appended before the next is planned.

        Without `claiming` nobody is given anything.
        """
        if self._outstanding is not None:
            raise BadInput("the step before is not appended", hint="call appended(), or rebuild")
        board = self.board
        self._expire(now)
        board.wake(now)
        if board.windows.done < board.windows.newest and board.pinned:
            self._unpin(now)
        board.limits.wake_at = inf
        generation = self.generation + 1
        for claim in self._claiming.claims(generation, now) if claiming else ():
            opened = OpenClaim(claim.worker, claim.jobs, confirm=claim.confirm)
            self.open[generation, claim.ordinal] = opened
            board.draft.claims.append(claim)
        if not self.room and any(w.room(ahead=False) > 0 for w in self.roster.takers()):
            board.make_room(now)
        step = self._step(generation, now)
        self._outstanding = step if step.urgent else None
        return step

    def appended(self, step: Step, settled: Collection[Settlement] = ()) -> None:
        """The step is durable. `settled` are the rows of its revokes that workers kept."""
        self._outstanding = None
        self.generation = step.generation
        if step.rates_whole:
            self.rates_at = step.generation
        self.board.removed(step.removed)
        for revoke in step.revokes:
            self._revoked(revoke, settled, step.at)

    # Reports

    def _register(self, told: Registered) -> None:
        self.roster.register(told)
        self.board.told(of_kinds(told), told.at)

    def _ack(self, ack: Ack) -> None:
        """Accepted for what is open and not revoked; anything else is too late."""
        self.roster.alive(ack.worker, ack.at)
        for kind, jobs, seconds in ack.took:
            self.durations.observe(kind, jobs, seconds)
        claim_id = (ack.generation, ack.ordinal)
        claim = self.open.get(claim_id)
        if claim is None or claim.worker != ack.worker:
            self.board.tally["late"] += 1
            return
        if ack.failed:
            self._fail(claim, ack)
        for position in ack.released:
            self._release(claim, position)
        positions = range(len(claim.jobs)) if ack.done is None else ack.done
        self.board.all_done(self._close_all(claim, positions))
        self._close_claim(claim_id, claim)

    def _fail(self, claim: OpenClaim, ack: Ack) -> None:
        for failure in ack.failed:
            job = self._close(claim, failure.position)
            if job is not None:
                self.board.failed(job, failure, "failed", ack.at)

    def _close_all(self, claim: OpenClaim, positions: Collection[int]) -> list[Job]:
        """The jobs at those positions, as far as they are open."""
        whole = len(positions) == len(claim.jobs) == claim.left
        if whole and not claim.revoking:
            jobs, claim.jobs, claim.left = claim.jobs, [], 0
            return [job for job in jobs if job is not None]
        closed = (self._close(claim, position) for position in positions)
        return [job for job in closed if job is not None]

    def _close(self, claim: OpenClaim, position: int) -> Job | None:
        job = claim.jobs[position] if 0 <= position < len(claim.jobs) else None
        if job is None or job.row in claim.revoking:
            return None
        claim.jobs[position] = None
        claim.left -= 1
        return job

    def _close_claim(self, claim_id: ClaimId, claim: OpenClaim) -> None:
        if not claim.left:
            del self.open[claim_id]
            self.roster.took_back(claim.worker)

    def _left(self, told: Left) -> None:
        self.roster.left(told)
        if not told.released:
            self.revoke_all({told.worker})
            return
        for claim_id, claim in list(self.open.items()):
            if claim.worker == told.worker:
                for position in range(len(claim.jobs)):
                    self._release(claim, position)
                self._close_claim(claim_id, claim)

    def _release(self, claim: OpenClaim, position: int) -> None:
        """A job that was not started is ready again."""
        job = self._close(claim, position)
        if job is not None:
            self.board.returned(job)

    def _cancel(self, jobs: set[int]) -> None:
        board = self.board
        found = board.withdraw(lambda job: job.identity in jobs)
        for (generation, ordinal), claim in self.open.items():
            running = [j for j in claim.jobs if j is not None and j.identity in jobs]
            if running:
                rows = [job.row for job in running]
                self._revoke(generation, ordinal, claim, rows, "cancelled")
                found.update(job.identity for job in running)
        for job in sorted(jobs - found):
            board.remember_cancel(job)
            board.draft.cancelled.append(job)
        self._unhold(jobs - found)

    def _unhold(self, jobs: Collection[int]) -> None:
        for key in self.board.lanes.held_by(jobs):
            self.board.lift(key)

    def _pause(self, told: Pause) -> None:
        self._resume_like(told)
        self.paused.append(told)
        self.board.draft.paused = list(self.paused)

    def _resume(self, told: Resume) -> None:
        self._resume_like(told)
        self.board.draft.paused = list(self.paused)

    def _resume_like(self, told: Pause | Resume) -> None:
        scope = (told.kind, told.tenant)
        self.paused[:] = [p for p in self.paused if (p.kind, p.tenant) != scope]

    def _is_paused(self, kind: str, tenant: str) -> bool:
        return any(p.kind in (None, kind) and p.tenant in (None, tenant) for p in self.paused)

    def _purge(self, told: Purge) -> None:
        self.board.purge(told)
        self.board.draft.purges.append(told)

    def _discard(self, told: Discard) -> None:
        board = self.board
        board.draft.discards.append(told.job)
        for key in board.lanes.held_by({told.job}):
            hold = board.lanes.lane(key).hold
            if hold is not None and hold.policy == "park":
                board.draft.hold(board.lanes.orphan(key, hold.policy))
            else:
                board.lift(key)

    # Leases

    def _expire(self, now: float) -> None:
        lost = set(self.roster.expired(now))
        if lost:
            self.revoke_all(lost)

    def revoke_all(self, workers: Collection[str]) -> None:
        """Take everything away from these workers."""
        for (generation, ordinal), claim in self.open.items():
            if claim.worker in workers:
                rows = [job.row for job in claim.jobs if job is not None]
                self._revoke(generation, ordinal, claim, rows, "lost")

    def _revoke(
        self, generation: int, ordinal: int, claim: OpenClaim, rows: list[int], reason: Any
    ) -> None:
        fresh = tuple(row for row in rows if row not in claim.revoking)
        if fresh:
            claim.revoking.update(fresh)
            if reason == "lost" and claim.confirm:
                fresh = (*fresh, TAKEN)
            self.board.draft.revokes.append(Revoke(generation, ordinal, fresh, reason))

    def _revoked(self, revoke: Revoke, settled: Collection[Settlement], now: float) -> None:
        """The store's answer: what the worker had settled is done, the rest is ours again."""
        claim_id = (revoke.generation, revoke.ordinal)
        claim = self.open[claim_id]
        rows = set(revoke.rows)
        begun = TAKEN not in rows or (*claim_id, TAKEN) in settled
        claim.revoking -= rows
        for position, job in enumerate(claim.jobs):
            if job is None or job.row not in rows:
                continue
            claim.jobs[position] = None
            claim.left -= 1
            if (*claim_id, job.row) in settled:
                self.board.all_done([job])
            elif revoke.reason == "cancelled":
                self.board.cancelled(job, running=True)
            elif not begun:
                self.board.returned(job)
                self.board.tally["returned"] += 1
            else:
                error = f"worker {claim.worker} was lost"
                self.board.failed(job, Failure(position, error), "lost", now)
                self.board.tally["lost"] += 1
        self._close_claim(claim_id, claim)

    # The log's oldest rows

    def _unpin(self, now: float) -> None:
        """Copy what pins the log out of it: running jobs stay in their claims."""
        board = self.board
        for claim in self.open.values():
            for position, job in enumerate(claim.jobs):
                if job is not None and board.pins(job):
                    claim.jobs[position] = board.copy_out(job)
        board.unpin(now)

    # The step

    def _step(self, generation: int, now: float) -> Step:
        board, draft = self.board, self.board.draft
        draft.gone, self.roster.gone = self.roster.gone, []
        parts = draft.fields()
        urgent = bool(parts)
        board.draft = type(draft)()
        if draft.moved or draft.claims:
            board.windows.named(generation)
        if draft.purges:
            parts["spared"] = board.pulled
        unparks, board.lanes.unparks = board.lanes.unparks, []
        rates, whole = self._rates(generation, now) if urgent else ({}, False)
        return Step(
            generation=generation,
            at=now,
            urgent=urgent,
            unparks=unparks,
            rates=rates,
            rates_whole=whole,
            done=board.windows.done,
            heard=self.heard,
            floor=self._floor(generation),
            wake_at=self._wake_at(),
            **parts,
        )

    def _rates(self, generation: int, now: float) -> tuple[dict[str, RateState], bool]:
        limits = self.board.limits
        limits.sweep(now)
        if limits.any_rates and generation - self.rates_at >= RATES_EVERY:
            return limits.states(now), True
        return limits.changes(), False

    def _floor(self, generation: int) -> int:
        """The lowest generation that a rebuild must read."""
        claims = next(iter(self.open), (generation, 0))[0]
        rates = self.rates_at if self.board.limits.any_rates else generation
        return min(claims, rates, self.board.windows.floor(generation))

    def _wake_at(self) -> float | None:
        limits = self.board.limits.wake_at
        times = (self.roster.next_expiry(), self.board.lanes.wake_at, limits)
        return min((at for at in times if at is not None and at < inf), default=None)
