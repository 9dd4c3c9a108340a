"""Claims: which ready jobs a worker's free slots get.

Owns how claims are filled: room by limits, pauses and the worker's kinds, size by time. Must never
change what a job or a limit means.

A claim must be confirmed if its worker may be dead, or if it is a job's last attempt; but not by
workers of the dispatcher's own process, which live as long as it does.

A worker has as many claims as slots; of kinds known to be fast it may have as many again, so that
a slot goes on while its ack travels. A claim ahead that finds all slots busy is for the worker to
release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from math import ceil

from howdah.queue.board import Board
from howdah.queue.model import Claim, Job
from howdah.queue.ready import BLOCKED, Bucket
from howdah.queue.roster import Roster, Worker
from howdah.queue.sizing import Durations

AHEAD = 0.25  # of batch_seconds: a kind is fast if one job takes no longer


class Claiming:
    """Fills claims until slots or jobs run out."""

    def __init__(
        self, board: Board, roster: Roster, durations: Durations, paused: Callable[[str, str], bool]
    ) -> None:
        self._board = board
        self._roster = roster
        self._durations = durations
        self._paused = paused

    def claims(self, generation: int, now: float) -> Iterator[Claim]:
        """The claims of this step; their jobs are taken and counted.

        One claim at a time to the least busy worker: first to free slots, then ahead.
        """
        ordinal = 0
        self._roster.listen(now)
        for ahead in (False, True):
            for worker, jobs in self._given(now, ahead=ahead):
                self._roster.gave(worker, now)
                lease = self._board.policy.lease_seconds
                confirm = worker.doubtful or (worker.confirms and self._last(jobs))
                yield Claim(generation, ordinal, worker.name, jobs, now, lease, confirm)
                ordinal += 1
        self._board.ready.begin_pass()

    def _last(self, jobs: list[Job]) -> bool:
        """Whether it is a last attempt: those are claimed alone."""
        return len(jobs) == 1 and self._board.last_attempt(jobs[0])

    def _given(self, now: float, *, ahead: bool) -> Iterator[tuple[Worker, list[Job]]]:
        ready = self._board.ready
        ready.begin_pass()
        workers = [w for w in self._roster.takers() if w.room(ahead=ahead) > 0]
        slots = sum(worker.room(ahead=ahead) for worker in workers)
        heap = [(worker.quiet, worker.load, worker.name, worker) for worker in workers]
        heapify(heap)
        kinds = heap[0][3].kinds if heap else None
        while heap and len(ready):
            quiet, _, name, worker = heappop(heap)
            if worker.kinds != kinds:  # what was blocked for others may not be for this one
                ready.begin_pass()
                kinds = worker.kinds
            jobs = self._fill(worker, ceil(len(ready) / slots), now)
            if not jobs:
                slots = max(1, slots - worker.room(ahead=ahead))
                continue
            yield worker, jobs
            slots = max(1, slots - 1)
            if worker.room(ahead=ahead) > 0:
                heappush(heap, (quiet, worker.load, name, worker))

    def _fill(self, worker: Worker, share: int, now: float) -> list[Job]:
        """One claim: runs of jobs until its time is full."""
        board = self._board
        jobs: list[Job] = []
        seconds = board.policy.batch_seconds

        def room(bucket: Bucket) -> int:
            return self._room(bucket, worker, len(jobs), seconds, share, now)

        while (taken := board.ready.take(room)) is not None:
            bucket, run = taken
            if not run:
                break
            started = self._started(run, now) if bucket.careful else run
            if board.limits.any:
                board.limits.take(bucket.kind, bucket.tenant, len(started), now)
            jobs += started
            each = self._durations.seconds(bucket.kind)
            if jobs and (bucket.alone or each is None):
                break
            seconds -= len(started) * (each or 0.0)
        return jobs

    def _room(
        self, bucket: Bucket, worker: Worker, held: int, seconds: float, share: int, now: float
    ) -> int:
        """How many jobs of the bucket the claim has room for; see `Ready.take`."""
        room = self._allowed(bucket, worker, now)
        if room == BLOCKED:
            return BLOCKED
        policy = self._board.policy
        few = self._durations.size(bucket.kind, policy.spread_seconds, room)
        most = min(self._board.kinds.of(bucket.kind).batch_max, max(share, few)) - held
        fits = self._durations.size(bucket.kind, seconds, max(0, most))
        if held:
            return 0 if bucket.alone or worker.quiet else min(room, fits)
        if worker.room(ahead=False) <= 0 and not self._fast(bucket.kind):
            return BLOCKED
        return 1 if bucket.alone or worker.quiet else min(room, max(1, fits))

    def _allowed(self, bucket: Bucket, worker: Worker, now: float) -> int:
        """How many may start by the worker's kinds, the pauses and the limits."""
        if worker.kinds is not None and bucket.kind not in worker.kinds:
            return BLOCKED
        if self._paused(bucket.kind, bucket.tenant):
            return BLOCKED
        return self._board.limits.room(bucket.kind, bucket.tenant, now) or BLOCKED

    def _fast(self, kind: str) -> bool:
        each = self._durations.seconds(kind)
        return each is not None and each <= AHEAD * self._board.policy.batch_seconds

    def _started(self, run: list[Job], now: float) -> list[Job]:
        """Of the jobs taken, those that start: not expired, and allowed by their key's rate."""
        board = self._board
        started: list[Job] = []
        for job in run:
            if job.expires is not None and job.expires <= now:
                board.expired(job, now)
                continue
            if job.key is not None and board.limits.any_keyed:
                free_at = board.limits.key_free_at(job, now)
                if free_at > now:
                    board.lanes.sleep(job.key, job, free_at)
                    continue
                board.limits.take_key(job, now)
            started.append(job)
        return started
