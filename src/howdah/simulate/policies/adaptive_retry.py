"""Brooker's adaptive retries: a small bucket of tokens, or a breaker on the local failure rate.

Source: Brooker, "Fixing retries with token buckets and circuit breakers", and its simulation: a
bucket of 5 tokens, 0.1 earned by each call, 1 spent by each retry; or no retries while more than
10 % of the calls fail (read in source). The rate is averaged over about `calls` attempts (ours).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    OBSERVE_ATTEMPT,
    OBSERVE_OUTCOME,
    OK,
    RETRY_ATTEMPT,
)

SCHEME, CAPACITY, DEPOSIT, FAILURES, CALLS, MOST, BASE, LONGEST = range(8)
TOKENS, RATE = range(2)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`base`, `longest`: full jitter on a doubling wait; 0 retries at once."""

    scheme: Literal["bucket", "breaker"] = "bucket"
    capacity: Annotated[float, msgspec.Meta(ge=0)] = 5.0
    deposit: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    failures: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    calls: Annotated[float, msgspec.Meta(ge=1)] = 100.0
    most: Annotated[int, msgspec.Meta(ge=0)] = 3
    base: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    longest: Annotated[float, msgspec.Meta(ge=0)] = 10.0


def initial(p: Numbers) -> list[float]:
    """A full bucket; nothing has failed."""
    return [p[CAPACITY], 0.0]


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """A call earns; its outcome moves the failure rate."""
    if view[OBSERVE_ATTEMPT] == 0:
        state[TOKENS] = min(p[CAPACITY], state[TOKENS] + p[DEPOSIT])
    failed = 0.0 if view[OBSERVE_OUTCOME] == OK else 1.0
    state[RATE] += (failed - state[RATE]) / p[CALLS]
    return 0.0


def retry(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Spend a token, or look at the rate."""
    failed = view[RETRY_ATTEMPT]
    if failed >= p[MOST]:
        return -1.0
    if p[SCHEME] > 0:
        if state[RATE] > p[FAILURES]:
            return -1.0
    elif state[TOKENS] < 1.0:
        return -1.0
    else:
        state[TOKENS] -= 1.0
    wait = p[BASE]
    for _ in range(int(failed)):
        wait = min(wait * 2.0, p[LONGEST])
    return u * min(wait, p[LONGEST])
