"""Random histories with a crash at any append: nothing lost, order kept, limits never exceeded."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from howdah.queue.policy import Allowance, Backoff, KindPolicy, Limit, QueuePolicy, Rate
from tests.unit.queue.history import History

QUICK = Backoff(base_seconds=1.0, max_seconds=4.0)
POLICIES = {
    "block": QueuePolicy(
        default=KindPolicy(max_attempts=3, backoff=QUICK), loaded_max=20, park_after_seconds=1.5
    ),
    "park": QueuePolicy(
        default=KindPolicy(max_attempts=3, backoff=QUICK, on_failure="park"), park_after_seconds=0
    ),
    "skip": QueuePolicy(default=KindPolicy(max_attempts=3, backoff=QUICK, on_failure="skip")),
    "a small log": QueuePolicy(
        default=KindPolicy(max_attempts=3, backoff=QUICK),
        kinds={"odd": KindPolicy(max_attempts=2, backoff=QUICK, on_failure="park")},
        limits=(Limit(name="all", allow=Allowance(concurrency=3)),),
        pinned_max=4,
    ),
    "mixed with limits": QueuePolicy(
        default=KindPolicy(max_attempts=4, backoff=QUICK),
        kinds={"odd": KindPolicy(max_attempts=2, backoff=QUICK, on_failure="skip")},
        limits=(
            Limit(name="all", allow=Allowance(concurrency=5)),
            Limit(
                name="slow", by="kind", kinds=frozenset({"slow"}), allow=Allowance(concurrency=2)
            ),
            Limit(name="tenant", by="tenant", allow=Allowance(concurrency=3)),
        ),
        weights={"x": 3.0},
    ),
    "rates": QueuePolicy(
        default=KindPolicy(max_attempts=3, backoff=QUICK, batch_max=2),
        limits=(
            Limit(name="all", allow=Allowance(rate=Rate(count=6, seconds=4, form="window"))),
            Limit(name="kind", by="kind", allow=Allowance(rate=Rate(count=3, seconds=4))),
            Limit(
                name="key",
                by="key",
                allow=Allowance(rate=Rate(count=1, seconds=5, form="window")),
            ),
        ),
    ),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())
@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_no_crash_loses_or_doubles_anything(policy: QueuePolicy, seed: int) -> None:
    history = History(policy, Random(seed))
    for _ in range(120):
        history.act()
    history.drain()
