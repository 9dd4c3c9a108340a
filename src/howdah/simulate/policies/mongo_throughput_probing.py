"""MongoDB's `throughputProbing`: tries a few tickets more or fewer and keeps what released more.

Source: mongodb/mongo, src/mongo/db/admission/execution_control at 21751b24, 0b22cf9c and 32e8f260;
the rules, written anew. Shipped is one prober for the read and the write pool together, by the sum
of their releases, yields included. `probers = "each"` gives every pool its own: a point of the
design space, not what ships. `metric = "completions"` counts finished operations instead.

While a pool still uses more tickets than it was given, taking them back one by one blocks the
controller itself, for at most `stall_seconds`.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    MOST_WATCHED,
    TICK_COMPLETIONS,
    TICK_COUNT,
    TICK_FIRST,
    TICK_LIMIT,
    TICK_NOW,
    TICK_PEAK,
    TICK_RELEASES,
    TICK_STRIDE,
    TICK_USED,
)

PROBERS, METRIC, MINIMUM, MAXIMUM, STEP, WEIGHT, SHARE, INITIAL, STALL_SECONDS = range(9)
STABLE, UP, DOWN = range(3)

# A prober's own numbers, from `OWN` on; then the peak of each pool since a prober was stable.
PHASE, CONCURRENCY, THROUGHPUT, COUNTED, AT, BLOCKED = range(6)
OWN = MOST_WATCHED
SIZE = 6
PEAKS = OWN + SIZE * MOST_WATCHED


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults are those of `throughputProbing...`; the period (100 ms) is the controller's."""

    probers: Literal["joint", "each"] = "joint"
    metric: Literal["releases", "completions"] = "releases"
    minimum: Annotated[int, msgspec.Meta(ge=1)] = 4  # throughputProbingMinConcurrency, a pool
    maximum: Annotated[int, msgspec.Meta(ge=1)] = 128  # throughputProbingMaxConcurrency, a pool
    step: Annotated[float, msgspec.Meta(ge=0.01, le=0.5)] = 0.1  # throughputProbingStepMultiple
    weight: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.2  # ...ConcurrencyMovingAverageWeight
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5  # ...ReadWriteRatio, of the first of 2
    initial: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # of a prober; 0: what its pools have
    stall_seconds: Annotated[float, msgspec.Meta(gt=0)] = 60.0  # ...StallDetectionTimeoutMs


def initial(p: Numbers) -> list[float]:
    """Every prober is stable and has seen nothing."""
    return [0.0] * (PEAKS + MOST_WATCHED)


def tick(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """One step of every prober: look, keep or give back, try."""
    pools = int(view[TICK_COUNT])
    for pool in range(pools):
        peak = view[TICK_FIRST + TICK_STRIDE * pool + TICK_PEAK]
        state[PEAKS + pool] = max(state[PEAKS + pool], peak)
    if p[PROBERS] > 0:
        for pool in range(pools):
            _probe(state, p, view, OWN + SIZE * pool, pool, pool + 1)
    else:
        _probe(state, p, view, OWN, 0, pools)
    return 0.0


def _probe(state: Numbers, p: Numbers, view: Numbers, own: int, first: int, last: int) -> float:
    now = view[TICK_NOW]
    if _blocked(state, p, view, own, first, last):
        return 0.0
    metric = TICK_COMPLETIONS if p[METRIC] > 0 else TICK_RELEASES
    counted = total = 0.0
    for pool in range(first, last):
        counted += view[TICK_FIRST + TICK_STRIDE * pool + metric]
        total += view[TICK_FIRST + TICK_STRIDE * pool + TICK_LIMIT]
    if state[own + CONCURRENCY] == 0:
        state[own + CONCURRENCY] = p[INITIAL] if p[INITIAL] > 0 else total
    passed = now - state[own + AT]
    throughput = (counted - state[own + COUNTED]) / passed if passed > 0 else 0.0
    state[own + COUNTED] = counted
    state[own + AT] = now
    if state[own + PHASE] == STABLE:
        state[own + THROUGHPUT] = throughput
        _try(state, p, view, own, first, last)
        return 0.0
    if throughput > state[own + THROUGHPUT]:
        kept = p[WEIGHT] * total + (1.0 - p[WEIGHT]) * state[own + CONCURRENCY]
        state[own + CONCURRENCY] = kept
        state[own + THROUGHPUT] = throughput
    state[own + PHASE] = STABLE
    for pool in range(first, last):
        state[pool] = _tickets(p, state[own + CONCURRENCY], pool - first, last - first, 1.0)
    return 0.0


def _blocked(state: Numbers, p: Numbers, view: Numbers, own: int, first: int, last: int) -> bool:
    """Tickets are still being taken back; after `stall_seconds` what is used is what is left."""
    over = False
    for pool in range(first, last):
        at = TICK_FIRST + TICK_STRIDE * pool
        if view[at + TICK_USED] > view[at + TICK_LIMIT]:
            over = True
    if not over:
        state[own + BLOCKED] = 0.0
        return False
    now = view[TICK_NOW]
    if state[own + BLOCKED] == 0:
        state[own + BLOCKED] = now
    if now - state[own + BLOCKED] < p[STALL_SECONDS]:
        return True
    for pool in range(first, last):
        at = TICK_FIRST + TICK_STRIDE * pool
        state[pool] = max(view[at + TICK_USED], view[at + TICK_LIMIT])
    state[own + BLOCKED] = 0.0
    return True


def _try(state: Numbers, p: Numbers, view: Numbers, own: int, first: int, last: int) -> float:
    """More tickets if a pool ran out of them, fewer if one used more than the least."""
    short = idle = False
    for pool in range(first, last):
        limit = view[TICK_FIRST + TICK_STRIDE * pool + TICK_LIMIT]
        peak = state[PEAKS + pool]
        state[PEAKS + pool] = 0.0
        short = short or (limit < p[MAXIMUM] and peak >= limit)
        idle = idle or peak > p[MINIMUM]
    if not short and not idle:
        return 0.0
    state[own + PHASE] = UP if short else DOWN
    factor = 1.0 + p[STEP] if short else 1.0 - p[STEP]
    for pool in range(first, last):
        limit = view[TICK_FIRST + TICK_STRIDE * pool + TICK_LIMIT]
        wanted = _tickets(p, state[own + CONCURRENCY], pool - first, last - first, factor)
        if wanted == limit:
            wanted = limit + 1.0 if short else limit - 1.0
        state[pool] = max(p[MINIMUM], min(wanted, p[MAXIMUM]))
    return 0.0


def _tickets(p: Numbers, concurrency: float, pool: int, pools: int, factor: float) -> float:
    """A pool's part of the concurrency, rounded and within its bounds."""
    share = 1.0 / pools
    if pools == 2:
        share = p[SHARE] if pool == 0 else 1.0 - p[SHARE]
    wanted = math.floor(concurrency * share * factor + 0.5)
    return max(p[MINIMUM], min(wanted, p[MAXIMUM]))
