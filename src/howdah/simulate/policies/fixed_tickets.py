"""MongoDB's `fixedConcurrentTransactions`: as many tickets as it was told, whatever happens.

Source: mongodb/mongo, src/mongo/db/admission/execution_control at 21751b24: setting the parameters
of concurrent transactions at startup switches probing off. The control beside every prober.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import MOST_WATCHED, TICK_COUNT

TICKETS = 0


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`tickets` of each watched pool; 128 was MongoDB's fixed number before probing (background
    knowledge)."""

    tickets: Annotated[int, msgspec.Meta(ge=0)] = 128


def initial(p: Numbers) -> list[float]:
    """Nothing but the limits."""
    return [0.0] * MOST_WATCHED


def tick(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Say it again."""
    for pool in range(int(view[TICK_COUNT])):
        state[pool] = p[TICKETS]
    return 0.0
