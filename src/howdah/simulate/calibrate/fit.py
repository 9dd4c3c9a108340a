"""Throughput against concurrency: the demand, the cores and the overhead that explain it.

Owns the curve, its fit and the uncertainty of the fit. Pure. The curve is that of `Sharing`:

    X(n) = min(n, cores) / demand / (1 + overhead * max(0, n - cores))

For n below the cores it is a line through the origin, above them it falls by the overhead. `cores`
is what the work behaves like: locks and disks make it smaller than the machine's number.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from howdah.errors import BadInput

Floats = NDArray[np.float64]

_STEPS = 24  # of each grid; refined four times, to about 1e-4 of the range
_OVERHEAD_AT_MOST = 1.0
_KNEE_SEEN = 1.25
"""The concurrency must exceed the fitted knee by so much, else the knee is the end of the data."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen over some seconds: so many statements or transactions active, so many done."""

    active: float
    per_second: float


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One explanation. `demand` is in core-seconds a transaction."""

    demand: float
    cores: float
    overhead: float

    def per_second(self, active: float) -> float:
        """The throughput at this concurrency."""
        return float(_shape(np.array([active]), self.cores, self.overhead)[0] / self.demand)

    @property
    def most_per_second(self) -> float:
        """The throughput at the knee, the most there is."""
        return self.cores / self.demand


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """The best curve, those of resampled measurements, and what they leave open."""

    best: Curve
    draws: tuple[Curve, ...]
    knee_seen: bool
    most_active: float  # the highest concurrency that was measured
    error: float  # root of the mean squared relative deviation of the points from the curve
    unknown: tuple[str, ...] = ()

    def interval(self, field: str) -> tuple[float, float]:
        """The 5 % and 95 % points of a field of the curve."""
        values = [getattr(each, field) for each in self.draws]
        low, high = np.quantile(values, [0.05, 0.95])
        return float(low), float(high)


def fit(
    points: Sequence[Point], *, cores: float | None = None, draws: int = 200, seed: int = 0
) -> Fitted:
    """Fit a curve; `cores` fixes the knee where the measurements cannot show it.

    The uncertainty is that of `draws` fits to resampled measurements.

    `BadInput` where there is nothing to fit: no activity, or too few points.
    """
    used = [each for each in points if each.active > 0 and each.per_second > 0]
    if len(used) < 3:
        raise BadInput(
            f"{len(used)} of {len(points)} measurements show any work; three are needed",
            hint="record for longer, or while the database is busy",
        )
    active = np.array([each.active for each in used])
    rates = np.array([each.per_second for each in used])
    best = _fitted(active, rates, cores)
    random = np.random.Generator(np.random.PCG64(seed))
    resampled = tuple(
        _fitted(active[chosen], rates[chosen], cores)
        for chosen in random.integers(0, len(used), (draws, len(used)))
    )
    knee_seen = bool(active.max() > _KNEE_SEEN * best.cores)
    deviation = rates / (_shape(active, best.cores, best.overhead) / best.demand) - 1
    return Fitted(
        best=best,
        draws=resampled,
        knee_seen=knee_seen,
        most_active=float(active.max()),
        error=float(np.sqrt(np.mean(deviation**2))),
        unknown=_unknown(active, cores, knee_seen),
    )


def _unknown(active: Floats, cores: float | None, knee_seen: bool) -> tuple[str, ...]:
    most = f"{active.max():.3g}"
    if knee_seen:
        return ()
    if cores is None:
        return (
            f"the knee: no more than {most} were active at once, and the throughput still grew; "
            "it lies above. Give the number of cores to assume one.",
        )
    return (f"the overhead beyond {cores:g} cores: no more than {most} were active at once",)


def _shape(active: Floats, cores: float, overhead: float) -> Floats:
    """Core-seconds a second that do useful work."""
    return np.minimum(active, cores) / (1 + overhead * np.maximum(0.0, active - cores))


def _fitted(active: Floats, rates: Floats, cores: float | None) -> Curve:
    """The least squares of the relative deviations, on a grid that is refined around its best."""
    lows = np.array([min(1.0, float(active.min())) if cores is None else cores, 0.0])
    highs = np.array([float(active.max()) if cores is None else cores, _OVERHEAD_AT_MOST])
    best = Curve(demand=1.0, cores=1.0, overhead=0.0)
    for _ in range(5):
        knees = np.linspace(lows[0], highs[0], _STEPS if highs[0] > lows[0] else 1)
        # The square root puts as many steps below 0.01 as the small overheads of real systems need.
        overheads = np.linspace(np.sqrt(lows[1]), np.sqrt(highs[1]), _STEPS) ** 2
        best = _best_of(active, rates, knees, overheads)
        reach = (highs - lows) / 8
        here = np.array([best.cores, best.overhead])
        lows, highs = np.maximum(lows, here - reach), np.minimum(highs, here + reach)
    return best


def _best_of(active: Floats, rates: Floats, knees: Floats, overheads: Floats) -> Curve:
    """Of every knee with every overhead, each with the demand that suits it best."""
    n, c, b = active[None, None, :], knees[:, None, None], overheads[None, :, None]
    useful = np.minimum(n, c) / (1 + b * np.maximum(0.0, n - c)) / rates
    # relative deviation useful / (rates * demand) - 1: the best 1 / demand is a ratio of sums
    inverse = useful.sum(axis=2) / (useful**2).sum(axis=2)
    worst = ((useful * inverse[:, :, None] - 1) ** 2).sum(axis=2)
    # Flat where nothing was measured beyond the knee: the smallest overhead of the equally good.
    place = int(np.argmin(worst + 1e-12 * overheads[None, :]))
    knee, overhead = np.unravel_index(place, worst.shape)
    return Curve(
        demand=float(1 / inverse[knee, overhead]),
        cores=float(knees[knee]),
        overhead=float(overheads[overhead]),
    )
