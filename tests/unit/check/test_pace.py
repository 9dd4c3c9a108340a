"""Rates of ids, and the time that they leave."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.check.knowledge import pace
from howdah.snapshot.facts.counters import CounterSample, Slru
from tests.making import NOW, picture, row


def sample(seconds: float, **given: object) -> CounterSample:
    at = (NOW + timedelta(seconds=seconds)).isoformat()
    return row(CounterSample, at=at, **given)


def test_transaction_ids_per_hour_between_two_samples() -> None:
    seen = picture(counter_samples=[sample(0, next_xid=100), sample(2, next_xid=300)])
    assert pace.xids_per_hour(seen) == 360_000
    assert pace.xids_per_hour(picture(counter_samples=[sample(0, next_xid=100)])) is None


def test_members_grow_by_the_faster_of_now_and_the_window() -> None:
    began = (NOW - timedelta(hours=10)).isoformat()
    slru = row(Slru, name="multixact_member", blocks_zeroed=100, stats_reset=began)
    quiet = [sample(0, member_pages_zeroed=100), sample(2, member_pages_zeroed=100)]
    storm = [sample(0, member_pages_zeroed=100), sample(2, member_pages_zeroed=150)]
    assert pace.members_per_hour(picture(slrus=[slru], counter_samples=quiet)) == 16_360
    assert pace.members_per_hour(picture(slrus=[slru], counter_samples=storm)) == pytest.approx(
        50 * 1636 * 1800
    )
    assert pace.members_per_hour(picture()) is None


def test_multixact_ids_by_pages_of_2048() -> None:
    began = (NOW - timedelta(hours=2)).isoformat()
    slru = row(Slru, name="multixact_offset", blocks_zeroed=4, stats_reset=began)
    assert pace.mxids_per_hour(picture(slrus=[slru])) == 4096
    # The names before 17 are the collector's to translate: a rule that knew them would go silent.
    old = row(Slru, name="MultiXactOffset", blocks_zeroed=4, stats_reset=began)
    assert pace.mxids_per_hour(picture(slrus=[old])) is None


@given(st.floats(0, 1e12), st.floats(0.001, 1e9), st.floats(0.001, 1e9))
def test_a_faster_rate_leaves_less_time(left: float, a: float, b: float) -> None:
    slow, fast = sorted((a, b))
    longer, shorter = pace.hours_until(left, slow), pace.hours_until(left, fast)
    assert longer is not None
    assert shorter is not None
    assert 0 <= shorter <= longer


def test_no_rate_leaves_no_estimate() -> None:
    assert pace.hours_until(1, None) is None
    assert pace.hours_until(1, 0) is None
    assert pace.hours_until(-5, 1) == 0
