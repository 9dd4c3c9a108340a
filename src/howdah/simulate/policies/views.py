"""What each hook is told, by index: the names of the columns of a `view`.

Owns the names only; their meaning is written in `semantics.md`, under Policies. Must never differ
from it.
"""

from __future__ import annotations

from typing import Final

NEVER: Final = 1e9  # seconds: no deadline, no timeout
OK: Final = 0  # outcomes and reasons
TIMED_OUT: Final = 1
REJECTED: Final = 2
MOST_WATCHED: Final = 8  # limits that a `tick` may set: state[0..8)

ADMIT_NOW: Final = 0
ADMIT_GROUP: Final = 1
ADMIT_ATTEMPT: Final = 2
ADMIT_BAND: Final = 3
ADMIT_DEADLINE: Final = 4
ADMIT_INFLIGHT: Final = 5
ADMIT_AWAITED: Final = 6

OBSERVE_NOW: Final = 0
OBSERVE_LATENCY: Final = 1
OBSERVE_OUTCOME: Final = 2
OBSERVE_GROUP: Final = 3
OBSERVE_ATTEMPT: Final = 4
OBSERVE_INFLIGHT: Final = 5
OBSERVE_AWAITED: Final = 6

# Of the watched element, in `admit` and `observe`.
WATCHED_WAITING: Final = 7
WATCHED_INSIDE: Final = 8
WATCHED_LIMIT: Final = 9
WATCHED_ENTERED: Final = 10
WATCHED_LEFT: Final = 11
WATCHED_STARTED: Final = 12
WATCHED_WAIT_SUM: Final = 13

TICK_NOW: Final = 0
TICK_COUNT: Final = 1
TICK_FIRST: Final = 2  # then ten for each watched element:
TICK_STRIDE: Final = 10
TICK_LIMIT: Final = 0
TICK_USED: Final = 1
TICK_PEAK: Final = 2
TICK_RELEASES: Final = 3
TICK_WAITING: Final = 4
TICK_ENTERED: Final = 5
TICK_LEFT: Final = 6
TICK_WAIT_SUM: Final = 7
TICK_STARTED: Final = 8
TICK_COMPLETIONS: Final = 9

RETRY_NOW: Final = 0
RETRY_ATTEMPT: Final = 1
RETRY_REASON: Final = 2
RETRY_GROUP: Final = 3
RETRY_ASKED: Final = 4
RETRY_DEADLINE: Final = 5
RETRY_LAST: Final = 6

ROUTE_NOW: Final = 0
ROUTE_GROUP: Final = 1
ROUTE_ATTEMPT: Final = 2
ROUTE_COUNT: Final = 3
ROUTE_TAKEN: Final = 4
ROUTE_FIRST: Final = 5  # then (inside, inflight) of each target

SLOWDOWN_NOW: Final = 0
SLOWDOWN_INSIDE: Final = 1
SLOWDOWN_IN_SERVICE: Final = 2
SLOWDOWN_WAITING: Final = 3

DEQUEUE_NOW: Final = 0
DEQUEUE_WAITING: Final = 1
DEQUEUE_OLDEST: Final = 2
DEQUEUE_YOUNGEST: Final = 3
DEQUEUE_BUSY: Final = 4
DEQUEUE_PATIENCE: Final = 5
DEQUEUE_IN_SERVICE: Final = 6
