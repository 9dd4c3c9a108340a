"""Finagle's RetryBudget: retries are a share of the requests of the last ten seconds.

Source: Finagle (and Envoy, whose share is the same 20 %): 20 % of requests and 10 retries a second
in reserve, both over 10 s (background knowledge). Kept in ten slots of a tenth of `window`; a retry
is taken from the present slot.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    OBSERVE_ATTEMPT,
    OBSERVE_NOW,
    RETRY_ATTEMPT,
    RETRY_NOW,
)

SHARE, PER_SECOND, WINDOW, MOST, BASE, LONGEST = range(6)
SLOTS = 10
SLOT = SLOTS  # the number of the present slot, counted from the start


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`base`, `longest`: full jitter on a doubling wait; 0 retries at once."""

    share: Annotated[float, msgspec.Meta(ge=0)] = 0.2
    per_second: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    window: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    most: Annotated[int, msgspec.Meta(ge=0)] = 25
    base: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    longest: Annotated[float, msgspec.Meta(ge=0)] = 10.0


def initial(p: Numbers) -> list[float]:
    """Nothing was earned or spent."""
    return [0.0] * (SLOTS + 1)


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """A request (its first attempt) earns its share."""
    if view[OBSERVE_ATTEMPT] == 0:
        _turn(state, p, view[OBSERVE_NOW])
        state[int(state[SLOT]) % SLOTS] += p[SHARE]
    return 0.0


def retry(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Spend one, if there is one."""
    failed = view[RETRY_ATTEMPT]
    _turn(state, p, view[RETRY_NOW])
    balance = p[PER_SECOND] * p[WINDOW]
    for slot in range(SLOTS):
        balance += state[slot]
    if failed >= p[MOST] or balance < 1.0:
        return -1.0
    state[int(state[SLOT]) % SLOTS] -= 1.0
    wait = p[BASE]
    for _ in range(int(failed)):
        wait = min(wait * 2.0, p[LONGEST])
    return u * min(wait, p[LONGEST])


def _turn(state: Numbers, p: Numbers, now: float) -> float:
    """Forget the slots that are over."""
    slot = int(now / (p[WINDOW] / SLOTS))
    passed = slot - int(state[SLOT])
    for step in range(min(passed, SLOTS)):
        state[(slot - step) % SLOTS] = 0.0
    state[SLOT] = slot
    return 0.0
