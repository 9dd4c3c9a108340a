"""A token bucket at the door: `rate` requests a second, bursts of `burst_seconds` of it.

Source: mongodb/mongo, ingress request rate limiter at 21751b24: enabled, but with RatePerSec at
the largest integer and BurstCapacitySecs at the largest number, so inert until somebody sets it.
Our defaults are meant to be overridden; a queue in front of it (MaxQueueDepth) defaults to 0.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import ADMIT_NOW

RATE, BURST_SECONDS, COST = range(3)
TOKENS, AT = range(2)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`rate`: ingressRequestRateLimiterRatePerSec, INT32_MAX."""

    rate: Annotated[float, msgspec.Meta(ge=0)] = 2147483647.0
    burst_seconds: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 1.0
    cost: Annotated[float, msgspec.Meta(gt=0)] = 1.0


def initial(p: Numbers) -> list[float]:
    """A full bucket, of one request at least."""
    return [max(p[RATE] * p[BURST_SECONDS], p[COST]), 0.0]


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Admit who finds a token."""
    now = view[ADMIT_NOW]
    most = max(p[RATE] * p[BURST_SECONDS], p[COST])
    state[TOKENS] = min(most, state[TOKENS] + (now - state[AT]) * p[RATE])
    state[AT] = now
    if state[TOKENS] < p[COST]:
        return 0.0
    state[TOKENS] -= p[COST]
    return 1.0
