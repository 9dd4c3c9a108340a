"""The board: every job in memory, how it comes in and how it ends.

Owns admission and endings, and what an ending means for the window, the key, the limits and the
next step. Must never choose a worker, and never look at a clock.

A job on the board is *waiting* in its key's lane, *ready*, or *running* in a claim. A ready job is
counted by its lane, a running one by its lane and by the limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from howdah.queue.declared import Kinds
from howdah.queue.draft import Draft
from howdah.queue.lanes import Lanes
from howdah.queue.limits import Limits
from howdah.queue.model import (
    PARKED,
    Dead,
    DeadReason,
    Failure,
    Job,
    KindTold,
    Later,
    Purge,
)
from howdah.queue.policy import KindPolicy, QueuePolicy
from howdah.queue.ready import Ready
from howdah.queue.retry import Budget, delay_seconds
from howdah.queue.windows import Windows

REMEMBERED_CANCELS = 100_000
REMEMBERED_PURGES = 100
MAKE_ROOM_EVERY_SECONDS = 1.0
PUT_OFF_SECONDS = 30.0


class Board:
    """Jobs in memory and everything that counts them."""

    def __init__(
        self, policy: QueuePolicy, done: int, now: float, told: Iterable[KindTold] = ()
    ) -> None:
        self.policy = policy
        self.kinds = Kinds(policy, told)
        self.windows = Windows(done)
        self.limits = Limits(policy.limits)
        self.lanes = Lanes(self.limits.width)
        self.ready = Ready(policy.ageing_seconds, policy.weights)
        self.draft = Draft()
        self.tally: Counter[str] = Counter()
        self.loaded = 0
        self._pulled: set[int] = set()
        self._room_made_at = 0.0
        self._cancelled: dict[int, None] = {}
        self._purges: list[Purge] = []
        self._budgets: dict[str, Budget] = {}
        self._budget_anew([*policy.kinds, *(each.kind for each in told)], now)

    def told(self, kinds: Iterable[KindTold], now: float) -> None:
        """Kinds were registered: what is to come of them is treated so from now on."""
        changed = self.kinds.tell(kinds)
        if changed:
            self._budget_anew(changed, now)
            # Whether a job is claimed alone was decided when it became ready.
            self._make_all_ready(self.ready.withdraw(lambda job: job.kind in changed))

    def _budget_anew(self, kinds: Iterable[str], now: float) -> None:
        for kind in kinds:
            options = self.kinds.of(kind).budget
            self._budgets.pop(kind, None)
            if options is not None:
                self._budgets[kind] = Budget(options, now)

    # Coming in

    def see(self, jobs: Sequence[Job]) -> None:
        """Log rows of one page, in order; their window has counted them."""
        self.loaded += len(jobs)
        self.tally["seen"] += len(jobs)
        if self._cancelled or self._purges:
            jobs = [job for job in jobs if not self._called_off(job)]
        run: list[Job] = []
        kind, tenant, priority = "", None, 0
        for job in jobs:
            plain = job.key is None and job.expires is None and not job.max_attempts
            if not plain or job.attempt:
                self.admit(job)
            elif job.kind == kind and job.tenant == tenant and job.priority == priority:
                run.append(job)
            else:
                self._put_run(run)
                run = [job]
                kind, tenant, priority = job.kind, job.tenant, job.priority
        self._put_run(run)

    def pull(self, jobs: Iterable[Job]) -> list[Job]:
        """Of rows outside the log, those that are not in memory yet; they count as loaded."""
        fresh = [job for job in jobs if job.row not in self._pulled]
        self._pulled.update(job.row for job in fresh)
        self.loaded += len(fresh)
        return [job for job in fresh if not self._called_off(job)]

    def admit(self, job: Job) -> None:
        """One job that counts as loaded: to its lane, or ready, or to the parked table."""
        place = self.lanes.add(job.key, job) if job.key is not None else "ready"
        if place == "ready":
            self.make_ready(job)
        elif place == "park":
            self._park([job])

    def make_ready(self, job: Job) -> None:
        """A job whose lane lets it go."""
        alone = self.last_attempt(job)
        careful = job.key is not None or job.expires is not None
        self.ready.put(job, alone=alone, careful=careful)

    def unparked(self, key: str, jobs: Sequence[Job], *, more: bool) -> None:
        """Parked rows of the key were read, in order."""
        kept = self.pull(jobs)
        for job in self.lanes.unparked(key, kept, more=more):
            self.make_ready(job)

    def last_attempt(self, job: Job) -> bool:
        """Whether the job's next attempt is its last."""
        return self.attempts(job, self.kinds.of(job.kind)) - job.attempt <= 1

    def attempts(self, job: Job, kind: KindPolicy) -> int:
        """How many the job has in all."""
        return job.max_attempts or kind.max_attempts

    # Ending

    def all_done(self, jobs: Sequence[Job]) -> None:
        """Running jobs ended well."""
        plain = [job for job in jobs if job.key is None and job.unique is None and job.segment >= 0]
        if len(plain) < len(jobs):
            for job in jobs:
                if job.key is not None or job.unique is not None or job.segment < 0:
                    self._ended(job)
        self.windows.finish_all(plain)
        self.loaded -= len(plain)
        self.tally["done"] += len(jobs)
        if self.limits.any:
            for job in jobs:
                self.limits.give_back(job.kind, job.tenant or "")
        if self._budgets:
            for job in jobs:
                if job.kind in self._budgets:
                    self._budgets[job.kind].earn(1)

    def failed(self, job: Job, failure: Failure, reason: DeadReason, now: float) -> None:
        """A running job failed, or was lost with its worker."""
        kind = self.kinds.of(job.kind)
        used = job.attempt + 1
        dead = failure.fatal or used >= self.attempts(job, kind)
        wait = 0.0
        if dead:
            why: DeadReason = "fatal" if failure.fatal else reason
            self._bury(job, used, why, failure.error, now)
        else:
            wait = self._wait(job, kind, failure, reason, now)
            later = Later(job=job, due=now + wait, attempt=used, error=failure.error)
            self.draft.later.append(later)
            self.tally["retried"] += 1
        self.limits.give_back(job.kind, job.tenant or "")
        self._forget(job, moved=True)
        if job.key is not None:
            self._hold_or_follow(job.key, job, kind, long=dead or wait > self._patience)

    def returned(self, job: Job) -> None:
        """A job that was given away and not begun is ready again; the attempt does not count."""
        self.limits.give_back(job.kind, job.tenant or "")
        self.make_ready(job)

    def cancelled(self, job: Job, *, running: bool) -> None:
        """A job that its lane counts, ready or running, was called off."""
        if running:
            self.limits.give_back(job.kind, job.tenant or "")
        self.tally["cancelled"] += 1
        self._ended(job, moved=True)

    def expired(self, job: Job, now: float) -> None:
        """A ready job came too late: a dead letter, but its key goes on."""
        self._bury(job, job.attempt, "expired", "", now)
        self._ended(job, moved=True)

    def withdraw(self, drop: Callable[[Job], bool]) -> set[int]:
        """Call off waiting and ready jobs; the identities of those that there were."""
        waiting = self.lanes.withdraw(drop)
        for job in waiting:
            self._free(job)
            self._forget(job, moved=True)
        ready = self.ready.withdraw(drop)
        for job in ready:
            self.cancelled(job, running=False)
        self.tally["cancelled"] += len(waiting)
        return {job.identity for job in (*waiting, *ready)}

    def remember_cancel(self, identity: int) -> None:
        """That job may still come in: from the unread log, or from a table."""
        self._cancelled[identity] = None
        if len(self._cancelled) > REMEMBERED_CANCELS:
            del self._cancelled[next(iter(self._cancelled))]

    def purge(self, purge: Purge) -> None:
        """Call off what the purge means, now and when it comes in."""
        self.remember_purge(purge)
        self.withdraw(lambda job: purged(job, purge))

    def remember_purge(self, purge: Purge) -> None:
        """Log rows that the purge means may still come in."""
        self._purges = [*self._purges, purge][-REMEMBERED_PURGES:]

    def lift(self, key: str) -> None:
        """The key goes on."""
        self.draft.lift(key)
        self._make_all_ready(self.lanes.lift(key))

    def wake(self, now: float) -> None:
        """Keys whose rate allows one more."""
        self._make_all_ready(self.lanes.wake(now))

    def removed(self, jobs: Iterable[Job]) -> None:
        """The rows of these are gone from the later and parked tables."""
        self._pulled.difference_update(job.row for job in jobs)

    @property
    def pulled(self) -> list[int]:
        """The rows of the later and parked tables that are in memory."""
        return sorted(self._pulled)

    def pull_claimed(self, job: Job) -> Job:
        """A row outside the log that an open claim names."""
        self._pulled.add(job.row)
        self.loaded += 1
        return job

    def occupy(self, job: Job) -> None:
        """A claim of an earlier dispatcher holds the job."""
        if job.segment >= 0:
            self.loaded += 1
        self.limits.occupy(job.kind, job.tenant or "")
        if job.key is not None:
            self.lanes.occupy(job.key)

    def is_cancelled(self, job: Job) -> bool:
        """Whether the job was called off while it ran."""
        return job.identity in self._cancelled

    def make_room(self, now: float) -> None:
        """Memory is full of jobs that may not start while slots are free: put some of them off.

        Else a paused kind, or a tenant at its limit, would stop everything behind its backlog.
        """
        if now < self._room_made_at + MAKE_ROOM_EVERY_SECONDS:
            return
        self._room_made_at = now
        put_off = {job.row for job in self.ready.largest()[: self.policy.loaded_max // 4 + 1]}
        self._put_off(
            self.ready.withdraw(lambda job: job.row in put_off and not self._holds(job)),
            now + PUT_OFF_SECONDS,
        )

    def _holds(self, job: Job) -> bool:
        return job.key is not None and self.lanes.lane(job.key).hold is not None

    def _put_off(self, jobs: Iterable[Job], until: float) -> None:
        """Ready jobs leave memory for a while, with their lanes."""
        keys: list[str] = []
        for job in jobs:
            if job.key is None:
                later = Later(job=job, due=until, attempt=job.attempt, error="")
                self.draft.later.append(later)
                self._forget(job, moved=True)
            else:
                self.lanes.sleep(job.key, job, until)
                keys.append(job.key)
        for key in dict.fromkeys(keys):
            self._park(self.lanes.set_aside(key))

    @property
    def pinned(self) -> bool:
        """Whether the oldest open rows keep too much of the log."""
        return self.windows.pinned(self.policy.pinned_max)

    def pins(self, job: Job) -> bool:
        """Whether the job's row is among the oldest of the log."""
        return job.segment >= 0 and self.windows.oldest(job.window)

    def copy_out(self, job: Job) -> Job:
        """A running job goes on under its number, its row now in the parked table."""
        self.draft.parks.append(job)
        self.draft.moved.append(job.row)
        self.windows.finish(job.window)
        self._pulled.add(job.row)
        identity = job.identity
        return msgspec.structs.replace(job, segment=PARKED, tid="", window=0, job=identity)

    def unpin(self, now: float) -> None:
        """The oldest rows that do not run leave memory for the tables, and are read again."""
        self._put_off(self.ready.withdraw(self.pins), now)
        for key in self.lanes.waiting_on(self.pins):
            self._park(self.lanes.set_aside(key))
            self._make_all_ready(self.lanes.follow(key))

    def resume(self) -> None:
        """End a rebuild: every lane may go on."""
        self._make_all_ready(self.lanes.resume())

    @property
    def _patience(self) -> float:
        return self.policy.park_after_seconds

    def _put_run(self, run: list[Job]) -> None:
        if run:
            alone = self.kinds.of(run[0].kind).max_attempts <= 1
            self.ready.put_run(run, alone=alone)

    def _make_all_ready(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self.make_ready(job)

    def _called_off(self, job: Job) -> bool:
        """Whether the job was called off before it came; then it is finished.

        A purge is carried out on the tables by the store: what comes from there is meant to run.
        """
        cancelled = job.identity in self._cancelled
        if not cancelled and (job.segment < 0 or not any(purged(job, p) for p in self._purges)):
            return False
        self._cancelled.pop(job.identity, None)
        self.tally["cancelled"] += 1
        self._free(job)
        self._forget(job, moved=True)
        return True

    def _ended(self, job: Job, *, moved: bool = False) -> None:
        """A ready or running job has come to an end, and nothing of it is left to do."""
        self._free(job)
        self._forget(job, moved=moved)
        if job.key is not None:
            following, lifted = self.lanes.finish(job.key, job)
            if lifted:
                self.draft.lift(job.key)
            self._make_all_ready(following)

    def _forget(self, job: Job, *, moved: bool) -> None:
        """The row is finished; `moved` if no ack will say so."""
        self.loaded -= 1
        if job.segment < 0:  # known until its row is gone: a read before that shows it again
            self.draft.removed.append(job)
        else:
            self.windows.finish(job.window)
            if moved:
                self.draft.moved.append(job.row)

    def _free(self, job: Job) -> None:
        if job.unique is not None:
            self.draft.freed.append(job.unique)

    def _bury(self, job: Job, used: int, reason: DeadReason, error: str, now: float) -> None:
        dead = Dead(job=job, attempt=used, reason=reason, error=error, at=now)
        self.draft.dead.append(dead)
        self.tally["dead"] += 1
        if reason != "expired":  # then the ending frees it
            self._free(job)

    def _wait(
        self, job: Job, kind: KindPolicy, failure: Failure, reason: DeadReason, now: float
    ) -> float:
        if reason == "lost":  # its lease was wait enough
            return 0.0
        used = job.attempt + 1
        wait = failure.delay
        if wait is None:
            seed = f"{self.policy.seed}:{job.identity}:{used}"
            wait = delay_seconds(kind.backoff, used, seed)
        budget = self._budgets.get(job.kind)
        if budget is None and kind.budget is not None:  # the queue's default has one
            budget = self._budgets[job.kind] = Budget(kind.budget, now)
        if budget is not None and not budget.spend(now):
            wait = max(wait, kind.backoff.max_seconds)
        return wait

    def _hold_or_follow(self, key: str, job: Job, kind: KindPolicy, *, long: bool) -> None:
        """The failure policy of the key: `long` if the failed job will not run again soon."""
        if kind.on_failure == "skip" or self.lanes.lane(key).width > 1:
            following, lifted = self.lanes.finish(key, job)
            if lifted:
                self.draft.lift(key)
            self._make_all_ready(following)
            return
        self.draft.hold(self.lanes.hold(key, job, kind.on_failure))
        if long:
            self._park(self.lanes.set_aside(key))

    def _park(self, jobs: Iterable[Job]) -> None:
        """Jobs that leave memory for the parked table; those from there are there already."""
        for job in jobs:
            if job.segment == PARKED:
                self._pulled.discard(job.row)
                self.loaded -= 1
            else:
                self.draft.parks.append(job)
                self._forget(job, moved=True)


def purged(job: Job, purge: Purge) -> bool:
    """Whether the purge means that job."""
    return (
        job.at < purge.at and purge.kind in (None, job.kind) and purge.tenant in (None, job.tenant)
    )
