"""Netflix's AIMDLimit: one more in flight while it goes well, a tenth fewer when it does not.

Source: Netflix concurrency-limits, AIMDLimit: initial and minimum 20, maximum 200, backoff ratio
0.9 (read in source); a latency above `timeout` counts as a drop, 5 s (background knowledge).
`counts = "awaited"` limits like a client (what it gave up does not count), "served" like a server.
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

START, MINIMUM, MAXIMUM, BACKOFF, TIMEOUT, COUNTS = range(6)
LIMIT = 0


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults from AIMDLimit."""

    start: Annotated[int, msgspec.Meta(ge=1)] = 20
    minimum: Annotated[int, msgspec.Meta(ge=1)] = 20
    maximum: Annotated[int, msgspec.Meta(ge=1)] = 200
    backoff: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.9
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    counts: Literal["served", "awaited"] = "served"


def initial(p: Numbers) -> list[float]:
    """The first limit."""
    return [p[START]]


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Admit up to the limit."""
    inflight = view[ADMIT_AWAITED] if p[COUNTS] > 0 else view[ADMIT_INFLIGHT]
    return 1.0 if inflight < state[LIMIT] else 0.0


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Additive increase while at least half of the limit is used, multiplicative decrease."""
    inflight = 1.0 + (view[OBSERVE_AWAITED] if p[COUNTS] > 0 else view[OBSERVE_INFLIGHT])
    limit = state[LIMIT]
    if view[OBSERVE_OUTCOME] != OK or view[OBSERVE_LATENCY] > p[TIMEOUT]:
        limit = math.floor(limit * p[BACKOFF])
    elif inflight * 2.0 >= limit:
        limit = limit + 1.0
    state[LIMIT] = min(p[MAXIMUM], max(p[MINIMUM], limit))
    return 0.0
