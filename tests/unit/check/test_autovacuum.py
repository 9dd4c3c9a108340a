"""Autovacuum's own arithmetic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.check.knowledge import autovacuum
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.measured import MultixactSample
from tests.making import picture, row
from tests.unit.check.fresh_settings import settings

bases = st.floats(0, 1e9)
scales = st.floats(0, 100)
tuples = st.floats(-1, 1e12)
FRESH = picture(settings=settings())


def table(**given: object) -> Relation:
    return row(Relation, oid=1, schema="public", name="t", kind="r", persistence="p", **given)


@given(bases, scales, tuples, tuples)
def test_the_trigger_grows_with_the_table(base: float, scale: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert autovacuum.trigger(base, scale, low) <= autovacuum.trigger(base, scale, high)


@given(bases, scales, tuples, st.floats(-1, 1e12))
def test_a_cap_never_raises_the_trigger(base: float, scale: float, n: float, cap: float) -> None:
    free, capped = autovacuum.trigger(base, scale, n), autovacuum.trigger(base, scale, n, cap)
    assert capped == (free if cap < 0 else min(free, cap))


@given(bases, scales)
def test_a_table_never_counted_has_the_base_alone(base: float, scale: float) -> None:
    assert autovacuum.trigger(base, scale, -1) == base


@given(st.floats(0, 1e9), scales, tuples, st.floats(0, 1), st.floats(0, 1))
def test_frozen_pages_bring_the_insert_trigger_nearer(
    base: float, scale: float, n: float, a: float, b: float
) -> None:
    low, high = sorted((a, b))
    near = autovacuum.insert_trigger(base, scale, n, low)
    assert near <= autovacuum.insert_trigger(base, scale, n, high)


def test_a_negative_insert_threshold_means_never() -> None:
    assert math.isinf(autovacuum.insert_trigger(-1, 0.2, 1e6))


@given(st.integers(0, 2**32), st.integers(0, 2**32), st.integers(1, 2**31))
def test_more_members_leave_less_patience(a: int, b: int, multixacts: int) -> None:
    low, high = sorted((a, b))
    more, less = (autovacuum.member_limit(multixacts, m, 4e8) for m in (low, high))
    assert 0 <= less <= more <= 4e8


def test_member_limits_at_their_corners() -> None:
    assert autovacuum.member_limit(10**9, 2**31, 4e8) == 4e8
    assert autovacuum.member_limit(10**9, 2**32 - 2**30, 4e8) == 0


def test_the_cap_of_18_holds_for_a_huge_table() -> None:
    huge = table(tuples=1e10)
    assert autovacuum.vacuum_due(FRESH, huge) == 100_000_000
    before_18 = picture(settings=settings(autovacuum_vacuum_max_threshold=None))
    assert autovacuum.vacuum_due(before_18, huge) == pytest.approx(2e9 + 50)


def test_a_tables_own_options_win() -> None:
    own = table(
        tuples=1e10,
        options=("autovacuum_vacuum_max_threshold=-1", "autovacuum_vacuum_scale_factor=0.5"),
    )
    assert autovacuum.vacuum_due(FRESH, own) == pytest.approx(5e9 + 50)


def test_a_table_may_only_shorten_the_servers_patience() -> None:
    for own, limit in (("100000", 1e5), ("2000000000", 2e8)):
        relation = table(xid_age=1, mxid_age=1, options=(f"autovacuum_freeze_max_age={own}",))
        heap = next(autovacuum.heaps(relation))
        assert autovacuum.xid_limit(FRESH, heap) == limit


def test_a_toast_table_follows_its_table_unless_it_has_options() -> None:
    for toast_options, enabled in (((), False), (("autovacuum_vacuum_threshold=9",), True)):
        relation = table(
            options=("autovacuum_enabled=false",),
            xid_age=1,
            mxid_age=1,
            toast_oid=2,
            toast_xid_age=1,
            toast_mxid_age=1,
            toast_options=toast_options,
        )
        main, toast = autovacuum.heaps(relation)
        assert not autovacuum.is_enabled(main.options)
        assert autovacuum.is_enabled(toast.options) is enabled


def test_the_failsafe_is_never_below_the_freeze_limit() -> None:
    low = picture(settings=settings(vacuum_failsafe_age="0"))
    names = ("vacuum_failsafe_age", "autovacuum_freeze_max_age")
    assert autovacuum.failsafe(low, *names) == pytest.approx(2.1e8)
    assert autovacuum.failsafe(FRESH, *names) == 1.6e9


def test_members_running_short_shorten_the_multixact_limit() -> None:
    sample = row(MultixactSample, count=600_000_000, members=2**31 + 2**29)
    short = picture(settings=settings(), multixacts=[sample])
    heap = next(autovacuum.heaps(table(xid_age=1, mxid_age=1)))
    assert autovacuum.mxid_limit(FRESH, heap) == 4e8
    assert autovacuum.mxid_limit(short, heap) == pytest.approx(3e8)
