"""The smallest trigger that tips a model, with its certificate.

Owns the way from knobs to a confirmed answer: bisection, the frontier when there are several
knobs, confirmation with fresh seeds, and a replay file of a run that stayed down. Must never
certify with the seeds that the search was made with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np

from howdah.errors import BadInput
from howdah.simulate.model import Model
from howdah.simulate.run import Run
from howdah.simulate.search.frontier import Frontier, frontier
from howdah.simulate.search.knobs import turn
from howdah.simulate.search.threshold import Threshold, threshold
from howdah.simulate.search.trial import BUDGET, JUDGE, Budget, Judge, Progress, Verdict, verdict

Cost = Callable[[Mapping[str, float]], float]


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A run that stayed down after this trigger; anybody can run it again to the bit."""

    seed: int
    hash: int
    events: int
    replay: str | None  # the file, when one was asked for


class MinimalTrigger(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest trigger found."""

    knobs: Mapping[str, float]
    p: float
    threshold: Threshold  # of the last knob, at the others' values
    frontier: Frontier | None  # of all knobs, when there are several
    confirmed: Verdict  # at these knobs, with fresh seeds
    below: Verdict  # with the last knob a fifth lower, the same fresh seeds
    certificate: Certificate | None  # None: no fresh run stayed down
    events: int


def find_minimal_trigger(
    model: Model,
    *,
    over: Mapping[str, tuple[float, float]],
    p: float = 0.5,
    grid: int = 5,
    cost: Cost | None = None,
    judge: Judge = JUDGE,
    budget: Budget = BUDGET,
    replay: Path | None = None,
    progress: Progress | None = None,
) -> MinimalTrigger | None:
    """The cheapest setting of the knobs `over` (name: (low, high)) that tips a share p of runs.

    One knob: bisection. Two to four: the frontier on a grid of `grid` values for each but the
    last, and the point of least `cost` (the product of the knobs, when not given: for a burst's
    factor and length its area). None: nothing in these ranges tips.
    """
    if not 1 <= len(over) <= 4:
        raise BadInput("a trigger is searched over one to four knobs", detail=", ".join(over))
    if not model.triggers:
        raise BadInput("the model has no trigger to minimise", hint="add one, or search a program")
    *others, last = over
    traced = None
    if others:
        places = {name: _spread(*over[name], grid) for name in others}
        low, high = over[last]
        traced = frontier(
            model,
            places,
            last,
            low=low,
            high=high,
            p=p,
            judge=judge,
            budget=budget,
            progress=progress,
        )
        best = _cheapest(traced, cost)
        if best is None:
            return None
        fixed, found = best
    else:
        fixed = {}
        low, high = over[last]
        found = threshold(
            model, last, low=low, high=high, p=p, judge=judge, budget=budget, progress=progress
        )
        if found.value is None:
            return None
    return _certified(model, fixed, found, traced, p, judge, budget, replay)


def _spread(low: float, high: float, count: int) -> list[float]:
    if low > 0:
        return [float(x) for x in np.geomspace(low, high, count)]
    return [float(x) for x in np.linspace(low, high, count)]


def _cheapest(traced: Frontier, cost: Cost | None) -> tuple[dict[str, float], Threshold] | None:
    price = cost or (lambda knobs: math.prod(knobs.values()))
    best: tuple[float, dict[str, float], Threshold] | None = None
    for point in traced.points:
        if point.found.value is None:
            continue
        fixed = dict(zip(traced.along, point.at, strict=True))
        paid = price({**fixed, traced.knob: point.found.value.value})
        if best is None or paid < best[0]:
            best = (paid, fixed, point.found)
    return None if best is None else best[1:]


def _certified(
    model: Model,
    fixed: dict[str, float],
    found: Threshold,
    traced: Frontier | None,
    p: float,
    judge: Judge,
    budget: Budget,
    replay: Path | None,
) -> MinimalTrigger:
    """Fresh seeds at the threshold; a little more where those say that it was too little."""
    assert found.value is not None
    for knob, value in fixed.items():
        model = turn(model, knob, value)
    value, fresh = found.value.value, list(budget.seeds(fresh=1))
    confirmed = verdict(turn(model, found.knob, value), judge=judge, budget=budget, seeds=fresh)
    for _ in range(8):
        if confirmed.stuck.high >= p or value >= found.high:
            break
        value = min(found.high, value * 1.05)
        confirmed = verdict(turn(model, found.knob, value), judge=judge, budget=budget, seeds=fresh)
    lower = turn(model, found.knob, 0.8 * value)
    below = verdict(lower, judge=judge, budget=budget, seeds=fresh)
    return MinimalTrigger(
        knobs={**fixed, found.knob: value},
        p=p,
        threshold=found,
        frontier=traced,
        confirmed=confirmed,
        below=below,
        certificate=certify(turn(model, found.knob, value), confirmed, replay, budget.engine),
        events=(traced.events if traced else found.events) + confirmed.events + below.events,
    )


def certify(
    model: Model, confirmed: Verdict, replay: Path | None, engine: str | None = None
) -> Certificate | None:
    """A run of the first stuck seed of `confirmed`, saved to `replay` when given."""
    if not confirmed.stuck_seeds:
        return None
    seed = confirmed.stuck_seeds[0]
    run = Run.start(model, seed=seed, engine=engine)
    run.until(model.horizon)
    if replay is not None:
        run.save(replay)
    return Certificate(
        seed=seed, hash=run.hash, events=run.events, replay=str(replay) if replay else None
    )
