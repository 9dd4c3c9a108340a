"""The numbers of both engines: fixed values, accuracy against independent sources, bounds."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from howdah.simulate import numbers
from howdah.simulate.model import (
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    LogNormal,
    Pareto,
    Uniform,
    Zipf,
)

ORACLES = [
    (Exponential(mean=2.0), scipy.stats.expon(scale=2.0)),
    (Uniform(low=1.0, high=4.0), scipy.stats.uniform(1.0, 3.0)),
    (LogNormal(median=2.0, sigma=1.2), scipy.stats.lognorm(1.2, scale=2.0)),
    (Erlang(stages=1, mean=3.0), scipy.stats.gamma(1, scale=3.0)),
    (Erlang(stages=4, mean=3.0), scipy.stats.gamma(4, scale=0.75)),
    (Erlang(stages=200, mean=3.0), scipy.stats.gamma(200, scale=3.0 / 200)),
    (Pareto(minimum=1.0, shape=1.5), scipy.stats.pareto(1.5)),
]
LEAST, MOST = 2.0**-53, 1.0 - 2.0**-53


def test_mix_is_splitmix64() -> None:
    # The published generator, seeded with 1234567, begins with these numbers.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    found = [numbers.mix((1234567 + numbers.GOLDEN * n) & numbers.MASK) for n in (1, 2, 3)]
    assert found == expected


@pytest.mark.parametrize("bits, u", [(0, LEAST), (numbers.MASK, MOST), (1 << 63, 0.5 + LEAST)])
def test_uniform_stays_inside(bits: int, u: float) -> None:
    assert numbers.uniform(bits) == u


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_logarithm(x: float) -> None:
    exact = float(Decimal(x).ln())
    assert abs(numbers.ln(x) - exact) <= 1e-15 * max(1.0, abs(exact))


@given(st.floats(min_value=2.0**-50, max_value=0.004))
def test_logarithm_is_exact_next_to_one(small: float) -> None:
    x = 1.0 - small
    assert numbers.ln(x) == pytest.approx(math.log(x), rel=1e-14)


@pytest.mark.parametrize("distribution, oracle", ORACLES, ids=lambda each: type(each).__name__)
def test_quantiles(distribution: Distribution, oracle: scipy.stats.rv_continuous) -> None:
    law = numbers.law(distribution)
    for u in (0.001, 0.05, 0.1, 0.3, 0.4999, 0.5, 0.6, 0.77, 0.9, 0.99, 0.999, 1 - 1e-6, 1 - 1e-9):
        assert law.draw(u) == pytest.approx(oracle.ppf(u), rel=3e-4)
    assert law.draw(MOST) >= law.draw(1 - 1e-12)


@pytest.mark.parametrize("distribution, oracle", ORACLES[:5], ids=lambda each: type(each).__name__)
def test_means(distribution: Distribution, oracle: scipy.stats.rv_continuous) -> None:
    # Equal steps over u, and over ever smaller tails, so that the tail's share is counted.
    law, mean, low = numbers.law(distribution), 0.0, 0.0
    for octave in range(40):
        high = 1.0 - 2.0 ** -(octave + 1)
        steps = [low + (high - low) * (i + 0.5) / 400 for i in range(400)]
        mean += sum(law.draw(u) for u in steps) * (high - low) / 400
        low = high
    assert mean == pytest.approx(oracle.mean(), rel=2e-4)


@given(st.sampled_from(ORACLES), st.floats(LEAST, MOST), st.floats(LEAST, MOST))
def test_laws_grow(pair: tuple[Distribution, object], one: float, two: float) -> None:
    law = numbers.law(pair[0])
    low, high = sorted((one, two))
    assert 0.0 <= law.draw(low) <= law.draw(high) < math.inf


def test_constant_and_empirical() -> None:
    assert numbers.law(Constant(value=3.0)).draw(0.7) == 3.0
    law = numbers.law(Empirical(quantiles=(1.0, 2.0, 6.0)))
    assert [law.draw(u) for u in (0.25, 0.5, 0.75)] == [1.5, 2.0, 4.0]
    assert numbers.law(Empirical(quantiles=(4.0,))).draw(0.3) == 4.0


def test_keys_follow_their_weights() -> None:
    table = numbers.key_table(Zipf(keys=4, exponent=1.0))
    share = [table[0] / table[-1], table[1] / table[-1]]
    assert numbers.key_of(table, LEAST) == 0
    assert numbers.key_of(table, share[0] - 1e-12) == 0
    assert numbers.key_of(table, share[0] + 1e-12) == 1
    assert numbers.key_of(table, share[1] + 1e-12) == 2
    assert numbers.key_of(table, MOST) == 3


@pytest.mark.parametrize(
    "seconds, expected",
    [
        (-1.0, 0),
        (math.nan, 0),
        (1e-9, 1),
        (1.5, 1_500_000_000),
        (4e9, 1 << 62),
        (math.inf, 1 << 62),
    ],
)
def test_durations(seconds: float, expected: int) -> None:
    assert numbers.nanoseconds(seconds) == expected


def test_names_and_worlds_are_fixed() -> None:
    # A change here changes every hash and every replay file.
    assert numbers.number("web") == 0x739BBC1B282AF452
    assert numbers.world(numbers.root(7), numbers.number("web"), 3) == 0xD516CF6ED64904D3
