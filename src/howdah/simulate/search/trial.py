"""Running a model many times and judging what became of it: the unit of every search.

Owns replicas over seeds and their common verdict. Seeds are the same for every design and every
setting (common random numbers), so that a difference is the setting's. Must never keep a run:
only its figures stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.errors import BadInput
from howdah.simulate.engine import Engine
from howdah.simulate.intervals import Estimate, Survival, mean, share, survival
from howdah.simulate.measures import (
    Disturbance,
    Recovery,
    Yardstick,
    clients,
    disturbance,
    rate,
    recovery,
    together,
)
from howdah.simulate.model import Model
from howdah.simulate.run import start

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, float], None]  # what is being done, share done
SECOND = 1_000_000_000


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a search may spend, and on what."""

    replicas: int = 64  # seeds of one verdict
    probes: int = 9  # verdicts of one bisection
    threads: int = 2
    seed: int = 1  # the first of the seeds
    engine: str | None = None

    def seeds(self, fresh: int = 0) -> range:
        """The seeds of a verdict; `fresh` > 0: as many others that no search has used."""
        first = self.seed + fresh * 1_000_000
        return range(first, first + self.replicas)


class Judge(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is judged: whose goodput counts, and when it counts as back."""

    clients: tuple[str, ...] = ()  # all that had any, when empty
    by: Yardstick = Yardstick()
    undisturbed: Mapping[str, float] = {}  # measured before the disturbance, when not given


BUDGET, JUDGE = Budget(), Judge()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One run's figures."""

    seed: int
    recovery: Recovery
    events: int
    hash: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a model over many seeds."""

    stuck: Estimate  # share of the runs that were still down at the horizon
    horizon: float  # seconds that were watched after the disturbance
    undisturbed: float  # successes a second before it
    last: Estimate  # successes a second in the last fifth
    last_stuck: float | None  # the same of the stuck runs alone
    deficit: Estimate  # successes missing
    recovery: Survival  # share still down after a time
    stuck_seeds: tuple[int, ...]
    events: int


class _Watched(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    t: Floats
    succeeded: dict[str, Floats]
    events: int
    hash: int


def advance(engine: Engine, seconds: float) -> None:
    """Let everything up to this second happen."""
    engine.advance(int(seconds * SECOND + 0.5))


def trials(
    model: Model, seeds: Iterable[int], *, judge: Judge = JUDGE, budget: Budget = BUDGET
) -> tuple[Trial, ...]:
    """A run of each seed to the model's horizon, judged against all runs' goodput before."""
    during = disturbance(model)
    if during.end >= model.horizon:
        raise BadInput(
            f"the disturbance ends at second {during.end:g}, the run at {model.horizon:g}",
            hint="a longer horizon, or a shorter trigger",
        )
    watched = _watch_all(model, list(seeds), judge, budget)
    normal = _levels(model, watched, during, judge, budget)
    return tuple(
        Trial(
            seed=w.seed,
            recovery=together(
                {
                    name: recovery(w.t, w.succeeded[name], during, undisturbed=level, by=judge.by)
                    for name, level in normal.items()
                }
            ),
            events=w.events,
            hash=w.hash,
        )
        for w in watched
    )


def verdict(
    model: Model,
    *,
    judge: Judge = JUDGE,
    budget: Budget = BUDGET,
    seeds: Sequence[int] | None = None,
) -> Verdict:
    """The common verdict over the budget's seeds, or these."""
    return summary(trials(model, seeds or budget.seeds(), judge=judge, budget=budget))


def summary(all_trials: Sequence[Trial]) -> Verdict:
    """One verdict of many trials."""
    found = [t.recovery for t in all_trials]
    down = [r.last for r in found if r.stuck]
    return Verdict(
        stuck=share(len(down), len(found)),
        horizon=max(r.horizon for r in found),
        undisturbed=found[0].undisturbed,
        last=mean([r.last for r in found]),
        last_stuck=sum(down) / len(down) if down else None,
        deficit=mean([r.deficit for r in found]),
        recovery=survival([r.after for r in found], [r.horizon for r in found]),
        stuck_seeds=tuple(t.seed for t in all_trials if t.recovery.stuck),
        events=sum(t.events for t in all_trials),
    )


def _watch_all(model: Model, seeds: list[int], judge: Judge, budget: Budget) -> list[_Watched]:
    def one(seed: int) -> _Watched:
        engine = start(model, seed, budget.engine)
        advance(engine, model.horizon)
        samples = engine.samples()
        names = judge.clients or clients(samples.columns)
        if unknown := set(names) - set(clients(samples.columns)):
            raise BadInput(
                f"the model has no client {', '.join(sorted(unknown))}",
                hint=f"one of {', '.join(clients(samples.columns))}",
            )
        return _Watched(
            seed=seed,
            t=samples.t,
            succeeded={name: samples.columns[f"{name}.succeeded"] for name in names},
            events=engine.events,
            hash=engine.hash,
        )

    if budget.threads < 2 or len(seeds) < 2:
        return [one(seed) for seed in seeds]
    with ThreadPoolExecutor(budget.threads) as pool:
        return list(pool.map(one, seeds))


def levels(model: Model, *, judge: Judge = JUDGE, budget: Budget = BUDGET) -> dict[str, float]:
    """Each client's goodput without a disturbance, from a few runs without triggers."""
    calm = msgspec.structs.replace(model, triggers=(), settled_after=None)
    runs = _watch_all(calm, list(budget.seeds())[:5], judge, budget)
    known = {
        name: median(rate(w.t, w.succeeded[name], model.horizon / 4, model.horizon) for w in runs)
        for name in runs[0].succeeded
    }
    found = {name: level for name, level in {**known, **judge.undisturbed}.items() if level > 0}
    if not found:
        raise BadInput("no client has any goodput without the disturbance")
    return found


def _levels(
    model: Model, watched: list[_Watched], during: Disturbance, judge: Judge, budget: Budget
) -> dict[str, float]:
    """Each client's undisturbed goodput: the median over all runs, so that one that tipped by
    itself before the disturbance does not lower the bar for itself."""
    known = dict(judge.undisturbed)
    if not known and during.start > 0:
        known = {
            name: median(
                rate(w.t, w.succeeded[name], during.start / 4, during.start) for w in watched
            )
            for name in watched[0].succeeded
        }
    found = {name: level for name, level in known.items() if level > 0}
    return found or levels(model, judge=judge, budget=budget)
