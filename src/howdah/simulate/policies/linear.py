"""A slowdown by crowding: each item inside makes a service longer by the same share.

The factor on a service that starts is 1 + `per_item` times the number inside, itself included.
Source: the server of M. Brooker's simulation of collapse (simulator_example, BSD-2): 1 s and
0.01 s for each request in flight.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import SLOWDOWN_INSIDE

PER_ITEM = 0


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of the service time, for each item inside."""

    per_item: Annotated[float, msgspec.Meta(ge=0)] = 0.01


def slowdown(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """1 and the share for each."""
    return 1.0 + p[PER_ITEM] * view[SLOWDOWN_INSIDE]
