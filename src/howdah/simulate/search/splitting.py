"""Rare escapes: how likely a model tips by itself, and after how long, by multilevel splitting.

Owns fixed-effort splitting from snapshots (Garvels and Kroese 1998; as forward flux sampling:
Allen, Warren and ten Wolde 2005). Between the good state and the bad one lie levels of a score;
at each level a fixed number of runs starts from moments at which the level was first reached,
each with random numbers of its own (`Engine.reseed`), and the shares that reach the next level
before falling back multiply. The product is unbiased for fixed levels: a pilot chooses them, and
what the pilot saw is not used again. Runs from one moment share what was scheduled there (the
service in progress), so that a level counts for fewer runs than it has: the interval comes from
whole replications, never from the shares. Must never keep more snapshots than one level's.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np

from howdah.errors import BadInput, CouldNot
from howdah.simulate.engine import Engine, Snapshot
from howdah.simulate.intervals import Estimate, mean
from howdah.simulate.model import Model
from howdah.simulate.run import start
from howdah.simulate.search.trial import SECOND, Progress


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Escape from `good` (score at most that) to `bad` (score at least that), every `step` s.

    The score is the sum of these columns. It is looked at every `step` seconds: what happens
    between two looks does not count, in either direction.
    """

    columns: tuple[str, ...]
    good: float
    bad: float
    step: float = 1.0


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """What an estimate may cost."""

    runs: int = 200  # of each level, in each replication
    replications: int = 12  # independent repetitions, from which the interval follows
    excursions: int = 200  # up-crossings of the first level, in each replication
    aim: float = 0.3  # share of the runs that should reach the next level
    most_levels: int = 60
    longest: float = 1e7  # seconds of one run between two levels; more is an error
    warm: float = 0.0  # seconds until the good state is an equilibrium
    threads: int = 2
    seed: int = 1
    engine: str | None = None


EFFORT = Effort()


class Escape(msgspec.Struct, frozen=True, kw_only=True):
    """An escape's chance and time."""

    time: Estimate  # mean seconds from the good state until the bad one
    chance: Estimate  # P(bad before good again) from the first level
    excursion: Estimate  # seconds between two departures from good to the first level
    levels: tuple[float, ...]  # the first is where excursions are counted, the last is bad
    shares: tuple[float, ...]  # of the runs that went from each level to the next
    scatter: float  # of the replications by their mean; above 1 take more runs of each level
    events: int
    replications: int


def escape(
    model: Model, question: Question, *, effort: Effort = EFFORT, progress: Progress | None = None
) -> Escape:
    """The mean time to escape and the chance of one excursion, with intervals.

    mean time = seconds between two excursions / chance of an excursion: the flow out of the good
    state, when what escapes is put back (Hill's relation). Triggers are left out.
    """
    if not question.good < question.bad:
        raise BadInput("the good score must lie below the bad one")
    calm = msgspec.structs.replace(model, triggers=(), settled_after=None, horizon=1e9, sample=1e9)
    levels = _levels(_Walk(calm, question, effort, effort.seed))
    if progress is not None:
        progress("levels", 0.1)

    def one(index: int) -> tuple[float, float, list[float], int]:
        walk = _Walk(calm, question, effort, effort.seed + 1 + index)
        wait, entries = walk.excursions(levels[0])
        shares = walk.climb(entries, levels)
        return wait, math.prod(shares), shares, walk.events

    found = []
    with ThreadPoolExecutor(effort.threads) as pool:
        for done, each in enumerate(pool.map(one, range(effort.replications)), 1):
            found.append(each)
            if progress is not None:
                progress("splitting", 0.1 + 0.9 * done / effort.replications)
    return _summary(found, levels)


def _summary(found: list[tuple[float, float, list[float], int]], levels: list[float]) -> Escape:
    flows = [f[1] / f[0] for f in found]
    flow = _positive(flows)
    return Escape(
        time=Estimate(
            value=1 / flow.value if flow.value else math.inf,
            low=1 / flow.high if flow.high else math.inf,
            high=1 / flow.low if flow.low else math.inf,
            count=flow.count,
        ),
        chance=_positive([f[1] for f in found]),
        excursion=mean([f[0] for f in found]),
        levels=tuple(levels),
        shares=tuple(float(np.mean(each)) for each in zip(*(f[2] for f in found), strict=False)),
        scatter=float(np.std(flows) / flow.value) if flow.value else math.inf,
        events=sum(f[3] for f in found),
        replications=len(found),
    )


def _positive(values: list[float]) -> Estimate:
    """The mean of positive values; Student's interval on the logarithm of their mean.

    Products of shares scatter by factors: an interval that is symmetric about the mean would
    reach below zero long before it is wrong above.
    """
    plain = mean(values)
    if not 0 < plain.value < math.inf or math.isinf(plain.high):
        return msgspec.structs.replace(plain, low=0.0)
    spread = math.exp((plain.high - plain.value) / plain.value)
    return msgspec.structs.replace(plain, low=plain.value / spread, high=plain.value * spread)


class _Walk:
    """One engine that is set back to snapshots and walks on with new random numbers."""

    def __init__(self, model: Model, question: Question, effort: Effort, seed: int) -> None:
        self.question, self.effort = question, effort
        self.engine: Engine = start(model, seed, effort.engine)
        self.step = max(1, int(question.step * SECOND))
        self.events = 0  # also of what was set back
        self.random = np.random.default_rng(seed)
        self._warm()

    def _warm(self) -> None:
        """Into the good state, without having tipped on the way."""
        home = self.engine.snapshot()
        for _ in range(1000):
            self.forward(int(self.effort.warm / self.question.step))
            for _ in range(1000):
                score = self.forward()
                if score <= self.question.good:
                    return
                if score >= self.question.bad:
                    break
            self.back(home)
        raise CouldNot(
            "the model does not come to its good state",
            hint="a higher good level, a shorter `warm`, or a lower load",
        )

    def score(self) -> float:
        """The sum of the columns, now."""
        return self.engine.total(self.question.columns)

    def forward(self, steps: int = 1) -> float:
        """Some steps on; the score there."""
        if steps > 0:
            before = self.engine.events
            self.engine.advance(self.engine.now_ns + steps * self.step)
            self.events += self.engine.events - before
        return self.score()

    def excursions(self, first: float) -> tuple[float, list[Snapshot]]:
        """Mean seconds between first entries into `first` from good, and the moments of some.

        A run that reaches bad is set back to the last moment in good and goes on from there.
        """
        entries: list[Snapshot] = []
        good, seen, steps, home = True, 0, 0, self.engine.snapshot()
        while seen < self.effort.excursions:
            score = self.forward()
            steps += 1
            if good and score >= first:
                good = False
                seen += 1
                self._keep(entries, seen)
            if not good and score <= self.question.good:
                good, home = True, self.engine.snapshot()
            elif score >= self.question.bad:
                good = True
                self.back(home)
            self._bounded(steps * self.question.step / max(1, seen))
        return steps * self.question.step / seen, entries

    def _keep(self, entries: list[Snapshot], seen: int) -> None:
        """A sample of at most `runs` of all moments seen, each as likely (reservoir)."""
        if len(entries) < self.effort.runs:
            entries.append(self.engine.snapshot())
        elif (place := int(self.random.integers(0, seen))) < self.effort.runs:
            entries[place] = self.engine.snapshot()

    def back(self, to: Snapshot) -> None:
        """Back to a moment, with random numbers of its own from there."""
        self.engine.restore(to)
        self.engine.reseed(int(self.random.integers(1, 2**62)))

    def climb(self, entries: list[Snapshot], levels: list[float]) -> list[float]:
        """The share of runs that reach each next level before good."""
        shares: list[float] = []
        for level in levels[1:]:
            entries = self.reached(entries, level)
            shares.append(len(entries) / self.effort.runs)
            if not entries:
                return [*shares, *[0.0] * (len(levels) - 1 - len(shares))]
        return shares

    def reached(self, entries: list[Snapshot], level: float) -> list[Snapshot]:
        """The moments at which runs from random entries came to `level`."""
        found: list[Snapshot] = []
        for _ in range(self.effort.runs):
            self.back(entries[int(self.random.integers(0, len(entries)))])
            if self.rises(level):
                found.append(self.engine.snapshot())
        return found

    def rises(self, level: float) -> bool:
        """Whether the run comes to `level` before it is good again."""
        steps, score = 0, self.score()
        while score < level:
            if score <= self.question.good:
                return False
            score = self.forward()
            steps += 1
            self._bounded(steps * self.question.step)
        return True

    def highest(self) -> float:
        """The highest score before the run is good or bad."""
        score = top = self.score()
        steps = 0
        while self.question.good < score < self.question.bad:
            score = self.forward()
            top = max(top, score)
            steps += 1
            self._bounded(steps * self.question.step)
        return top

    def _bounded(self, seconds: float) -> None:
        if seconds > self.effort.longest:
            raise CouldNot(
                f"no level was crossed in {seconds:g} s",
                detail="the run stays between two levels, or never leaves good",
                hint="another score, a higher good level, or a longer `longest`",
            )


def _levels(walk: _Walk) -> list[float]:
    """Levels that about a share `aim` of the runs pass, found by climbing once."""
    question, effort = walk.question, walk.effort
    levels = [_first_level(walk)]
    _, entries = walk.excursions(levels[0])
    while levels[-1] < question.bad and len(levels) < effort.most_levels:
        tops = []
        for _ in range(effort.runs):
            walk.back(entries[int(walk.random.integers(0, len(entries)))])
            tops.append(walk.highest())
        level = min(question.bad, float(np.quantile(tops, 1 - effort.aim)))
        if level <= levels[-1]:
            level = min((t for t in tops if t > levels[-1]), default=question.bad)
        entries = walk.reached(entries, level)
        if not entries:
            raise CouldNot(
                f"the pilot found no way up from level {levels[-1]:g}",
                hint="more runs, or a finer step",
            )
        levels.append(level)
    return levels if levels[-1] >= question.bad else [*levels, question.bad]


def _first_level(walk: _Walk) -> float:
    """A score that good runs reach now and then: the 0.9 quantile of the scores above good."""
    above = []
    for _ in range(200_000):
        score = walk.forward()
        if score > walk.question.good:
            above.append(score)
        if len(above) >= 400 or score >= walk.question.bad:
            break
    if not above:
        return walk.question.bad
    low = min(above)
    return max(low, min(float(np.quantile(above, 0.7)), walk.question.bad))
