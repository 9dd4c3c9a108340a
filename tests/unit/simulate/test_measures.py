"""Recovery, deficit, amplification and signs, on columns whose figures are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from howdah.errors import BadInput
from howdah.simulate.measures import (
    Disturbance,
    Yardstick,
    amplification,
    characteristic,
    disturbance,
    growth,
    recoveries,
    recovery,
    together,
)
from howdah.simulate.model import (
    Down,
    Exponential,
    Flush,
    Inject,
    Model,
    Open,
    Queue,
    Scale,
    Trigger,
    When,
)

close = pytest.approx
T = np.arange(0.0, 1001.0)
DURING = Disturbance(start=400.0, end=500.0)


def goodput(*steps: tuple[float, float]) -> np.ndarray:
    """A cumulative column of these (from second, rate a second)."""
    rates = np.zeros(len(T) - 1)
    for since, rate in steps:
        rates[int(since) :] = rate
    return np.concatenate([[0.0], np.cumsum(rates)])


def test_recovery_is_the_first_good_window() -> None:
    found = recovery(T, goodput((0, 10), (400, 0), (650, 10)), DURING)
    assert found.window == close(10.0)
    assert found.undisturbed == close(10.0)
    # The window may begin a tenth before goodput is back: nine tenths of it suffice.
    assert found.after == close(149.0)
    assert not found.stuck
    assert found.deficit == close(2500.0)
    assert found.horizon == close(500.0)


def test_stuck_is_said_with_its_horizon() -> None:
    found = recovery(T, goodput((0, 10), (400, 0), (500, 4)), DURING)
    assert found.stuck
    assert found.horizon == close(500.0)
    assert found.last == close(4.0)


def test_a_short_return_is_none() -> None:
    relapses = goodput((0, 10), (400, 0), (600, 10), (615, 0), (900, 10))
    assert recovery(T, relapses, DURING).after == close(399.0)
    short = Yardstick(window=5.0)
    assert recovery(T, relapses, DURING, by=short).after == close(399.5, abs=1.0)


def test_a_collapse_after_the_trigger_is_one() -> None:
    """Nothing is wrong for a while after the disturbance, and then all is."""
    slow = recovery(T, goodput((0, 10), (530, 6), (600, 0)), DURING)
    assert slow.stuck
    first = Yardstick(lasting=False)
    assert recovery(T, goodput((0, 10), (530, 6), (600, 0)), DURING, by=first).after == 0.0
    assert recovery(T, goodput((0, 10), (530, 0), (700, 10)), DURING).after == close(199.0)


def test_chance_is_no_collapse() -> None:
    random = np.random.default_rng(1)
    found = []
    for _ in range(100):
        counts = np.concatenate([[0.0], np.cumsum(random.poisson(10.0, len(T) - 1))])
        found.append(recovery(T, counts, DURING, undisturbed=10.0).after)
    assert None not in found
    assert sum(after is not None and after > 60 for after in found) <= 2


def test_what_never_fell_recovers_at_once() -> None:
    assert recovery(T, goodput((0, 10)), DURING).after == 0.0


def test_windows_fit_into_what_is_left() -> None:
    slow = recovery(T, goodput((0, 0.1), (400, 0), (600, 0.1)), DURING)
    assert slow.window == close(500 / 12)
    assert not slow.stuck


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(BadInput, match="no undisturbed goodput"):
        recovery(T, goodput((0, 0)), DURING)
    with pytest.raises(BadInput, match="ends before"):
        recovery(T, goodput((0, 1)), Disturbance(start=400, end=1000))


def test_all_clients_together() -> None:
    columns = {
        "a.succeeded": goodput((0, 10), (400, 0), (550, 10)),
        "b.succeeded": goodput((0, 5), (400, 0), (650, 5)),
        "idle.succeeded": goodput((0, 0)),
    }
    each = recoveries(T, columns, DURING)
    assert set(each) == {"a", "b"}
    assert together(each).after == each["b"].after
    assert together(each).undisturbed == close(15.0)
    columns["b.succeeded"] = goodput((0, 5), (400, 0))
    assert together(recoveries(T, columns, DURING)).stuck


def test_growth_between_samples() -> None:
    assert growth(T, goodput((0, 2)), 0.5, 1.0) == close(1.0)


def model(*triggers: Trigger, settled: float | None = None) -> Model:
    return Model(
        clients={"web": Open(rate=1, to="db")},
        stations={"db": Queue(service=Exponential(mean=0.5))},
        triggers=triggers,
        settled_after=settled,
    )


def test_when_the_disturbance_is() -> None:
    found = disturbance(
        model(
            Trigger(at=100, actions=(Inject(client="web", count=5),)),
            Trigger(at=50, actions=(Scale(path="web.rate", factor=2, until=80),)),
            Trigger(at=60, actions=(Down(processor="db", until=130), Flush(cache="c"))),
        )
    )
    assert (found.start, found.end) == (50.0, 130.0)
    assert disturbance(model(settled=300.0)).end == 300.0
    condition = Trigger(when=When(column="db.waiting", comparison=">", value=5), actions=())
    with pytest.raises(BadInput, match="has a condition"):
        disturbance(model(condition))
    assert disturbance(model(condition, settled=200.0)).end == 200.0


def test_amplification() -> None:
    columns = {
        "web.succeeded": goodput((0, 10), (400, 0)),
        "web.requests": goodput((0, 10)),
        "web.attempts": goodput((0, 10), (400, 40)),
        "cache.hits": goodput((0, 9), (400, 0)),
        "db.entered": goodput((0, 1), (400, 40)),
        "db.left": goodput((0, 1), (400, 40)),
        "db.busy": goodput((0, 0.1), (400, 8)),
    }
    found = amplification(T, columns, (100.0, 400.0), (500.0, 1000.0))
    assert found.load == close(4.0)
    # Ten times the visits for an attempt, each twice as long.
    assert found.work == close(20.0)
    assert found.processor == "db"


def test_signs_are_ranked() -> None:
    noise = np.sin(T) / 10
    back = 700.0
    columns = {
        "web.succeeded": goodput((0, 10), (400, 0), (700, 10)),
        "db.waiting": np.where((T > 400) & (back > T), 90.0, 3.0) + noise,
        "db.slow": np.where(T > 400, 90.0, 3.0) + noise,  # never comes back
        "db.short": np.where((T > 400) & (T < 520), 90.0, 3.0) + noise,  # is back too early
        "db.inside": 3.0 + noise,
    }
    found = characteristic(T, columns, DURING, back - DURING.end)
    names = [each.column for each in found]
    assert set(names[:2]) == {"db.waiting", "web.succeeded"}
    assert found[0].score > 0.9
    assert "db.inside" not in names
    assert all(each.score < 0.6 for each in found[2:])
    assert not characteristic(T, columns, DURING, 0.0)
    assert characteristic(T, columns, DURING, None)
    assert not math.isnan(found[0].score)
