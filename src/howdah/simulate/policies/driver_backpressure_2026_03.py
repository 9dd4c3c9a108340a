"""MongoDB drivers' client backpressure as it stands: two retries, no token bucket.

Source: mongodb/specifications, client-backpressure.md, from 2026-03-30 ("phase 1 without token
buckets"), formula of 2026-07-08: MAX_RETRIES 2 (`maxAdaptiveRetries`); backoff
`rand * min(10 s, 100 ms * 2^attempt)`, where we read the attempt as counted from 1 at the first
retry; a server may send its own base (`baseBackoffMS`). Only overload errors (rejections) are
retried, not timeouts.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from howdah.simulate.policies.policy import Numbers
from howdah.simulate.policies.views import REJECTED, RETRY_ASKED, RETRY_ATTEMPT, RETRY_REASON

RETRIES, BASE, LONGEST = range(3)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults from the specification; seconds."""

    retries: Annotated[int, msgspec.Meta(ge=0)] = 2
    base: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    longest: Annotated[float, msgspec.Meta(ge=0)] = 10.0


def retry(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """Wait a random part of a doubling time."""
    failed = view[RETRY_ATTEMPT]
    if view[RETRY_REASON] != REJECTED or failed >= p[RETRIES]:
        return -1.0
    wait = view[RETRY_ASKED] if view[RETRY_ASKED] > 0 else p[BASE]
    for _ in range(int(failed) + 1):
        wait = min(wait * 2.0, p[LONGEST])
    return u * min(wait, p[LONGEST])
