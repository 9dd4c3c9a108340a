"""MongoDB's heuristic deprioritisation: an operation that came back often goes to the low pool.

Source: mongodb/mongo, src/mongo/db/admission/execution_control at 21751b24. A Choice between the
normal pool (the first target) and the low one (the second): after `admissions` tickets an
operation counts as long. The low pool is fixed (as many tickets as cores) and ordered by fewest
admissions: `Pool(order="fewest")`. In the shipped server the gate of all this is off by default.
Multi-document transactions and exempt operations are never deprioritised: `exempt` names a group.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import ROUTE_GROUP, ROUTE_TAKEN

ADMISSIONS, EXEMPT, ENABLED = range(3)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults from executionControlHeuristicNumAdmissionsDeprioritizeThreshold."""

    admissions: Annotated[int, msgspec.Meta(ge=0)] = 3
    exempt: Annotated[int, msgspec.Meta(ge=-1, le=63)] = -1  # -1: nobody
    enabled: Annotated[int, msgspec.Meta(ge=0, le=1)] = 1  # executionControlDeprioritizationGate


def route(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """0 the normal pool, 1 the low one."""
    if p[ENABLED] < 1 or view[ROUTE_GROUP] == p[EXEMPT]:
        return 0.0
    return 1.0 if view[ROUTE_TAKEN] >= p[ADMISSIONS] else 0.0
