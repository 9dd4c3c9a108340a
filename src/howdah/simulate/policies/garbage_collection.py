"""A slowdown by garbage collection: jobs hold memory, and a fuller heap is collected more often.

A job needs `hold` seconds, and `cost + crowding live / (heap - live)` seconds of the one
processor, where live = jobs in service times `job`; with n jobs in service the processor gives
each a turn after n of those. Tracing collectors work in proportion to live memory, as often as
free memory is filled: hence live / free.
Source: the mechanism of L. Huang et al., OSDI 2022, section 5.1; constants are the scenario's.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import SLOWDOWN_IN_SERVICE

HEAP, JOB, HOLD, COST, CROWDING = range(5)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Megabytes and seconds."""

    heap: Annotated[float, msgspec.Meta(gt=0)] = 256.0
    job: Annotated[float, msgspec.Meta(gt=0)] = 1.8
    hold: Annotated[float, msgspec.Meta(gt=0)] = 0.1
    cost: Annotated[float, msgspec.Meta(ge=0)] = 0.0032
    crowding: Annotated[float, msgspec.Meta(ge=0)] = 0.00153


def slowdown(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """The factor on `hold`."""
    busy = view[SLOWDOWN_IN_SERVICE]
    live = busy * p[JOB]
    free = max(p[HEAP] - live, 0.01 * p[HEAP])
    return max(1.0, busy * (p[COST] + p[CROWDING] * live / free) / p[HOLD])
