"""Admission control by latency: refuses a growing share while requests are slow.

Source: the published description of MESSI's second finding (a fraction of everything is rejected
on elevated latency); no constants are public. The defaults are those with which its interference
with execution control was reproduced here: drop more by `up` a second while the mean of the signal
is above `threshold`, less by `down` a second otherwise.

`signal`: the latency of attempts that passed and were answered or given up, or the mean wait at the
watched element. `classes = "each"` keeps a share for every group (0 to 7) by its own latency;
"blind" lumps them together, as published. A wait at an element has no class.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    ADMIT_GROUP,
    ADMIT_NOW,
    OBSERVE_GROUP,
    OBSERVE_LATENCY,
    OBSERVE_NOW,
    WATCHED_STARTED,
    WATCHED_WAIT_SUM,
)

THRESHOLD, UP, DOWN, PERIOD, MOST, SIGNAL, CLASSES = range(7)
GROUPS = 8
DROP, SUM, COUNT = 0, GROUPS, 2 * GROUPS  # one for each group
NEXT, WAITS, STARTED = range(3 * GROUPS, 3 * GROUPS + 3)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ours, not published: see the module. Times in seconds, shares a second."""

    threshold: Annotated[float, msgspec.Meta(gt=0)] = 0.005
    up: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    down: Annotated[float, msgspec.Meta(ge=0)] = 0.02
    period: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    most: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.95  # never refuses everybody
    signal: Literal["latency", "wait"] = "latency"
    classes: Literal["blind", "each"] = "blind"


def initial(p: Numbers) -> list[float]:
    """Nobody is refused; the first look comes after one period."""
    return [*[0.0] * NEXT, p[PERIOD], 0.0, 0.0]


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Refuse the share of this group."""
    _adjust(state, p, view, view[ADMIT_NOW])
    group = min(int(view[ADMIT_GROUP]), GROUPS - 1) if p[CLASSES] > 0 else 0
    return 0.0 if u < state[DROP + group] else 1.0


def observe(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Remember a latency."""
    _adjust(state, p, view, view[OBSERVE_NOW])
    group = min(int(view[OBSERVE_GROUP]), GROUPS - 1) if p[CLASSES] > 0 else 0
    state[SUM + group] += view[OBSERVE_LATENCY]
    state[COUNT + group] += 1.0
    return 0.0


def _adjust(state: Numbers, p: Numbers, view: Numbers, now: float) -> float:
    """At the end of a period: compare the mean with the threshold, for every group."""
    if now < state[NEXT]:
        return 0.0
    state[NEXT] = now + p[PERIOD]
    waits = view[WATCHED_WAIT_SUM] - state[WAITS]
    started = view[WATCHED_STARTED] - state[STARTED]
    state[WAITS] = view[WATCHED_WAIT_SUM]
    state[STARTED] = view[WATCHED_STARTED]
    for group in range(GROUPS):
        total, count = state[SUM + group], state[COUNT + group]
        if p[SIGNAL] > 0:
            total, count = waits, started
        slow = count > 0 and total > p[THRESHOLD] * count
        change = p[UP] * p[PERIOD] if slow else -p[DOWN] * p[PERIOD]
        state[DROP + group] = max(0.0, min(state[DROP + group] + change, p[MOST]))
        state[SUM + group] = 0.0
        state[COUNT + group] = 0.0
    return 0.0
