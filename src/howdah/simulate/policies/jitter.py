"""Backoff with jitter: full, equal or decorrelated.

Source: Brooker, "Exponential Backoff And Jitter" (background knowledge): full is
`u * min(longest, base * 2^n)`; equal is half of that bound and a random half; decorrelated is
between `base` and three times the last wait, at most `longest`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import RETRY_ATTEMPT, RETRY_LAST

KIND, BASE, LONGEST, MOST = range(4)
FULL, EQUAL, DECORRELATED, NONE = range(4)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds; `most` retries."""

    kind: Literal["full", "equal", "decorrelated", "none"] = "full"
    base: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    longest: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    most: Annotated[int, msgspec.Meta(ge=0)] = 3


def retry(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Wait by the kind."""
    failed = view[RETRY_ATTEMPT]
    if failed >= p[MOST]:
        return -1.0
    if p[KIND] == DECORRELATED:
        last = max(view[RETRY_LAST], p[BASE])
        return min(p[LONGEST], p[BASE] + u * (last * 3.0 - p[BASE]))
    bound = min(p[BASE], p[LONGEST])
    for _ in range(int(failed)):
        bound = min(bound * 2.0, p[LONGEST])
    if p[KIND] == EQUAL:
        return bound / 2.0 + u * (bound / 2.0)
    return bound if p[KIND] == NONE else u * bound
