"""How sure a figure is: confidence intervals of shares, means and survival.

Owns Wilson's interval, Student's, batch means, the bootstrap with a fixed seed, and Kaplan and
Meier's survival curve. Must never draw from anything but the seed it is given: the same values
give the same interval on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.errors import BadInput

Floats = npt.NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with the interval that holds it with this `confidence`."""

    value: float
    low: float
    high: float
    confidence: float = 0.95
    count: int = 0  # independent observations behind it

    def holds(self, figure: float) -> bool:
        """Whether the interval contains `figure`."""
        return self.low <= figure <= self.high


def share(hits: int, of: int, *, confidence: float = 0.95) -> Estimate:
    """Wilson's score interval of a probability (E. B. Wilson 1927); good at 0 and at 1 too.

    >>> share(0, 64).high < 0.06
    True
    """
    if of < 1:
        raise BadInput("a share needs at least one observation")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = hits / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == of else min(1.0, middle + half)
    return Estimate(value=p, low=low, high=high, confidence=confidence, count=of)


def mean(values: Sequence[float] | Floats, *, confidence: float = 0.95) -> Estimate:
    """The mean of independent values with Student's interval; without bounds for one value."""
    x = np.asarray(values, dtype=float)
    if not len(x):
        raise BadInput("a mean needs at least one value")
    middle = float(x.mean())
    half = math.inf
    if len(x) > 1:
        half = student(len(x) - 1, confidence) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return Estimate(
        value=middle, low=middle - half, high=middle + half, confidence=confidence, count=len(x)
    )


def ratio_of_growth(
    top: Floats, bottom: Floats, *, batches: int = 20, confidence: float = 0.95
) -> Estimate:
    """Growth of one cumulative column by that of another, by batch means.

    The run is cut into `batches` of equal length; their numerators and denominators are taken as
    independent and the ratio's interval follows by the delta method. Batches must be longer than
    the memory of the system, or the interval is too narrow.
    """
    cuts = np.linspace(0, len(top) - 1, batches + 1).round().astype(int)
    a, b = np.diff(top[cuts]), np.diff(bottom[cuts])
    if b.sum() == 0:
        return Estimate(value=math.nan, low=-math.inf, high=math.inf, confidence=confidence)
    ratio = float(a.sum() / b.sum())
    spread = float((a - ratio * b).std(ddof=1)) / math.sqrt(batches) / float(b.mean())
    half = student(batches - 1, confidence) * spread
    return Estimate(
        value=ratio, low=ratio - half, high=ratio + half, confidence=confidence, count=batches
    )


def bootstrap(
    values: Sequence[float] | Floats,
    statistic: Callable[[Floats], float],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 1,
) -> Estimate:
    """Any statistic of independent values; percentile interval over `resamples`, same each time."""
    x = np.asarray(values, dtype=float)
    random = np.random.default_rng(seed)
    drawn = np.array(
        [statistic(x[random.integers(0, len(x), len(x))]) for _ in range(resamples)], dtype=float
    )
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(
        value=float(statistic(x)),
        low=float(low),
        high=float(high),
        confidence=confidence,
        count=len(x),
    )


class Survival(msgspec.Struct, frozen=True, kw_only=True):
    """P(still down after t), a step at each time; what never came back ends at its horizon."""

    times: tuple[float, ...]
    alive: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    count: int
    censored: int  # still down when they were last seen
    median: float | None  # None: more than half were still down at the end


def survival(
    times: Sequence[float | None], horizon: float | Sequence[float], *, confidence: float = 0.95
) -> Survival:
    """Kaplan and Meier's curve; None is "not until the horizon". Greenwood's log-log interval."""
    ends = [horizon] * len(times) if isinstance(horizon, int | float) else list(horizon)
    seen = [end if t is None else t for t, end in zip(times, ends, strict=True)]
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    alive, variance = 1.0, 0.0
    curve: list[tuple[float, float, float, float]] = [(0.0, 1.0, 1.0, 1.0)]
    for t in sorted({t for t in times if t is not None}):
        risk = sum(s >= t for s in seen)
        died = sum(x is not None and x == t for x in times)
        alive *= 1 - died / risk
        variance += died / (risk * (risk - died)) if risk > died else 0.0
        low, high = _log_log(alive, variance, z)
        curve.append((t, alive, low, high))
    columns = list(zip(*curve, strict=True))
    return Survival(
        times=columns[0],
        alive=columns[1],
        low=columns[2],
        high=columns[3],
        count=len(seen),
        censored=sum(t is None for t in times),
        median=next((t for t, left, _, _ in curve if left <= 0.5), None),
    )


def _log_log(alive: float, variance: float, z: float) -> tuple[float, float]:
    if alive <= 0 or alive >= 1:
        return alive, alive
    spread = z * math.sqrt(variance) / abs(math.log(alive))
    return alive ** math.exp(spread), alive ** math.exp(-spread)


@lru_cache(maxsize=512)
def student(degrees: int, confidence: float = 0.95) -> float:
    """The two-sided quantile of Student's t, by bisection on its distribution function.

    >>> round(student(19), 3)
    2.093
    """
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _inner(degrees, middle) < confidence else (low, middle)
    return high


def _inner(degrees: int, t: float) -> float:
    """P(|T| <= t): with the angle a = atan(t / sqrt(n)) the integral of cos^(n-1) over [-a, a]."""
    a = math.atan(t / math.sqrt(degrees))
    x = np.linspace(0.0, a, 2001)
    y = np.cos(x) ** (degrees - 1)
    area = float((y[0] + y[-1] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum()) * (x[1] - x[0]) / 3)
    norm = math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees + 1) / 2)) * math.sqrt(math.pi)
    return 2 * area / norm
