"""Limits against a brute-force model: never one too many, and never idle without reason."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.errors import BadInput
from howdah.queue.limits import WINDOW_SLICES, Limits, SlidingWindow, TokenBucket
from howdah.queue.model import Job
from howdah.queue.policy import Allowance, Limit, Rate

WAITS = st.lists(
    st.tuples(st.floats(0, 3) | st.sampled_from([0.0, 1.0, 0.001]), st.integers(1, 6)), max_size=60
)


def starts(meter: TokenBucket | SlidingWindow, waits: list[tuple[float, int]]) -> list[float]:
    """Ask for a number after each wait; the time of every start."""
    now, found = 1_000.0, []
    for wait, wanted in waits:
        now += wait
        count = min(wanted, meter.room(now))
        if count:
            meter.spend(count, now)
        found += [now] * count
    return found


def worst(times: list[float], seconds: float) -> int:
    """The most starts in any closed span of that length."""
    return max((sum(t <= u <= t + seconds for u in times) for t in times), default=0)


@given(waits=WAITS, count=st.integers(1, 8), seconds=st.floats(0.1, 5))
def test_a_sliding_window_is_never_exceeded(
    waits: list[tuple[float, int]], count: int, seconds: float
) -> None:
    meter = SlidingWindow(Rate(count=count, seconds=seconds, form="window"))
    # The span is open at one end by less than rounding can show at these times.
    assert worst(starts(meter, waits), seconds - 1e-9) <= count


@given(
    waits=WAITS,
    count=st.integers(1, 8),
    seconds=st.floats(0.1, 5),
    burst=st.none() | st.integers(1, 9),
)
def test_a_token_bucket_is_never_exceeded(
    waits: list[tuple[float, int]], count: int, seconds: float, burst: int | None
) -> None:
    times = starts(TokenBucket(Rate(count=count, seconds=seconds, burst=burst)), waits)
    for i, begin in enumerate(times):
        for j, end in enumerate(times[i:], start=i):
            allowed = (burst or count) + (end - begin) * count / seconds
            assert j - i + 1 <= allowed + 1e-6


@pytest.mark.parametrize("form", ["bucket", "window"])
def test_a_greedy_taker_gets_the_whole_rate(form: str) -> None:
    rate = Rate(count=10, seconds=1.0, form=form)  # type: ignore[arg-type] # parametrised text
    meter = TokenBucket(rate) if form == "bucket" else SlidingWindow(rate)
    times = starts(meter, [(0.001, 10)] * 60_000)
    assert len(times) >= 60 * 10 / (1 + 1.1 / WINDOW_SLICES)


@pytest.mark.parametrize("form", ["bucket", "window"])
@given(waits=WAITS)
def test_it_says_when_one_is_free(form: str, waits: list[tuple[float, int]]) -> None:
    rate = Rate(count=3, seconds=2.0, form=form)  # type: ignore[arg-type] # parametrised text
    meter = TokenBucket(rate) if form == "bucket" else SlidingWindow(rate)
    now = (starts(meter, waits) or [1_000.0])[-1]
    free = meter.free_at(now)
    assert free >= now
    assert meter.room(free) >= 1


@pytest.mark.parametrize("form", ["bucket", "window"])
@given(waits=WAITS, cut=st.integers(0, 60))
def test_a_restored_meter_goes_on_counting(
    form: str, waits: list[tuple[float, int]], cut: int
) -> None:
    rate = Rate(count=4, seconds=2.0, form=form)  # type: ignore[arg-type] # parametrised text
    whole = TokenBucket(rate) if form == "bucket" else SlidingWindow(rate)
    parts = TokenBucket(rate) if form == "bucket" else SlidingWindow(rate)
    now = 1_000.0
    for number, (wait, wanted) in enumerate(waits):
        now += wait
        if number == cut and parts.state() and parts.state()[0][1] != -inf:
            state, parts = parts.state(), type(parts)(rate)
            parts.restore(state)
        count = min(wanted, whole.room(now))
        assert min(wanted, parts.room(now)) == count
        whole.spend(count, now)
        parts.spend(count, now)


LIMITS = (
    Limit(name="all", allow=Allowance(concurrency=6)),
    Limit(name="kinds", by="kind", allow=Allowance(concurrency=4)),
    Limit(
        name="tenants",
        by="tenant",
        kinds=frozenset({"k1"}),
        allow=Allowance(concurrency=2),
        overrides={"big": Allowance(concurrency=3)},
    ),
    Limit(name="both", by="kind_tenant", allow=Allowance(concurrency=3)),
)


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.sampled_from(["k1", "k2"]), st.sampled_from(["", "big", "small"])
        ),
        max_size=80,
    )
)
def test_concurrency_is_that_of_a_naive_count(events: list[tuple[bool, str, str]]) -> None:
    limits = Limits(LIMITS)
    running: list[tuple[str, str]] = []
    for start, kind, tenant in events:
        naive = min(
            6 - len(running),
            4 - sum(k == kind for k, _ in running),
            3 - sum((k, t) == (kind, tenant) for k, t in running),
            (3 if tenant == "big" else 2) - sum((k, t) == ("k1", tenant) for k, t in running)
            if kind == "k1"
            else 99,
        )
        room = limits.room(kind, tenant, 0.0)
        assert room == max(0, naive)
        if start and room:
            limits.take(kind, tenant, 1, 0.0)
            running.append((kind, tenant))
        elif not start and (kind, tenant) in running:
            running.remove((kind, tenant))
            limits.give_back(kind, tenant)


def test_rates_travel_by_name() -> None:
    rated = Limit(name="api", by="tenant", allow=Allowance(rate=Rate(count=2, seconds=10)))
    limits = Limits([rated])
    limits.take("k", "acme", 2, 100.0)
    changes = limits.changes()
    assert list(changes) == ["api:acme"]
    assert limits.changes() == {}
    later = Limits([rated])
    later.restore([{"api:acme": ((2.0, 90.0),)}, changes, {"gone:x": ((1.0, 2.0),)}])
    assert later.room("k", "acme", 101.0) == 0
    assert later.room("k", "other", 101.0) == 2
    assert limits.states(101.0).keys() == {"api:acme"}
    assert limits.states(200.0) == {}


@pytest.mark.parametrize("forms", [("bucket", "window"), ("window", "bucket")])
def test_a_rate_that_changed_its_form_starts_with_nothing_left(forms: tuple[str, str]) -> None:
    """What is left of the one says nothing of the other: rather too few than too many."""
    before, after = (
        Limits([Limit(name="r", allow=Allowance(rate=Rate(count=2, seconds=10, form=form)))])  # type: ignore[arg-type] # parametrised
        for form in forms
    )
    before.take("k", "", 1, 100.0)
    after.restore([before.changes()])
    assert after.room("k", "", 100.0) == 0
    assert after.room("k", "", 111.0) >= 1
    assert after.room("k", "", 125.0) == 2


def test_the_rate_of_a_key() -> None:
    limits = Limits([Limit(name="k", by="key", allow=Allowance(rate=Rate(count=1, seconds=5)))])
    job = Job(1, 0, "(0,1)", 1, "k", 0.0, key="a")
    assert limits.key_free_at(job, 100.0) <= 100.0
    limits.take_key(job, 100.0)
    assert limits.key_free_at(job, 100.0) == pytest.approx(105.0)
    assert limits.width("a") == 1


def test_what_limits_nothing_is_refused() -> None:
    with pytest.raises(BadInput):
        Limit(name="none", allow=Allowance())
    with pytest.raises(BadInput):
        Limit(name="k", by="key", kinds=frozenset({"x"}), allow=Allowance(concurrency=2))
