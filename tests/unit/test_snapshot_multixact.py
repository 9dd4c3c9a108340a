"""Estimating members: where to look, and how sure one is."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from howdah.snapshot.multixact import STRATA, all_ids, estimate, ids_of_round

TOP = 2**32


@given(oldest=st.integers(1, TOP - 1), count=st.integers(1, 2**31))
def test_one_id_of_each_stratum_within_the_range(oldest: int, count: int) -> None:
    ids = ids_of_round(oldest, count, randomness=random.Random(1))
    assert len(ids) == min(count, STRATA)
    assert all(0 < each < TOP and (each - oldest) % TOP <= count for each in ids)


def test_ids_wrap_and_never_are_zero() -> None:
    assert all_ids(TOP - 2, 4) == (1, TOP - 2, TOP - 1)


def test_estimate_of_equal_members_is_sure() -> None:
    found = estimate([[7] * STRATA, [7] * STRATA])
    assert (found.mean, found.standard_error, found.sampled) == (7, 0, 2 * STRATA)


def test_one_round_is_not_sure_of_anything() -> None:
    assert estimate([[2] * STRATA]).standard_error == math.inf
    assert estimate([]).sampled == 0


@given(st.integers(0, 10_000))
def test_estimate_of_a_drifting_mixture_is_within_two_percent(seed: int) -> None:
    randomness = random.Random(seed)
    count = 100_000
    members = [2 + (i * 30 // count) + (i % 7) for i in range(count)]
    rounds: list[list[int]] = []
    while len(rounds) < 2 or estimate(rounds).standard_error >= 0.005:
        ids = ids_of_round(1, count, randomness=randomness)
        rounds.append([members[each - 1] for each in ids])
    truth = sum(members) / count
    assert abs(estimate(rounds).mean - truth) < 0.02 * truth
