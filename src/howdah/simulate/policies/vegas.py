"""Netflix's VegasLimit: keeps an estimated queue between alpha and beta.

Source: Netflix concurrency-limits, VegasLimit: initial 20, maximum 1000, alpha 3 log10(limit), beta
6 log10(limit), steps of log10(limit), probe multiplier 30 (read in source). Its log10 is the whole
part and at least 1 (background knowledge), so that a comparison does.
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

START, MAXIMUM, ALPHA, BETA, PROBE, SMOOTHING, COUNTS = range(7)
LIMIT, BEST, SAMPLES, JITTER = range(4)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults from VegasLimit."""

    start: Annotated[int, msgspec.Meta(ge=1)] = 20
    maximum: Annotated[int, msgspec.Meta(ge=1)] = 1000
    alpha: Annotated[float, msgspec.Meta(gt=0)] = 3.0
    beta: Annotated[float, msgspec.Meta(gt=0)] = 6.0
    probe: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    smoothing: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    counts: Literal["served", "awaited"] = "served"


def initial(p: Numbers) -> list[float]:
    """The first limit; no latency is known."""
    return [p[START], 0.0, 0.0, 0.75]


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Admit up to the limit."""
    inflight = view[ADMIT_AWAITED] if p[COUNTS] > 0 else view[ADMIT_INFLIGHT]
    return 1.0 if inflight < math.floor(state[LIMIT]) else 0.0


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """One sample: a new best, a probe, or a step."""
    latency = max(view[OBSERVE_LATENCY], 1e-9)
    limit = state[LIMIT]
    state[SAMPLES] += 1.0
    if state[JITTER] * p[PROBE] * limit <= state[SAMPLES]:
        state[JITTER] = 0.5 + 0.5 * u
        state[SAMPLES] = 0.0
        state[BEST] = latency
        return 0.0
    if state[BEST] == 0 or latency < state[BEST]:
        state[BEST] = latency
        return 0.0
    inflight = 1.0 + (view[OBSERVE_AWAITED] if p[COUNTS] > 0 else view[OBSERVE_INFLIGHT])
    wanted = _step(p, limit, math.ceil(limit * (1.0 - state[BEST] / latency)), inflight, view)
    wanted = max(1.0, min(p[MAXIMUM], wanted))
    state[LIMIT] = (1.0 - p[SMOOTHING]) * limit + p[SMOOTHING] * wanted
    return 0.0


def _step(p: Numbers, limit: float, queue: float, inflight: float, view: Numbers) -> float:
    """The limit that this queue calls for."""
    log = 1.0 if limit < 100 else 2.0 if limit < 1000 else 3.0
    if view[OBSERVE_OUTCOME] != OK:
        return limit - log
    if inflight * 2.0 < limit:
        return limit
    if queue <= log:
        return limit + p[BETA] * log
    if queue < p[ALPHA] * log:
        return limit + log
    if queue > p[BETA] * log:
        return limit - log
    return limit
