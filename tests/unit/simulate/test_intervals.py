"""Intervals against scipy and against their promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from howdah.errors import BadInput
from howdah.simulate.intervals import (
    bootstrap,
    mean,
    ratio_of_growth,
    share,
    student,
    survival,
)

close = pytest.approx


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (3, 10), (10, 10), (60, 64)])
def test_share_is_wilsons(hits: int, of: int) -> None:
    found = share(hits, of)
    expected = stats.binomtest(hits, of).proportion_ci(method="wilson")
    assert (found.low, found.high) == close((expected.low, expected.high), abs=1e-12)
    assert found.holds(hits / of)


@pytest.mark.parametrize("degrees", [1, 2, 7, 19, 500])
def test_student(degrees: int) -> None:
    for confidence in (0.9, 0.95, 0.999):
        expected = stats.t.ppf((1 + confidence) / 2, degrees)
        assert student(degrees, confidence) == close(expected, rel=1e-5)


def test_mean() -> None:
    found = mean([1.0, 2.0, 3.0, 4.0])
    low, high = stats.t.interval(0.95, 3, loc=2.5, scale=stats.sem([1, 2, 3, 4]))
    assert (found.low, found.high) == close((low, high))
    assert math.isinf(mean([1.0]).high)
    with pytest.raises(BadInput):
        mean([])


def test_ratio_of_growth_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        top, bottom = random.exponential(2.0, 2000), random.exponential(4.0, 2000)
        held += ratio_of_growth(np.cumsum(top), np.cumsum(bottom)).holds(0.5)
    assert 0.9 <= held / 200 <= 0.99
    nothing = ratio_of_growth(np.zeros(100), np.zeros(100))
    assert math.isnan(nothing.value)


def test_bootstrap_is_the_same_each_time() -> None:
    values = np.random.default_rng(3).normal(5, 1, 100)
    first = bootstrap(values, lambda x: float(np.median(x)))
    assert first == bootstrap(values, lambda x: float(np.median(x)))
    assert first.low < first.value < first.high


def test_survival() -> None:
    found = survival([10.0, 20.0, None, 20.0, None], 100.0)
    assert found.times == (0.0, 10.0, 20.0)
    assert found.alive == close((1.0, 0.8, 0.4))
    assert found.median == 20.0
    assert found.censored == 2
    assert found.low[2] < 0.4 < found.high[2]
    assert survival([None, None, 5.0], 100.0).median is None
    # Who was lost early is no longer at risk: Kaplan and Meier's own example of censoring.
    lost = survival([None, 20.0], [10.0, 100.0])
    assert lost.alive == close((1.0, 0.0))
