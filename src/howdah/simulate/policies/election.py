"""A failover by missed heartbeats: the primary is replaced, which takes capacity for a while.

Watches two: a client whose requests are heartbeats, and the processor that is replaced. When no
heartbeat was answered for `patience` seconds there is an election: no servers for `election`
seconds, then `catching` servers for `catch_up` seconds, then `servers` again. A new primary is not
suspected before `patience` seconds after its election.
Source: ours; the shape of primary elections in replicated databases (heartbeats every 2 s, 10 s of
patience in MongoDB), scaled to seconds.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import (
    MOST_WATCHED,
    TICK_COMPLETIONS,
    TICK_FIRST,
    TICK_NOW,
)

PATIENCE, ELECTION, CATCH_UP, SERVERS, CATCHING = range(5)
SEEN, ANSWERED_AT, BEGAN, ELECTIONS = range(MOST_WATCHED, MOST_WATCHED + 4)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds, and servers."""

    patience: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    election: Annotated[float, msgspec.Meta(gt=0)] = 3.0
    catch_up: Annotated[float, msgspec.Meta(ge=0)] = 4.0
    servers: Annotated[int, msgspec.Meta(ge=1)] = 10
    catching: Annotated[int, msgspec.Meta(ge=0)] = 7


def initial(p: Numbers) -> list[float]:
    """Nothing seen, no election yet."""
    return [0.0] * MOST_WATCHED + [0.0, 0.0, -1e9, 0.0]


def tick(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Sets the servers of the second watched; answers the number of elections."""
    now = view[TICK_NOW]
    answered = view[TICK_FIRST + TICK_COMPLETIONS]
    since = now - state[BEGAN]
    if answered > state[SEEN]:
        state[SEEN] = answered
        state[ANSWERED_AT] = now
    silent = now - max(state[ANSWERED_AT], state[BEGAN] + p[ELECTION])
    if since >= p[ELECTION] and silent >= p[PATIENCE]:
        state[BEGAN] = now
        state[ELECTIONS] += 1.0
        since = 0.0
    if since < p[ELECTION]:
        state[1] = 0.0
    elif since < p[ELECTION] + p[CATCH_UP]:
        state[1] = p[CATCHING]
    else:
        state[1] = p[SERVERS]
    return float(state[ELECTIONS])
