"""The jobs that could start now, and whose turn it is.

Owns priority with ageing inside a tenant, and the turns between tenants. Must never know limits or
workers: whoever takes says how many of a bucket have room.

A *bucket* holds the ready jobs of one tenant, priority and kind, in order of their rows.
Between the buckets of a tenant the lowest *score* of the first job wins: `at + priority *
ageing_seconds`. The score of a job never changes, and yet waiting makes it win: younger jobs come
with higher scores.
Between tenants: deficit round robin (Shreedhar and Varghese, 1995) with one job as the unit.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from math import inf
from operator import attrgetter

from howdah.queue.model import Job

_score = attrgetter("score")

BLOCKED = -1  # a bucket that has no room in this whole pass

Room = Callable[["Bucket"], int]


class Bucket:
    """Ready jobs of one tenant, priority and kind; `alone` ones are never claimed with others."""

    __slots__ = ("_ageing", "_early", "_jobs", "alone", "careful", "kind", "score", "tenant")

    def __init__(self, tenant: str, kind: str, ageing: float, *, alone: bool) -> None:
        self.tenant = tenant
        self.kind = kind
        self.alone = alone
        self.careful = False  # some of its jobs have a key or expire: look at each
        self._ageing = ageing  # seconds that the priority adds to the score
        self._jobs: deque[Job] = deque()
        self._early: list[tuple[int, Job]] = []
        self.score = inf  # of the first job

    def __len__(self) -> int:
        return len(self._jobs) + len(self._early)

    def put(self, job: Job) -> None:
        """Add a job; one that comes later than its row says is sorted in."""
        if not self._jobs or self._jobs[-1].row < job.row:
            self._jobs.append(job)
            if len(self._jobs) > 1:
                return
        else:
            heapq.heappush(self._early, (job.row, job))
        self._rank()

    def put_run(self, jobs: list[Job]) -> None:
        """Add jobs that are in order of their rows."""
        if self._jobs and self._jobs[-1].row > jobs[0].row:
            for job in jobs:
                self.put(job)
            return
        self._jobs.extend(jobs)
        self._rank()

    def take(self, most: int, bound: float) -> list[Job]:
        """Up to `most` jobs, at least one, as long as their score is at most `bound`."""
        if bound == inf and not self._early:
            taken = self._take_front(most)
            self._rank()
            return taken
        taken = [self._pop()]
        while len(taken) < most and self.score <= bound and len(self):
            taken.append(self._pop())
        return taken

    def jobs(self) -> Iterator[Job]:
        """All of them; those that came early and were sorted in first."""
        yield from (job for _, job in self._early)
        yield from self._jobs

    def withdraw(self, drop: Callable[[Job], bool]) -> list[Job]:
        """Take jobs out for good."""
        dropped = [job for job in self.jobs() if drop(job)]
        if dropped:
            self._jobs = deque(job for job in self._jobs if not drop(job))
            self._early = [(row, job) for row, job in self._early if not drop(job)]
            heapq.heapify(self._early)
            self._rank()
        return dropped

    def _early_first(self) -> bool:
        return bool(self._early) and (not self._jobs or self._early[0][0] < self._jobs[0].row)

    def _rank(self) -> None:
        if self._early_first():
            self.score = self._early[0][1].at + self._ageing
        else:
            self.score = self._jobs[0].at + self._ageing if self._jobs else inf

    def _pop(self) -> Job:
        job = heapq.heappop(self._early)[1] if self._early_first() else self._jobs.popleft()
        self._rank()
        return job

    def _take_front(self, most: int) -> list[Job]:
        jobs = self._jobs
        if most >= len(jobs):
            self._jobs = deque()
            return list(jobs)
        popleft = jobs.popleft
        return [popleft() for _ in range(most)]


class _Tenant:
    """One tenant's buckets and what it may still take in its turn."""

    __slots__ = ("buckets", "deficit", "name", "quantum")

    def __init__(self, name: str, quantum: float) -> None:
        self.name = name
        self.quantum = quantum
        self.deficit = 0.0
        self.buckets: dict[tuple[int, str, bool], Bucket] = {}


class Ready:
    """All ready jobs. `weights` are the tenants' shares, 1 for those not named."""

    def __init__(self, ageing_seconds: float, weights: Mapping[str, float]) -> None:
        self._ageing = ageing_seconds
        self._weights = weights
        # With the smallest weight as the unit, every turn is worth at least one job.
        self._unit = min([1.0, *weights.values()])
        self._tenants: dict[str, _Tenant] = {}
        self._ring: deque[_Tenant] = deque()
        self._blocked: list[_Tenant] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, job: Job, *, alone: bool, careful: bool = False) -> None:
        """Add one job; `careful` if it must be looked at before it starts."""
        bucket = self.bucket(job, alone=alone)
        bucket.careful |= careful
        bucket.put(job)
        self._count += 1

    def put_run(self, jobs: list[Job], *, alone: bool) -> None:
        """Add jobs of one tenant, priority and kind, in order of their rows."""
        self.bucket(jobs[0], alone=alone).put_run(jobs)
        self._count += len(jobs)

    def bucket(self, job: Job, *, alone: bool) -> Bucket:
        """Where that job belongs."""
        name = job.tenant or ""
        tenant = self._tenants.get(name)
        if tenant is None:
            quantum = self._weights.get(name, 1.0) / self._unit
            tenant = self._tenants[name] = _Tenant(name, quantum)
            self._ring.append(tenant)
        key = (job.priority, job.kind, alone)
        bucket = tenant.buckets.get(key)
        if bucket is None:
            seconds = job.priority * self._ageing
            bucket = tenant.buckets[key] = Bucket(name, job.kind, seconds, alone=alone)
        return bucket

    def begin_pass(self) -> None:
        """Forget who was blocked: a new taker, or the state of the limits has changed."""
        self._ring.extend(self._blocked)
        self._blocked.clear()

    def take(self, room: Room) -> tuple[Bucket, list[Job]] | None:
        """The next jobs, all of one bucket; None if nothing has room.

        `room(bucket)` is how many may be taken; 0: not now, which ends the taking with an empty
        run; `BLOCKED`: none of this bucket in this pass.
        """
        while self._ring:
            tenant = self._ring[0]
            chosen = self._choose(tenant, room)
            if chosen is None:
                tenant.deficit = 0.0
                self._blocked.append(self._ring.popleft())
                continue
            bucket, most, bound = chosen
            if not most:
                return bucket, []
            return bucket, self._serve(tenant, bucket, most, bound)
        return None

    def withdraw(self, drop: Callable[[Job], bool]) -> list[Job]:
        """Take jobs out for good."""
        self.begin_pass()
        dropped: list[Job] = []
        for tenant in list(self._ring):
            for key, bucket in list(tenant.buckets.items()):
                dropped += bucket.withdraw(drop)
                if not bucket:
                    del tenant.buckets[key]
        kept = [tenant for tenant in self._ring if tenant.buckets]
        self._ring = deque(kept)
        self._tenants = {tenant.name: tenant for tenant in kept}
        self._count -= len(dropped)
        return dropped

    def largest(self) -> list[Job]:
        """The jobs of the fullest bucket, those that came early last."""
        buckets = (b for tenant in self._tenants.values() for b in tenant.buckets.values())
        fullest = max(buckets, key=len, default=None)
        return list(fullest.jobs())[::-1] if fullest is not None else []

    def _choose(self, tenant: _Tenant, room: Room) -> tuple[Bucket, int, float] | None:
        """The tenant's best bucket with room, its room, and the score of the one behind it."""
        ranked = list(tenant.buckets.values())
        if len(ranked) > 1:
            ranked.sort(key=_score)
        for place, bucket in enumerate(ranked, start=1):
            most = room(bucket)
            if most != BLOCKED:
                return bucket, most, ranked[place].score if place < len(ranked) else inf
        return None

    def _serve(self, tenant: _Tenant, bucket: Bucket, most: int, bound: float) -> list[Job]:
        alone = len(self._ring) == 1 and not self._blocked
        if not alone:
            if tenant.deficit < 1:
                tenant.deficit += tenant.quantum
            most = min(most, int(tenant.deficit))
        run = bucket.take(most, bound)
        self._count -= len(run)
        if not alone:
            tenant.deficit -= len(run)
        if not len(bucket):
            tenant.buckets = {k: b for k, b in tenant.buckets.items() if b is not bucket}
        if not tenant.buckets:
            self._ring.popleft()
            del self._tenants[tenant.name]
        elif tenant.deficit < 1:
            self._ring.rotate(-1)
        return run
