"""Where a knob tips a model: bisection with common random numbers.

Owns the search for the value at which the share of stuck runs passes p, and its interval. Must
never claim more than the range that it was given: below or above it there is no value, only a
word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.errors import BadInput
from howdah.simulate.intervals import Estimate, share
from howdah.simulate.model import Model
from howdah.simulate.search.knobs import turn
from howdah.simulate.search.trial import BUDGET, JUDGE, Budget, Judge, Progress, trials

Floats = npt.NDArray[np.float64]
Build = Callable[[float], Model]
Judging = Judge | Callable[[Model], Judge]  # the same for all values, or one for each model
BATCH = 16  # runs between two looks at a probe
SURE = 0.999  # a probe ends early when its interval of this confidence leaves p out


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One value of the knob and its share of stuck runs; `runs` by seed, in order."""

    value: float
    stuck: Estimate
    runs: tuple[bool, ...]


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """Where the share of stuck runs passes `p`."""

    knob: str
    p: float
    where: Literal["inside", "below", "above"]  # of the range; outside there is no value
    value: Estimate | None
    low: float
    high: float
    probes: tuple[Probe, ...]  # by value
    events: int


def threshold(
    model: Model,
    knob: str,
    *,
    low: float,
    high: float,
    p: float = 0.5,
    judge: Judging = JUDGE,
    budget: Budget = BUDGET,
    progress: Progress | None = None,
    near: float | None = None,
) -> Threshold:
    """The value of `knob` in [low, high] at which a share p of runs stays stuck.

    More of the knob must tip more runs. The steps are geometric when `low` is positive; `near` is
    where to look first (the answer of a neighbouring question).
    """
    if not 0 < p < 1 or not low < high:
        raise BadInput("a threshold is searched with 0 < p < 1 and low < high", detail=knob)
    search = _Search(lambda value: turn(model, knob, value), judge, budget, p)
    ends = search.bracket(low, high, near, progress, knob)
    where: Literal["inside", "below", "above"] = "inside"
    if ends is None:
        where = "below" if search.probes[min(search.probes)].stuck.value >= p else "above"
    probes = tuple(search.probes[v] for v in sorted(search.probes))
    return Threshold(
        knob=knob,
        p=p,
        where=where,
        value=None if ends is None else crossing(probes, p, geometric=low > 0),
        low=low,
        high=high,
        probes=probes,
        events=search.events,
    )


class _Search:
    """Probes made so far, for one knob."""

    def __init__(self, build: Build, judge: Judging, budget: Budget, p: float) -> None:
        self.build, self.judge, self.budget, self.p = build, judge, budget, p
        self.probes: dict[float, Probe] = {}
        self.events = 0

    def bracket(
        self, low: float, high: float, near: float | None, progress: Progress | None, what: str
    ) -> tuple[float, float] | None:
        """Halve [low, high] until the probes are spent; None when p is not passed inside."""
        geometric = low > 0
        if near is not None and geometric:
            low, high = self._around(low, high, near)
        else:
            if self.tips(low) or not self.tips(high):
                return None
        for step in range(self.budget.probes):
            middle = math.sqrt(low * high) if geometric else (low + high) / 2
            low, high = (low, middle) if self.tips(middle) else (middle, high)
            if progress is not None:
                progress(what, (step + 1) / self.budget.probes)
            if high - low <= 0.01 * high:
                break
        return None if not self._inside() else (low, high)

    def _around(self, low: float, high: float, near: float) -> tuple[float, float]:
        """A small bracket around `near`, widened by factors of two until p is passed inside."""
        down = up = min(max(near, low), high)
        if self.tips(up):
            while down > low and self.tips(down):
                up, down = down, max(low, down / 1.5)
        else:
            while up < high and not self.tips(up):
                down, up = up, min(high, up * 1.5)
        return down, up

    def _inside(self) -> bool:
        shares = [each.stuck.value >= self.p for each in self.probes.values()]
        return any(shares) and not all(shares)

    def tips(self, value: float) -> bool:
        """Whether at least p of the runs are stuck; stops early when that is sure."""
        if value not in self.probes:
            self.probes[value] = self._probe(value)
        return self.probes[value].stuck.value >= self.p

    def _probe(self, value: float) -> Probe:
        model, runs = self.build(value), list[bool]()
        judge = self.judge if isinstance(self.judge, Judge) else self.judge(model)
        seeds = self.budget.seeds()
        for first in range(0, len(seeds), BATCH):
            batch = seeds[first : first + BATCH]
            found = trials(model, batch, judge=judge, budget=self.budget)
            runs += [t.recovery.stuck for t in found]
            self.events += sum(t.events for t in found)
            if not share(sum(runs), len(runs), confidence=SURE).holds(self.p):
                break
        return Probe(value=value, stuck=share(sum(runs), len(runs)), runs=tuple(runs))


def crossing(probes: Sequence[Probe], p: float, *, geometric: bool = True) -> Estimate:
    """Where the rising curve through the probes passes p.

    The curve is the isotonic fit, straight lines between; its interval comes from drawing the
    seeds anew (all probes of a seed together, since they share their random numbers).
    """
    x = np.array([each.value for each in probes])
    x = np.log(x) if geometric else x
    most = max(len(each.runs) for each in probes)
    runs = np.array([[*each.runs, *[np.nan] * (most - len(each.runs))] for each in probes])
    random = np.random.default_rng(1)
    drawn = [_passes(x, runs[:, random.integers(0, most, most)], p) for _ in range(400)]
    kept = np.array([d for d in drawn if not math.isnan(d)])
    value = _passes(x, runs, p)
    low, high = np.quantile(kept, [0.025, 0.975]) if len(kept) else (value, value)
    # The seeds are few: the interval is never narrower than the bracket around the answer.
    low = min(float(low), max((float(v) for v in x if v <= value), default=value))
    high = max(float(high), min((float(v) for v in x if v >= value), default=value))
    back = math.exp if geometric else float
    return Estimate(value=back(value), low=back(low), high=back(high), count=most)


def _passes(x: Floats, runs: Floats, p: float) -> float:
    seen = ~np.isnan(runs)
    weights = seen.sum(axis=1)
    kept = weights > 0
    shares = np.where(seen, runs, 0.0).sum(axis=1)[kept] / weights[kept]
    curve, at = isotonic(shares, weights[kept].astype(float)), x[kept]
    above = np.flatnonzero(curve >= p)
    if not len(above) or above[0] == 0:
        return float(at[0]) if len(above) else math.nan
    i = int(above[0])
    part = (p - curve[i - 1]) / (curve[i] - curve[i - 1])
    return float(at[i - 1] + part * (at[i] - at[i - 1]))


def isotonic(values: Floats, weights: Floats) -> Floats:
    """The non-decreasing sequence nearest to `values`: neighbours that fall are pooled."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m, i), (b, n, j) = blocks[-2], blocks[-1]
            blocks[-2:] = [((a * m + b * n) / (m + n), m + n, i + j)]
    return np.concatenate([np.full(count, value) for value, _, count in blocks])
