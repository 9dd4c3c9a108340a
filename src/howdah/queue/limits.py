"""Limits: how many jobs may run at once, and how many may start in a time.

Owns the counters, exact because one dispatcher alone starts jobs. Must never start anything by
itself: `room` asks, `take` and `give_back` count.

A rate's state travels in the ledger (`state`, `restore`), so that a new dispatcher goes on counting
where the old one stopped; concurrency is counted anew from the open claims.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from math import inf, nextafter
from typing import Protocol

from howdah.queue.model import Job, RateState
from howdah.queue.policy import Allowance, Limit, Rate

WINDOW_SLICES = 64  # of a sliding window; a start counts as if at the end of its slice
ROUNDING = 1e-9  # tokens; what adding up seconds may lose
PLENTY = 1 << 30  # room where nothing limits
SWEEP_AT = 10_000  # counters; beyond it, idle ones are forgotten


class Meter(Protocol):
    """What counts starts in time. Time never runs backwards for a meter."""

    def room(self, now: float) -> int:
        """How many may start now."""

    def spend(self, count: int, now: float) -> None:
        """So many start now."""

    def free_at(self, now: float) -> float:
        """When at least one may start."""

    def idle(self, now: float) -> bool:
        """As good as new."""

    def state(self) -> RateState:
        """What a later meter needs to go on."""

    def restore(self, state: RateState) -> None:
        """Go on from there."""


class TokenBucket:
    """In any span of t seconds at most `burst + t * count / seconds` starts."""

    def __init__(self, rate: Rate) -> None:
        self._per_second = rate.count / rate.seconds
        self._burst = float(rate.burst or rate.count)
        self._tokens = self._burst
        self._at = -inf

    def _fill(self, now: float) -> None:
        if now > self._at:
            grown = self._tokens + (now - self._at) * self._per_second
            self._tokens = min(self._burst, grown)
            self._at = now

    def room(self, now: float) -> int:
        """How many may start now."""
        self._fill(now)
        return int(self._tokens + ROUNDING)

    def spend(self, count: int, now: float) -> None:
        """So many start now."""
        self._fill(now)
        self._tokens -= count

    def free_at(self, now: float) -> float:
        """When at least one may start."""
        self._fill(now)
        return self._at + max(0.0, 1.0 - self._tokens) / self._per_second

    def idle(self, now: float) -> bool:
        """As good as new."""
        self._fill(now)
        return self._tokens >= self._burst

    def state(self) -> RateState:
        """Tokens, and at what time."""
        return ((self._tokens, self._at),)

    def restore(self, state: RateState) -> None:
        """Go on from there; from a window's slices with no tokens."""
        if _of_window(state):
            self._tokens, self._at = 0.0, max(end for end, _ in state)
        else:
            ((self._tokens, self._at),) = state


class SlidingWindow:
    """At most `count` starts in every span of `seconds`, wherever it begins.

    Starts are remembered by slice and as if at the slice's end: never too many, at most a slice
    late, and no more than 65 numbers to remember.
    """

    def __init__(self, rate: Rate) -> None:
        self._count = rate.count
        self._seconds = rate.seconds
        self._slice = rate.seconds / WINDOW_SLICES
        self._starts: deque[tuple[float, int]] = deque()  # end of slice, starts in it
        self._sum = 0
        self._at = -inf

    def _drop(self, now: float) -> None:
        self._at = max(self._at, now)
        while self._starts and self._starts[0][0] + self._seconds < self._at:
            self._sum -= self._starts.popleft()[1]

    def room(self, now: float) -> int:
        """How many may start now."""
        self._drop(now)
        return max(0, self._count - self._sum)

    def spend(self, count: int, now: float) -> None:
        """So many start now."""
        self._drop(now)
        if self._starts and self._starts[-1][0] >= self._at:
            end, before = self._starts.pop()
            self._starts.append((end, before + count))
        else:
            self._starts.append((self._at + self._slice, count))
        self._sum += count

    def free_at(self, now: float) -> float:
        """When at least one may start."""
        if self.room(now):
            return now
        return nextafter(self._starts[0][0] + self._seconds, inf)

    def idle(self, now: float) -> bool:
        """As good as new."""
        self._drop(now)
        return not self._starts

    def state(self) -> RateState:
        """The slices."""
        return tuple((end, float(count)) for end, count in self._starts)

    def restore(self, state: RateState) -> None:
        """Go on from there; from a bucket's tokens as if all had just started."""
        if state and not _of_window(state):
            state = ((state[0][1] + self._slice, float(self._count)),)
        self._starts = deque((end, int(count)) for end, count in state)
        self._sum = sum(count for _, count in self._starts)
        self._at = self._starts[-1][0] - self._slice if self._starts else -inf


def _of_window(state: RateState) -> bool:
    """Whether a window left that state, and not a bucket: times are larger than counts."""
    return any(first > second for first, second in state)


class Counter:
    """One value of one limit: how many run, and the meter of starts."""

    __slots__ = ("_most", "meter", "used")

    def __init__(self, allow: Allowance) -> None:
        self._most = allow.concurrency
        self.used = 0
        self.meter: Meter | None = None
        if allow.rate is not None:
            bucket = allow.rate.form == "bucket"
            self.meter = TokenBucket(allow.rate) if bucket else SlidingWindow(allow.rate)

    def room(self, now: float) -> int:
        """How many may start now."""
        room = PLENTY if self._most is None else max(0, self._most - self.used)
        return min(room, self.meter.room(now)) if room and self.meter else room

    def take(self, count: int, now: float) -> None:
        """So many start now."""
        self.used += count
        if self.meter:
            self.meter.spend(count, now)

    def idle(self, now: float) -> bool:
        """Nothing to remember."""
        return not self.used and (self.meter is None or self.meter.idle(now))


class Limits:
    """All limits of a queue."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        every = tuple(limits)
        self._shared = tuple(limit for limit in every if limit.by != "key")
        self._keyed = tuple(limit for limit in every if limit.by == "key")
        self._counters: dict[str, Counter] = {}
        self._changed: set[str] = set()
        self.any = bool(every)
        self.any_keyed = bool(self._keyed)
        self.any_rates = any(
            allow.rate for limit in every for allow in (limit.allow, *limit.overrides.values())
        )
        self.wake_at = inf

    def width(self, key: str) -> int:
        """How many jobs of a key may run at once: 1, unless a limit by key says more or less."""
        widths = [
            allow.concurrency
            for limit in self._keyed
            if (allow := limit.overrides.get(key, limit.allow)).concurrency is not None
        ]
        return min(widths, default=1)

    def room(self, kind: str, tenant: str, now: float) -> int:
        """How many jobs of that kind and tenant may start now, whatever their keys."""
        room = PLENTY
        for limit in self._shared:
            if limit.kinds is None or kind in limit.kinds:
                counter = self._counter(limit, _value(limit, kind, tenant))
                room = min(room, counter.room(now))
                if not room:
                    self._wake(counter, now)
                    return 0
        return room

    def take(self, kind: str, tenant: str, count: int, now: float) -> None:
        """So many jobs of that kind and tenant start now."""
        for limit in self._shared:
            if limit.kinds is None or kind in limit.kinds:
                value = _value(limit, kind, tenant)
                self._counter(limit, value).take(count, now)
                self._note(limit, value)

    def key_free_at(self, job: Job, now: float) -> float:
        """When the job's key may start one more; not after `now` if it may at once."""
        free = now
        for limit in self._keyed:
            if limit.kinds is None or job.kind in limit.kinds:
                meter = self._counter(limit, job.key or "").meter
                free = max(free, meter.free_at(now)) if meter else free
        return free

    def take_key(self, job: Job, now: float) -> None:
        """A job with a key starts now. Its key's concurrency is the lane's width, not counted."""
        for limit in self._keyed:
            if limit.kinds is None or job.kind in limit.kinds:
                meter = self._counter(limit, job.key or "").meter
                if meter:
                    meter.spend(1, now)
                    self._note(limit, job.key or "")

    def give_back(self, kind: str, tenant: str, count: int = 1) -> None:
        """So many jobs of that kind and tenant run no more."""
        for limit in self._shared:
            if limit.kinds is None or kind in limit.kinds:
                self._counter(limit, _value(limit, kind, tenant)).used -= count

    def occupy(self, kind: str, tenant: str) -> None:
        """A claim that an earlier dispatcher made still runs a job of that kind and tenant."""
        self.give_back(kind, tenant, -1)

    def changes(self) -> dict[str, RateState]:
        """The rates that changed since the last call."""
        changed, self._changed = self._changed, set()
        return {name: self._state(name) for name in changed}

    def states(self, now: float) -> dict[str, RateState]:
        """Every rate that is not idle: all that a new dispatcher needs."""
        self._changed.clear()
        return {
            name: counter.meter.state()
            for name, counter in self._counters.items()
            if counter.meter and not counter.meter.idle(now)
        }

    def restore(self, states: Iterable[Mapping[str, RateState]]) -> None:
        """Go on counting from the states that an earlier dispatcher left, oldest first."""
        newest: dict[str, RateState] = {}
        for state in states:
            newest |= state
        limits = {limit.name: limit for limit in (*self._shared, *self._keyed)}
        for name, left in newest.items():
            limit_name, _, value = name.partition(":")
            limit = limits.get(limit_name)
            counter = self._counter(limit, value) if limit else None
            if counter and counter.meter:
                counter.meter.restore(left)

    def sweep(self, now: float) -> None:
        """Forget idle counters, if there are many."""
        if len(self._counters) > SWEEP_AT:
            kept = {n: c for n, c in self._counters.items() if not c.idle(now)}
            self._counters = kept
            self._changed &= kept.keys()

    def _state(self, name: str) -> RateState:
        meter = self._counters[name].meter
        return meter.state() if meter else ()

    def _note(self, limit: Limit, value: str) -> None:
        if self.any_rates:
            name = f"{limit.name}:{value}"
            if self._counters[name].meter:
                self._changed.add(name)

    def _wake(self, counter: Counter, now: float) -> None:
        if counter.meter and not counter.meter.room(now):
            self.wake_at = min(self.wake_at, counter.meter.free_at(now))

    def _counter(self, limit: Limit, value: str) -> Counter:
        name = f"{limit.name}:{value}"
        counter = self._counters.get(name)
        if counter is None:
            counter = self._counters[name] = Counter(limit.overrides.get(value, limit.allow))
        return counter


def _value(limit: Limit, kind: str, tenant: str) -> str:
    """What the limit counts by."""
    match limit.by:
        case "kind":
            return kind
        case "tenant":
            return tenant
        case "kind_tenant":
            return f"{kind}/{tenant}"
        case _:
            return ""
