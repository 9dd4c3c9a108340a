"""WeChat's DAGOR: sheds the least important requests first, by the mean queueing time.

Source: Zhou and others, "Overload Control for Scaling WeChat Microservices": overload is a mean
queueing time above 20 ms (read in an excerpt); windows of 1 s or 2000 requests, alpha 5 %, beta 1 %
and the histogram of levels are background knowledge. The business priority is the client's `band`
(0 to 7), the user's one of 16 by the draw of the item: a retry draws another user, unlike there.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    ADMIT_BAND,
    ADMIT_NOW,
    WATCHED_STARTED,
    WATCHED_WAIT_SUM,
)

THRESHOLD, SECONDS, REQUESTS, ALPHA, BETA = range(5)
BANDS, USERS = 8, 16
LEVELS = BANDS * USERS
# Arrivals of each level in this window, then:
CURSOR, ADMITTED, SEEN, ENDS, WAITS, STARTED = range(LEVELS, LEVELS + 6)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults from the paper; seconds, requests, shares."""

    threshold: Annotated[float, msgspec.Meta(gt=0)] = 0.020
    seconds: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    requests: Annotated[int, msgspec.Meta(ge=1)] = 2000
    alpha: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05
    beta: Annotated[float, msgspec.Meta(gt=0)] = 0.01


def initial(p: Numbers) -> list[float]:
    """Everybody is admitted."""
    return [*[0.0] * LEVELS, LEVELS - 1.0, 0.0, 0.0, p[SECONDS], 0.0, 0.0]


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Admit levels up to the cursor."""
    if view[ADMIT_NOW] >= state[ENDS] or state[SEEN] >= p[REQUESTS]:
        _window(state, p, view)
    level = min(int(view[ADMIT_BAND]), BANDS - 1) * USERS + int(u * USERS)
    state[level] += 1.0
    state[SEEN] += 1.0
    if level > state[CURSOR]:
        return 0.0
    state[ADMITTED] += 1.0
    return 1.0


def _window(state: Numbers, p: Numbers, view: Numbers) -> float:
    """Move the cursor so that a few fewer, or a few more, would have been admitted."""
    waits = view[WATCHED_WAIT_SUM] - state[WAITS]
    started = view[WATCHED_STARTED] - state[STARTED]
    expected = state[ADMITTED]
    cursor = int(state[CURSOR])
    if waits > p[THRESHOLD] * started:
        wanted = (1.0 - p[ALPHA]) * expected
        while expected > wanted and cursor > 0:
            expected -= state[cursor]
            cursor -= 1
    else:
        wanted = (1.0 + p[BETA]) * expected
        while expected <= wanted and cursor < LEVELS - 1:
            cursor += 1
            expected += state[cursor]
    for level in range(LEVELS):
        state[level] = 0.0
    state[CURSOR] = cursor
    state[ADMITTED] = 0.0
    state[SEEN] = 0.0
    state[ENDS] = view[ADMIT_NOW] + p[SECONDS]
    state[WAITS] = view[WATCHED_WAIT_SUM]
    state[STARTED] = view[WATCHED_STARTED]
    return 0.0
