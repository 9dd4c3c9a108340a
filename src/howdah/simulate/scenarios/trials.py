"""Replicas of a model, and what scenarios read from them.

Owns running one model with many seeds, and readings: shares of stuck runs, recovery times,
goodputs, levels of columns, each with its interval. Must never know a scenario.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.simulate import intervals
from howdah.simulate.engine import Samples
from howdah.simulate.intervals import Estimate
from howdah.simulate.measures import Disturbance, Recovery, Yardstick, disturbance, rate, recovery
from howdah.simulate.model import Model
from howdah.simulate.run import start

SECOND = 1_000_000_000

Floats = npt.NDArray[np.float64]


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """What replicas of one model showed, in the order of their seeds."""

    model: Model
    samples: tuple[Samples, ...]

    def during(self) -> Disturbance:
        """When the model's triggers begin and end."""
        return disturbance(self.model)

    def values(self, of: Callable[[Samples], float]) -> Floats:
        """One number for each replica."""
        return np.array([of(each) for each in self.samples])

    def rates(self, column: str, start: float, end: float) -> Floats:
        """Each replica's growth of a column a second, between two seconds."""
        return self.values(lambda s: rate(s.t, s.columns[column], start, end))

    def rates_of(self, columns: Sequence[str], start: float, end: float) -> Floats:
        """The same of several columns together."""
        return np.asarray(
            np.array([self.rates(column, start, end) for column in columns]).sum(axis=0)
        )

    def levels(self, column: str, start: float, end: float) -> Floats:
        """Each replica's mean of a gauge between two seconds."""
        return self.values(lambda s: float(s.columns[column][(s.t >= start) & (s.t <= end)].mean()))

    def recoveries(
        self, client: str, undisturbed: float | None = None, by: Yardstick | None = None
    ) -> list[Recovery]:
        """What became of a client's goodput in each replica; see `measures.recovery`."""
        return [
            recovery(
                s.t,
                s.columns[f"{client}.succeeded"],
                self.during(),
                undisturbed=undisturbed,
                by=by or Yardstick(),
            )
            for s in self.samples
        ]


def run_all(model: Model, seeds: Iterable[int], threads: int = 2) -> Runs:
    """Replicas of `model` until its horizon, on so many threads; the same whatever the number."""
    until = round(model.horizon * SECOND)

    def one(seed: int) -> Samples:
        engine = start(model, seed)
        engine.advance(until)
        return engine.samples()

    wanted = tuple(seeds)
    if threads == 1 or len(wanted) == 1:
        return Runs(model=model, samples=tuple(one(seed) for seed in wanted))
    with ThreadPoolExecutor(threads) as pool:
        return Runs(model=model, samples=tuple(pool.map(one, wanted)))


def stuck_share(found: Sequence[Recovery]) -> Estimate:
    """P(still down at the horizon)."""
    return intervals.share(sum(r.stuck for r in found), len(found))


def median(values: Sequence[float] | Floats, *, confidence: float = 0.95) -> Estimate:
    """The median; its interval lies between two of the values in order, and may be infinite."""
    x = np.sort(np.asarray(values, dtype=float))
    n = len(x)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(n) / 2
    low, high = max(0, math.floor(n / 2 - reach)), min(n - 1, math.ceil(n / 2 + reach))
    middle = float((x[(n - 1) // 2] + x[n // 2]) / 2)
    return Estimate(
        value=middle, low=float(x[low]), high=float(x[high]), confidence=confidence, count=n
    )


def recovery_median(found: Sequence[Recovery]) -> Estimate:
    """The median recovery time; infinite for those that were still down."""
    return median([math.inf if r.after is None else r.after for r in found])


def exact(value: float) -> Estimate:
    """A figure that was computed, not drawn."""
    return Estimate(value=value, low=value, high=value, confidence=1.0)


def event_rate(events: int, exposure: float, *, confidence: float = 0.95) -> Estimate:
    """The mean time between events, of which `events` were seen in `exposure` seconds.

    For exponential times with censoring exposure / events is the best estimate; the interval is
    that of a Poisson count, by Wilson and Hilferty's approximation of chi-squared quantiles.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    fewest = _poisson(events, -z) if events else 0.0
    most = _poisson(events + 1, z)
    return Estimate(
        value=exposure / events if events else math.inf,
        low=exposure / most,
        high=exposure / fewest if fewest > 0 else math.inf,
        confidence=confidence,
        count=events,
    )


def _poisson(k: int, z: float) -> float:
    return float(k * (1 - 1 / (9 * k) + z / (3 * math.sqrt(k))) ** 3)


def first_reached(
    model: Model,
    column: str,
    level: float,
    seeds: Iterable[int],
    *,
    until: float,
    step: float = 10.0,
    threads: int = 2,
) -> list[float | None]:
    """When a gauge is first at `level`, looked at every `step` seconds; None: not by `until`.

    A replica ends there, so that what follows costs nothing.
    """
    from concurrent.futures import ThreadPoolExecutor

    def one(seed: int) -> float | None:
        engine = start(model, seed)
        t = 0.0
        while t < until:
            t = min(t + step, until)
            engine.advance(round(t * SECOND))
            if engine.gauges()[column] >= level:
                return t
        return None

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, seeds))


def thresholds(
    model: Callable[[float], Model],
    client: str,
    seeds: Iterable[int],
    *,
    low: float,
    high: float,
    probes: int,
    by: Yardstick | None = None,
    undisturbed: float | None = None,
    threads: int = 2,
) -> list[float]:
    """For each seed, by bisection, the least value with which its world stays stuck.

    `model(value)` is run with that seed. A world that is not stuck at `high` gives `high`.
    """
    from concurrent.futures import ThreadPoolExecutor

    def one(seed: int) -> float:
        below, above = low, high
        for _ in range(probes):
            middle = (below + above) / 2
            runs = run_all(model(middle), (seed,), threads=1)
            below, above = (
                (below, middle)
                if runs.recoveries(client, undisturbed, by)[0].stuck
                else (
                    middle,
                    above,
                )
            )
        return (below + above) / 2

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, seeds))
