from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from howdah.errors import BadInput
from howdah.simulate.calibrate import Curve, Point, fit
from howdah.simulate.calibrate.ladder import Rung, _rung, variation
from howdah.simulate.model import Erlang, Exponential, LogNormal

TRUE = Curve(demand=0.002, cores=6.0, overhead=0.01)
LADDER = (1, 2, 4, 8, 16, 32, 64)


def measured(curve: Curve, noise: float = 0.03, most: float = 64.0) -> list[Point]:
    random = np.random.default_rng(3)
    return [
        Point(active=n, per_second=curve.per_second(n) * random.normal(1, noise))
        for n in LADDER
        for _ in range(4)
        if n <= most
    ]


def test_the_curve_is_found_within_its_interval() -> None:
    fitted = fit(measured(TRUE))
    assert fitted.knee_seen
    assert fitted.unknown == ()
    for field in ("demand", "cores", "overhead"):
        low, high = fitted.interval(field)
        assert 0.95 * low <= getattr(TRUE, field) <= 1.05 * high
        assert high < 1.35 * low
    assert fitted.error == pytest.approx(0.03, abs=0.01)


def test_a_knee_that_was_not_reached_is_unknown() -> None:
    fitted = fit(measured(TRUE, most=4))
    assert not fitted.knee_seen
    assert "no more than 4 were active" in fitted.unknown[0]
    assert fitted.best.demand == pytest.approx(0.002, rel=0.05), "the demand shows all the same"


def test_given_cores_leave_only_the_overhead_unknown() -> None:
    fitted = fit(measured(TRUE, most=4), cores=8)
    assert fitted.best.cores == 8
    assert fitted.unknown == ("the overhead beyond 8 cores: no more than 4 were active at once",)


def test_too_little_is_refused() -> None:
    idle = [Point(active=0, per_second=0)] * 50
    with pytest.raises(BadInput, match="2 of 52 measurements show any work"):
        fit([*idle, Point(active=1, per_second=10), Point(active=2, per_second=19)])


@settings(max_examples=15, deadline=None)
@given(demand=st.floats(1e-4, 1.0), cores=st.floats(1.5, 16.0), overhead=st.floats(0.002, 0.2))
def test_exact_measurements_are_explained_exactly(
    demand: float, cores: float, overhead: float
) -> None:
    true = Curve(demand=demand, cores=cores, overhead=overhead)
    fitted = fit(measured(true, noise=0.0), draws=2)
    assert fitted.error < 0.01
    assert fitted.best.most_per_second == pytest.approx(true.most_per_second, rel=0.02)


def test_progress_lines_of_pgbench_are_read() -> None:
    line = "progress: 2.0 s, 15098.2 tps, lat 0.066 ms stddev 0.365, 0 failed"
    rung = _rung(4, line)
    assert rung is not None
    assert (rung.clients, rung.per_second) == (4, 15098.2)
    assert (rung.latency, rung.deviation) == pytest.approx((66e-6, 365e-6))
    assert _rung(4, "progress: 3.0 s, 0.0 tps, lat -nan ms stddev -nan, 0 failed") is None
    assert _rung(4, "pgbench (18.6)") is None


@pytest.mark.parametrize(
    ("spread", "law"),
    [
        (0.3, Erlang(stages=11, mean=2.0)),
        (1.0, Exponential(mean=2.0)),
        (2.0, LogNormal(median=0.8944271909999159, sigma=1.2686362411795196)),
    ],
)
def test_the_spread_of_latencies_chooses_the_law(
    spread: float, law: Erlang | Exponential | LogNormal
) -> None:
    alone = Rung(clients=1, per_second=100, latency=0.01, deviation=0.01 * spread)
    crowded = Rung(clients=64, per_second=100, latency=0.5, deviation=5)
    assert variation([crowded, alone], mean=2.0) == law
