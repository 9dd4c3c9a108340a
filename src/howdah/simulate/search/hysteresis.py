"""The hysteresis loop: the load goes up in steps and down again, in one run.

Owns the sweep and the two loads at which goodput leaves and comes back. Must never start a new
run between two steps: the state that is carried over is what the loop shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from howdah.errors import BadInput
from howdah.simulate.engine import Engine
from howdah.simulate.intervals import Estimate, mean
from howdah.simulate.intervals import share as share_of
from howdah.simulate.model import Model, Open
from howdah.simulate.run import start
from howdah.simulate.search.trial import Budget, Progress, advance

SWEEP = Budget(replicas=16)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One load, held for a while; goodput is that of the second half of the while."""

    load: float  # requests asked for a second, all clients together
    goodput: Estimate
    good: Estimate  # share of the runs with at least `share` of what was asked for


class Hysteresis(msgspec.Struct, frozen=True, kw_only=True):
    """The loop. Between `returns_at` and `leaves_at` both states live."""

    up: tuple[Step, ...]
    down: tuple[Step, ...]
    leaves_at: float | None  # lambda_up: the first load, going up, at which most runs are down
    returns_at: float | None  # lambda_down: the first, going down, at which most are good again
    hold: float  # seconds at each load
    events: int


def hysteresis(
    model: Model,
    factors: Sequence[float],
    *,
    hold: float | None = None,
    share: float = 0.9,
    budget: Budget = SWEEP,
    progress: Progress | None = None,
) -> Hysteresis:
    """The loop over the open clients' rates times each of `factors`, rising.

    `hold` is the time at each load, the model's horizon when not given; triggers are left out.
    A slow sweep shows where states end, a fast one where they are left in time: it is a figure of
    the model *and* the hold.
    """
    clients = {n: c.rate for n, c in model.clients.items() if isinstance(c, Open) and c.rate > 0}
    if not clients or list(factors) != sorted(factors) or not factors:
        raise BadInput("hysteresis needs open clients and loads in rising order")
    wait = model.horizon if hold is None else hold
    calm = msgspec.structs.replace(
        model,
        triggers=(),
        settled_after=None,
        horizon=2 * len(factors) * wait,
        sample=2 * len(factors) * wait,
    )
    path = [*factors, *reversed(factors)]

    def one(seed: int) -> tuple[list[float], int]:
        engine = start(calm, seed, budget.engine)
        return [_held(engine, clients, f, i, wait) for i, f in enumerate(path)], engine.events

    with ThreadPoolExecutor(budget.threads) as pool:
        runs = []
        for done, run in enumerate(pool.map(one, budget.seeds()), 1):
            runs.append(run)
            if progress is not None:
                progress("hysteresis", done / budget.replicas)
    offered = sum(clients.values())
    steps = [
        _step(offered * factor, [goodputs[i] for goodputs, _ in runs], share)
        for i, factor in enumerate(path)
    ]
    up, down = tuple(steps[: len(factors)]), tuple(steps[len(factors) :])
    return Hysteresis(
        up=up,
        down=down,
        leaves_at=next((s.load for s in up if s.good.value < 0.5), None),
        returns_at=next((s.load for s in down if s.good.value >= 0.5), None)
        if any(s.good.value < 0.5 for s in up + down)
        else None,
        hold=wait,
        events=sum(events for _, events in runs),
    )


def _held(
    engine: Engine, clients: dict[str, float], factor: float, index: int, wait: float
) -> float:
    """Goodput in the second half of one step."""
    for name, rate in clients.items():
        engine.set(f"{name}.rate", rate * factor)
    advance(engine, (index + 0.5) * wait)
    before = _succeeded(engine, clients)
    advance(engine, (index + 1) * wait)
    return (_succeeded(engine, clients) - before) / (0.5 * wait)


def _succeeded(engine: Engine, clients: dict[str, float]) -> float:
    gauges = engine.gauges()
    return sum(gauges[f"{name}.succeeded"] for name in clients)


def _step(load: float, goodputs: list[float], enough: float) -> Step:

    good = sum(g >= enough * load for g in goodputs)
    return Step(load=load, goodput=mean(goodputs), good=share_of(good, len(goodputs)))
