"""A gate for what its client still waits for: `admit` while `spare` seconds are left.

For work that is only worth doing for a client that is there, as a look-aside cache is filled by
the client itself. Without a deadline everybody passes.
Source: ours; deadline propagation as gRPC and Finagle do it.
"""

from __future__ import annotations

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import ADMIT_DEADLINE


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds."""

    spare: float = 0.0


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """1 while there is time left."""
    return 1.0 if view[ADMIT_DEADLINE] > p[0] else 0.0
