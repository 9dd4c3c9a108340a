"""Lanes: the jobs of one key, one after the other.

Owns the order inside a key, what holds a key, and which of its jobs stand aside in the parked
table. Must never know workers, claims or windows: it says which job may become ready.

A lane is *held* after a failure under `block` or `park`: only the failed job, its holder, may run.
It is *aside* while rows of its key are, or are about to be, in the parked table: then new ones go
there too, else they would overtake.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal

from howdah.queue.model import PARKED, Hold, Job, Unpark
from howdah.queue.policy import FailurePolicy

Place = Literal["ready", "waits", "park"]


class Lane:
    """One key: its waiting jobs in order, and how many are ready or running."""

    __slots__ = ("aside", "asked", "asleep", "hold", "running", "waiting", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.running = 0
        self.waiting: deque[Job] = deque()
        self.hold: Hold | None = None
        self.aside = False
        self.asked = False
        self.asleep = False

    @property
    def idle(self) -> bool:
        """Nothing left to remember."""
        return not (self.running or self.waiting or self.hold or self.aside)


class Lanes:
    """The lanes of all keys in memory. `width` says how many jobs of a key may run at once."""

    def __init__(self, width: Callable[[str], int]) -> None:
        self._width = width
        self._lanes: dict[str, Lane] = {}
        self._sleeping: list[tuple[float, str]] = []
        self._suspended = False
        self.unparks: list[Unpark] = []

    def __len__(self) -> int:
        return len(self._lanes)

    def lane(self, key: str) -> Lane:
        """The lane of that key, made if there is none."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(self._width(key))
        return lane

    def add(self, key: str, job: Job) -> Place:
        """Where a job that was just seen goes."""
        lane = self.lane(key)
        if lane.hold is not None and lane.hold.job == job.identity:
            if self._suspended:
                lane.waiting.appendleft(job)
                return "waits"
            lane.running += 1
            return "ready"
        if lane.aside and job.segment != PARKED:
            return "park"
        full = lane.waiting or lane.running >= lane.width
        if full or lane.hold or lane.asleep or self._suspended:
            lane.waiting.append(job)
            return "waits"
        lane.running += 1
        return "ready"

    def finish(self, key: str, job: Job) -> tuple[list[Job], bool]:
        """A ready or running job of the key has ended well: who follows, and was a hold lifted."""
        lane = self._lanes[key]
        lane.running -= 1
        lifted = lane.hold is not None and lane.hold.job == job.identity
        if lifted:
            lane.hold = None
        return self.follow(key), lifted

    def follow(self, key: str) -> list[Job]:
        """The jobs of the key that may become ready now; they count as running."""
        lane = self._lanes.get(key)
        if lane is None:
            return []
        following: list[Job] = []
        while lane.waiting and lane.running < lane.width and not (lane.hold or lane.asleep):
            lane.running += 1
            following.append(lane.waiting.popleft())
        if lane.aside and not (lane.waiting or lane.hold or lane.asked):
            lane.asked = True
            self.unparks.append(Unpark(key=key))
        if lane.idle:
            del self._lanes[key]
        return following

    def hold(self, key: str, job: Job, policy: FailurePolicy) -> Hold:
        """A running job of the key failed and will run again, or wait for a person."""
        lane = self._lanes[key]
        lane.running -= 1
        lane.hold = Hold(key=key, job=job.identity, policy=policy)
        return lane.hold

    def set_aside(self, key: str) -> list[Job]:
        """Empty a held lane: its waiting jobs, and those to come, belong in the parked table."""
        lane = self._lanes[key]
        waiting = list(lane.waiting)
        lane.waiting.clear()
        lane.aside = True
        lane.asked = False
        return waiting

    def lift(self, key: str) -> list[Job]:
        """A person lets the key go on: who follows."""
        lane = self._lanes.get(key)
        if lane is None:
            return []
        lane.hold = None
        return self.follow(key)

    def orphan(self, key: str, policy: FailurePolicy) -> Hold:
        """The holder is gone, and the key waits on for a person."""
        lane = self.lane(key)
        lane.hold = Hold(key=key, job=None, policy=policy)
        return lane.hold

    def held_by(self, jobs: Collection[int]) -> list[str]:
        """The keys that these jobs hold."""
        lanes = self._lanes.items()
        return [key for key, lane in lanes if lane.hold and lane.hold.job in jobs]

    def suspend(self, holds: Iterable[Hold], parked_keys: Iterable[str]) -> None:
        """Start a rebuild: what held the keys and which have parked rows; nothing follows yet."""
        self._suspended = True
        for hold in holds:
            self.lane(hold.key).hold = hold
        for key in parked_keys:
            self.lane(key).aside = True

    def occupy(self, key: str) -> None:
        """A claim of an earlier dispatcher runs a job of that key."""
        self.lane(key).running += 1

    def resume(self) -> list[Job]:
        """End a rebuild: the jobs that may become ready."""
        self._suspended = False
        return [job for key, lane in list(self._lanes.items()) for job in self._woken(key, lane)]

    def unparked(self, key: str, jobs: Sequence[Job], *, more: bool) -> list[Job]:
        """Parked rows of the key were read, in order: who follows."""
        lane = self.lane(key)
        lane.asked = False
        lane.aside = more
        lane.waiting.extend(jobs)
        return self.follow(key)

    def sleep(self, key: str, job: Job, until: float) -> None:
        """A ready job of the key may not start before `until`: it stands first in line again."""
        self.put_back(key, job)
        self._lanes[key].asleep = True
        heapq.heappush(self._sleeping, (until, key))

    def wake(self, now: float) -> list[Job]:
        """The jobs of keys whose time has come."""
        woken: list[Job] = []
        while self._sleeping and self._sleeping[0][0] <= now:
            _, key = heapq.heappop(self._sleeping)
            lane = self._lanes.get(key)
            if lane is not None:
                lane.asleep = False
                woken += self._woken(key, lane)
        return woken

    def _woken(self, key: str, lane: Lane) -> list[Job]:
        """A holder that waited stands first in line and may go on though the lane is held."""
        first = lane.waiting[0] if lane.waiting else None
        if lane.hold and first and first.identity == lane.hold.job and not lane.running:
            lane.running = 1
            return [lane.waiting.popleft()]
        return self.follow(key)

    @property
    def wake_at(self) -> float | None:
        """When the next sleeping key may go on."""
        return self._sleeping[0][0] if self._sleeping else None

    def put_back(self, key: str, job: Job) -> None:
        """A ready job of the key stands first in line again."""
        lane = self._lanes[key]
        lane.running -= 1
        lane.waiting.appendleft(job)

    def waiting_on(self, matches: Callable[[Job], bool]) -> list[str]:
        """The keys with such a job in line."""
        lanes = self._lanes.items()
        return [key for key, lane in lanes if any(matches(job) for job in lane.waiting)]

    def withdraw(self, drop: Callable[[Job], bool]) -> list[Job]:
        """Take waiting jobs out for good."""
        dropped: list[Job] = []
        for key, lane in list(self._lanes.items()):
            if any(drop(job) for job in lane.waiting):
                dropped += [job for job in lane.waiting if drop(job)]
                lane.waiting = deque(job for job in lane.waiting if not drop(job))
                if lane.idle:
                    del self._lanes[key]
        return dropped
