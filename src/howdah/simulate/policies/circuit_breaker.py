"""A circuit breaker: closed, open for a while, then a few probes decide.

Source: the defaults of resilience4j: half of the last 100 calls failed, open for 60 s, 10 probes
(background knowledge). While open everything is refused; half open, `probes` are let through: as
soon as their share of failures is known to be below the threshold it closes, else it opens again.
Outcomes of calls that were admitted before the last change of state are not counted.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    ADMIT_NOW,
    OBSERVE_LATENCY,
    OBSERVE_NOW,
    OBSERVE_OUTCOME,
    OK,
)

FAILURES, CALLS, OPEN_SECONDS, PROBES = range(4)
CLOSED, OPEN, HALF = range(3)
MOST_CALLS = 100
# The last outcomes (1 failed) in a ring, then:
PHASE, SINCE, SEEN, FAILED, ADMITTED = range(MOST_CALLS, MOST_CALLS + 5)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`failures`: the share that opens it; `calls`: how many of the last are looked at."""

    failures: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    calls: Annotated[int, msgspec.Meta(ge=1, le=MOST_CALLS)] = 100
    open_seconds: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    probes: Annotated[int, msgspec.Meta(ge=1, le=MOST_CALLS)] = 10


def initial(p: Numbers) -> list[float]:
    """Closed."""
    return [0.0] * (MOST_CALLS + 5)


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Closed: everybody. Open: nobody. Half open: the probes."""
    now = view[ADMIT_NOW]
    if state[PHASE] == OPEN and now - state[SINCE] >= p[OPEN_SECONDS]:
        _become(state, HALF, now)
    if state[PHASE] == OPEN:
        return 0.0
    if state[PHASE] == HALF:
        if state[ADMITTED] >= p[PROBES]:
            return 0.0
        state[ADMITTED] += 1.0
    return 1.0


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Count an outcome; perhaps open or close."""
    now = view[OBSERVE_NOW]
    if state[PHASE] == OPEN or now - view[OBSERVE_LATENCY] < state[SINCE]:
        return 0.0
    failed = 0.0 if view[OBSERVE_OUTCOME] == OK else 1.0
    size = int(p[PROBES]) if state[PHASE] == HALF else int(p[CALLS])
    place = int(state[SEEN]) % size
    if state[SEEN] >= size:
        state[FAILED] -= state[place]
    state[place] = failed
    state[FAILED] += failed
    state[SEEN] += 1.0
    if state[SEEN] < size:
        return 0.0
    if state[FAILED] >= p[FAILURES] * size:
        _become(state, OPEN, now)
    elif state[PHASE] == HALF:
        _become(state, CLOSED, now)
    return 0.0


def _become(state: Numbers, phase: float, now: float) -> float:
    """Begin a phase with nothing counted."""
    state[PHASE] = phase
    state[SINCE] = now
    state[SEEN] = 0.0
    state[FAILED] = 0.0
    state[ADMITTED] = 0.0
    return 0.0
