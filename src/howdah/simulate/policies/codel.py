"""CoDel: drops the oldest, ever faster, while the wait stays above a target.

Source: RFC 8289, target 5 ms, interval 100 ms, drops at `interval / sqrt(count)` (background
knowledge).
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import DEQUEUE_NOW, DEQUEUE_OLDEST, DEQUEUE_WAITING

TARGET, INTERVAL = range(2)
ABOVE, DROPPING, NEXT, COUNT, LAST = range(5)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds."""

    target: Annotated[float, msgspec.Meta(gt=0)] = 0.005
    interval: Annotated[float, msgspec.Meta(gt=0)] = 0.1


def initial(p: Numbers) -> list[float]:
    """Nothing is above the target."""
    return [0.0] * 5


def dequeue(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """0 serve the oldest, 2 drop it."""
    now = view[DEQUEUE_NOW]
    late = _late(state, p, view)
    if state[DROPPING] > 0:
        if not late:
            state[DROPPING] = 0.0
        elif now >= state[NEXT]:
            state[COUNT] += 1.0
            state[NEXT] += p[INTERVAL] / math.sqrt(state[COUNT])
            return 2.0
        return 0.0
    if not late:
        return 0.0
    recent = now - state[NEXT] < 16.0 * p[INTERVAL]
    gained = state[COUNT] - state[LAST]
    state[DROPPING] = 1.0
    state[COUNT] = gained if recent and gained > 1 else 1.0
    state[LAST] = state[COUNT]
    state[NEXT] = now + p[INTERVAL] / math.sqrt(state[COUNT])
    return 2.0


def _late(state: Numbers, p: Numbers, view: Numbers) -> bool:
    """Whether the wait has been above the target for an interval."""
    now = view[DEQUEUE_NOW]
    if view[DEQUEUE_OLDEST] < p[TARGET] or view[DEQUEUE_WAITING] <= 1:
        state[ABOVE] = 0.0
        return False
    if state[ABOVE] == 0:
        state[ABOVE] = now + p[INTERVAL]
        return False
    return now >= state[ABOVE]
