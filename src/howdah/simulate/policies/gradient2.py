"""Netflix's Gradient2Limit: the limit follows long-term latency over latency.

Source: Netflix concurrency-limits, Gradient2Limit: initial and minimum 20, maximum 200, smoothing
0.2, long window 600, tolerance 1.5, queue 4 (read in source); the warm-up of 10 samples and the
decay of the long average by 0.95 when it is twice the sample are background knowledge.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    ADMIT_AWAITED,
    ADMIT_INFLIGHT,
    OBSERVE_AWAITED,
    OBSERVE_INFLIGHT,
    OBSERVE_LATENCY,
)

START, MINIMUM, MAXIMUM, SMOOTHING, WINDOW, TOLERANCE, QUEUE, COUNTS = range(8)
LIMIT, LONG, SAMPLES = range(3)
WARM_UP = 10


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults from Gradient2Limit."""

    start: Annotated[int, msgspec.Meta(ge=1)] = 20
    minimum: Annotated[int, msgspec.Meta(ge=1)] = 20
    maximum: Annotated[int, msgspec.Meta(ge=1)] = 200
    smoothing: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.2
    window: Annotated[int, msgspec.Meta(ge=1)] = 600
    tolerance: Annotated[float, msgspec.Meta(ge=1)] = 1.5
    queue: Annotated[float, msgspec.Meta(ge=0)] = 4.0
    counts: Literal["served", "awaited"] = "served"


def initial(p: Numbers) -> list[float]:
    """The first limit; no latency is known."""
    return [p[START], 0.0, 0.0]


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Admit up to the limit."""
    inflight = view[ADMIT_AWAITED] if p[COUNTS] > 0 else view[ADMIT_INFLIGHT]
    return 1.0 if inflight < math.floor(state[LIMIT]) else 0.0


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """One sample."""
    latency = max(view[OBSERVE_LATENCY], 1e-9)
    state[SAMPLES] += 1.0
    if state[SAMPLES] <= WARM_UP:
        state[LONG] += (latency - state[LONG]) / state[SAMPLES]
    else:
        factor = 2.0 / (p[WINDOW] + 1.0)
        state[LONG] = state[LONG] * (1.0 - factor) + latency * factor
    if state[LONG] / latency > 2.0:
        state[LONG] *= 0.95
    limit = state[LIMIT]
    inflight = 1.0 + (view[OBSERVE_AWAITED] if p[COUNTS] > 0 else view[OBSERVE_INFLIGHT])
    if inflight < limit / 2.0:
        return 0.0
    gradient = max(0.5, min(1.0, p[TOLERANCE] * state[LONG] / latency))
    wanted = limit * gradient + p[QUEUE]
    smoothed = limit * (1.0 - p[SMOOTHING]) + wanted * p[SMOOTHING]
    state[LIMIT] = max(p[MINIMUM], min(p[MAXIMUM], smoothed))
    return 0.0
