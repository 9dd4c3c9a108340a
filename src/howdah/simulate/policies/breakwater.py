"""Breakwater: credits by the queueing delay, and a queue kept short by refusing.

Source: Cho and others, "Overload Control for us-scale RPCs with Breakwater": credits and active
queue management on the queueing delay (read in notes); additive step alpha 0.1 % of the clients,
multiplicative beta 2 %, at most halving, refusal at twice the target are background knowledge. Here
the credits are the requests in flight through the gate, adjusted once in `period`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    ADMIT_INFLIGHT,
    ADMIT_NOW,
    WATCHED_STARTED,
    WATCHED_WAIT_SUM,
    WATCHED_WAITING,
)

TARGET, PERIOD, START, MAXIMUM, CLIENTS, ALPHA, BETA, REFUSE = range(8)
CREDITS, NEXT, DELAY, WAITS, STARTED = range(5)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`target`: of the mean queueing delay, seconds; `period`: a round trip."""

    target: Annotated[float, msgspec.Meta(gt=0)] = 0.001
    period: Annotated[float, msgspec.Meta(gt=0)] = 0.001
    start: Annotated[float, msgspec.Meta(ge=1)] = 16.0
    maximum: Annotated[float, msgspec.Meta(ge=1)] = 100000.0
    clients: Annotated[float, msgspec.Meta(ge=1)] = 1000.0
    alpha: Annotated[float, msgspec.Meta(gt=0)] = 0.001
    beta: Annotated[float, msgspec.Meta(gt=0)] = 0.02
    refuse: Annotated[float, msgspec.Meta(ge=1)] = 2.0  # times the target


def initial(p: Numbers) -> list[float]:
    """The first credits."""
    return [p[START], p[PERIOD], 0.0, 0.0, 0.0]


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Admit who has a credit, unless the queue is too slow already."""
    if view[ADMIT_NOW] >= state[NEXT]:
        _adjust(state, p, view)
    if state[DELAY] > p[REFUSE] * p[TARGET]:
        return 0.0
    return 1.0 if view[ADMIT_INFLIGHT] < state[CREDITS] else 0.0


def _adjust(state: Numbers, p: Numbers, view: Numbers) -> float:
    """More credits below the target, fewer above; nobody served while some wait is slow too."""
    waits = view[WATCHED_WAIT_SUM] - state[WAITS]
    started = view[WATCHED_STARTED] - state[STARTED]
    delay = 0.0
    if started > 0:
        delay = waits / started
    elif view[WATCHED_WAITING] > 0:
        delay = view[ADMIT_NOW] - state[NEXT] + p[PERIOD]
    if delay < p[TARGET]:
        state[CREDITS] += max(p[ALPHA] * p[CLIENTS], 1.0)
    else:
        state[CREDITS] *= max(1.0 - p[BETA] * (delay / p[TARGET] - 1.0), 0.5)
    state[CREDITS] = max(1.0, min(state[CREDITS], p[MAXIMUM]))
    state[DELAY] = delay
    state[NEXT] = view[ADMIT_NOW] + p[PERIOD]
    state[WAITS] = view[WATCHED_WAIT_SUM]
    state[STARTED] = view[WATCHED_STARTED]
    return 0.0
