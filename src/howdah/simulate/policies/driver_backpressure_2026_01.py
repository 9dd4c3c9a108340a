"""MongoDB drivers' client backpressure as first published (2026-01-09): with a token bucket.

Source: mongodb/specifications, client-backpressure.md, its version of 2026-01-09: at most 5
attempts; a bucket of 1000 tokens, a retry costs 1, a success deposits 0.1 and 1 more if it was a
retry, a retry that fails with another error than overload deposits 1; backoff
`rand * min(10 s, 100 ms * 2^(i - 1))` before the i-th retry. Only overload errors (rejections) are
retried, not timeouts.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    OBSERVE_ATTEMPT,
    OBSERVE_OUTCOME,
    OK,
    REJECTED,
    RETRY_ATTEMPT,
    RETRY_REASON,
    TIMED_OUT,
)

ATTEMPTS, CAPACITY, COST, DEPOSIT, BASE, LONGEST = range(6)
TOKENS = 0


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults from the specification; seconds and tokens."""

    attempts: Annotated[int, msgspec.Meta(ge=1)] = 5
    capacity: Annotated[float, msgspec.Meta(ge=0)] = 1000.0
    cost: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    deposit: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    base: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    longest: Annotated[float, msgspec.Meta(ge=0)] = 10.0


def initial(p: Numbers) -> list[float]:
    """A full bucket."""
    return [p[CAPACITY]]


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Deposits."""
    again = view[OBSERVE_ATTEMPT] > 0
    deposit = 0.0
    if view[OBSERVE_OUTCOME] == OK:
        deposit = p[DEPOSIT] + (p[COST] if again else 0.0)
    elif view[OBSERVE_OUTCOME] == TIMED_OUT and again:
        deposit = p[COST]
    state[TOKENS] = min(p[CAPACITY], state[TOKENS] + deposit)
    return 0.0


def retry(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Wait a random part of a doubling time, if there is a token."""
    failed = view[RETRY_ATTEMPT]
    if view[RETRY_REASON] != REJECTED or failed + 1 >= p[ATTEMPTS] or state[TOKENS] < p[COST]:
        return -1.0
    state[TOKENS] -= p[COST]
    wait = p[BASE]
    for _ in range(int(failed)):
        wait = min(wait * 2.0, p[LONGEST])
    return u * min(wait, p[LONGEST])
