"""The clocks: one tells the truth, one obeys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from howdah.clock import SYSTEM_CLOCK, Clock, FakeClock


def test_system_clock_agrees_with_the_machine() -> None:
    assert abs(SYSTEM_CLOCK.now() - datetime.now(UTC)) < timedelta(seconds=1)
    first = SYSTEM_CLOCK.monotonic()
    SYSTEM_CLOCK.sleep(0.001)
    assert SYSTEM_CLOCK.monotonic() - first >= 0.001
    SYSTEM_CLOCK.sleep(-1)


def test_fake_clock_stands_still() -> None:
    clock: Clock = FakeClock(datetime(2026, 5, 1, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2026, 5, 1, tzinfo=UTC)
    assert clock.monotonic() == clock.monotonic()


@given(st.lists(st.floats(-1e6, 1e6)))
def test_only_sleeping_moves_a_fake_clock(naps: list[float]) -> None:
    clock = FakeClock()
    start = clock.now()
    for nap in naps:
        before = clock.monotonic()
        clock.sleep(nap)
        assert clock.monotonic() >= before
    assert clock.monotonic() == sum(max(0.0, nap) for nap in naps)
    assert clock.now() == start + timedelta(seconds=clock.monotonic())
