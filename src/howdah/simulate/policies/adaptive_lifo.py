"""Facebook's queue: a short timeout and last come, first served, while there is a backlog.

Source: Maurer, "Fail at Scale": if the queue was not empty for N = 100 ms, requests wait at most
M = 5 ms, else N; under backlog the youngest goes first (background knowledge).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import DEQUEUE_BUSY, DEQUEUE_OLDEST

TARGET, INTERVAL, LIFO, DROP = range(4)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds; `lifo` and `drop` switch the two halves on (1) and off (0)."""

    target: Annotated[float, msgspec.Meta(gt=0)] = 0.005
    interval: Annotated[float, msgspec.Meta(gt=0)] = 0.1
    lifo: Annotated[int, msgspec.Meta(ge=0, le=1)] = 1
    drop: Annotated[int, msgspec.Meta(ge=0, le=1)] = 1


def dequeue(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """0 the oldest, 1 the youngest, 2 drop the oldest."""
    backlog = view[DEQUEUE_BUSY] > p[INTERVAL]
    patience = p[TARGET] if backlog else p[INTERVAL]
    if p[DROP] > 0 and view[DEQUEUE_OLDEST] > patience:
        return 2.0
    return 1.0 if backlog and p[LIFO] > 0 else 0.0
