"""Netflix's GradientLimit (the first): the limit follows best latency over latency.

Source: Netflix concurrency-limits, GradientLimit: initial 50, minimum 1, maximum 1000, tolerance
2.0, probe interval 1000, backoff ratio 0.9, queue sqrt(limit) and at least 4 (read in source);
smoothing 0.2 and the form of the update are background knowledge. Every probe interval (jittered)
the best latency is forgotten and the limit falls to the queue's size, to measure it anew.
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
    OBSERVE_OUTCOME,
    OK,
)

START, MINIMUM, MAXIMUM, TOLERANCE, PROBE, BACKOFF, QUEUE, SMOOTHING, COUNTS = range(9)
LIMIT, BEST, LEFT = range(3)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults from GradientLimit."""

    start: Annotated[int, msgspec.Meta(ge=1)] = 50
    minimum: Annotated[int, msgspec.Meta(ge=1)] = 1
    maximum: Annotated[int, msgspec.Meta(ge=1)] = 1000
    tolerance: Annotated[float, msgspec.Meta(ge=1)] = 2.0
    probe: Annotated[int, msgspec.Meta(ge=1)] = 1000  # samples between two probes
    backoff: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.9
    queue: Annotated[float, msgspec.Meta(ge=0)] = 4.0
    smoothing: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.2
    counts: Literal["served", "awaited"] = "served"


def initial(p: Numbers) -> list[float]:
    """The first limit; no latency is known."""
    return [p[START], 0.0, p[PROBE]]


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Admit up to the limit."""
    inflight = view[ADMIT_AWAITED] if p[COUNTS] > 0 else view[ADMIT_INFLIGHT]
    return 1.0 if inflight < math.floor(state[LIMIT]) else 0.0


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """One sample."""
    limit = state[LIMIT]
    queue = max(p[QUEUE], math.sqrt(limit))
    latency = max(view[OBSERVE_LATENCY], 1e-9)
    state[LEFT] -= 1.0
    if state[LEFT] <= 0:
        state[LEFT] = p[PROBE] + math.floor(u * p[PROBE])
        state[BEST] = 0.0
        state[LIMIT] = max(p[MINIMUM], queue)
        return 0.0
    if state[BEST] == 0 or latency < state[BEST]:
        state[BEST] = latency
    inflight = 1.0 + (view[OBSERVE_AWAITED] if p[COUNTS] > 0 else view[OBSERVE_INFLIGHT])
    if view[OBSERVE_OUTCOME] != OK:
        wanted = limit * p[BACKOFF]
    elif inflight < limit / 2.0:
        return 0.0
    else:
        gradient = max(0.5, min(1.0, p[TOLERANCE] * state[BEST] / latency))
        wanted = limit * gradient + queue
    if wanted < limit:
        wanted = max(p[MINIMUM], limit * (1.0 - p[SMOOTHING]) + p[SMOOTHING] * wanted)
    state[LIMIT] = max(queue, min(p[MAXIMUM], wanted))
    return 0.0
